// SPDX-License-Identifier: GPL-2.0

//! Connections that take no further packet: whose client sends a SYN after TIME_WAIT or CLOSE, whose
//! dest is gone or takes no more, whose deadline is past.

use super::{answer::discard, context::Context, farewell, new_flow, xmit::Crosses};
use crate::{
    engine::{
        family::IpHeader,
        proto::State,
        spec::ConnReuse,
        wire::{Packet, TcpFlags, UDP},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, Netns, Side},
};

/// Whether a client's SYN finds a connection that it shall not revive but have scheduled anew: one
/// that has ended, as `ip_vs` has it with `conn_reuse_mode`, one whose dest was removed, or, where
/// connections are to leave dests at once, one whose dest takes no more.
#[cold]
pub(super) fn begins_anew(netns: &Netns, conn: &Conn, side: Side) -> bool {
    let dest = conn.dest();
    let has_ended = match (netns.settings.conn_reuse(), conn.state()) {
        (ConnReuse::Off, _) => false,
        (_, State::TimeWait | State::Close | State::SctpClosed) => true,
        (ConnReuse::Closing, State::FinWait) => !conn.has_two_keys(),
        _ => false,
    };
    let is_over = has_ended
        || dest.is_gone()
        || (dest.spec().weight == 0 && dest.ends_when_removed(&netns.settings));
    side == Side::Client && is_over
}

/// A packet of a connection whose dest needs care: whether it may stay; if so it is accounted for.
#[cold]
pub(super) fn is_cared_for(
    netns: &Netns,
    conn: &Conn,
    side: Side,
    skb: &Skb<'_>,
    flags: TcpFlags,
) -> bool {
    let stays = may_stay(netns, conn, side, flags);
    if stays {
        conn.account_for(side, skb.len());
    }
    stays
}

/// Whether a connection that has lost its dest takes another packet all the same: those of TCP and
/// SCTP of a removed dest go on until they end, unless the operator wants otherwise. Of a dest that
/// takes no new ones those of UDP have lost it, where they are to leave it. Past its deadline those
/// of TCP are over.
fn may_stay(netns: &Netns, conn: &Conn, side: Side, flags: TcpFlags) -> bool {
    let protocol = conn.client_ends().protocol;
    if farewell::is_due(conn, protocol, flags) {
        return false;
    }
    let has_an_end = protocol != UDP;
    if !conn.dest().is_gone() {
        return has_an_end || side == Side::Dest || !conn.dest().life().is_to_be_left();
    }
    has_an_end && (side == Side::Dest || !conn.dest().ends_when_removed(&netns.settings))
}

/// A packet of a connection that cannot stay.
///
/// A TCP or SCTP packet whose dest is gone is dropped with the connection, where `ip_vs` lets it go on to
/// this host, which resets it only if the virtual address is its own. The client's next attempt
/// finds another dest. UDP goes to another at once. Where connections end at a deadline both ends
/// are told.
#[cold]
pub(super) fn replace<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
) -> Verdict<'a> {
    if farewell::is_due(conn, packet.ip.protocol(), packet.segment.flags) {
        return farewell::tell_both(cx, conn, Side::Client, skb, packet);
    }
    let gone = conn.dest().is_gone();
    let is_of_old = cx.place.is_behind() && conn.is_tracked() && skb.has_old_entry();
    cx.netns.disconnect(conn, cx.rcu);
    if is_of_old {
        // Its entry says where the old connection went, and has just ended: what is sent again gets one
        // of its own.
        return Verdict::Drop(skb);
    }
    if gone && packet.ip.protocol() != UDP && !packet.segment.flags.opens() {
        return discard(cx, skb, Counter::DropDestGone);
    }
    new_flow::begin(cx, skb, packet, hash)
}

/// A dest's packet of a connection that cannot stay.
#[cold]
pub(super) fn dismiss<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    if farewell::is_due(conn, packet.ip.protocol(), packet.segment.flags) {
        return farewell::tell_both(cx, conn, Side::Dest, skb, packet);
    }
    cx.netns.disconnect(conn, cx.rcu);
    Verdict::Accept(skb)
}

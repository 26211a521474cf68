// SPDX-License-Identifier: GPL-2.0

//! The first packet of a flow, and flows whose connection is of no more use.

use kernel::prelude::*;

use super::{context::Context, family::Balanced, hook, xmit};
use crate::{
    engine::{
        family::{IpHeader, Tuple},
        proto::{
            sctp,
            tcp::{self, Table},
            State,
        },
        sched::Flow,
        shift::Opening,
        spec::{ConnReuse, Mode},
        wire::{Packet, TcpFlags, SCTP, TCP, UDP},
    },
    kapi::{icmp::Answer, netfilter::Verdict, route, skb::Skb},
    table::{Conn, Counter, Dest, Netns, NewFlow, NoConnection, NoDest, Side, Turn},
};

/// A packet that no connection is known for.
#[cold]
pub(super) fn begin<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
) -> Verdict<'a> {
    let netns = cx.netns;
    let gate = F::gate(netns);
    if cx.turn == Turn::Early && gate.has_marks() {
        // It comes again when it has its mark.
        return Verdict::Accept(skb);
    }
    let by_mark = match cx.turn {
        Turn::Early => None,
        Turn::Late => netns.marked_schedule(skb.mark(), F::VERSION, cx.rcu),
    };
    let Some(schedule) = by_mark.or_else(|| netns.schedule(&packet.tuple, cx.rcu)) else {
        return Verdict::Accept(skb);
    };
    let state = match packet.ip.protocol() {
        TCP if !may_begin(netns, packet.segment.flags) => {
            netns.counters.count(Counter::NotSyn);
            return Verdict::Accept(skb);
        }
        SCTP if !packet.segment.flags.opens() => {
            netns.counters.count(Counter::NotSyn);
            return Verdict::Accept(skb);
        }
        // The tables for connections with and without replies agree on the first packet.
        TCP => tcp::next(Table::InOnly, packet.segment.flags, State::None),
        SCTP => sctp::next(sctp::Table::InOnly, packet.segment.event, State::SctpNone),
        _ => State::Udp,
    };
    if netns.defence.drops() {
        netns.counters.count(Counter::DropOverload);
        return Verdict::Drop(skb);
    }
    let client = packet.tuple.src().into();
    let dest = match schedule.pick(&Flow::of(&packet.tuple), client) {
        Ok(dest) => dest,
        Err(NoDest::Usable) if by_mark.is_some() && may_pass_by(netns, packet) => {
            return Verdict::Accept(skb);
        }
        Err(NoDest::Usable) => {
            netns.counters.count(Counter::DropNoDest);
            return hook::refuse(skb, F::VERSION, Answer::PortUnreachable);
        }
        Err(NoDest::Memory) => {
            netns.counters.count(Counter::DropNoMemory);
            return Verdict::Drop(skb);
        }
    };
    let one_packet = schedule.is_one_packet() && packet.ip.protocol() == UDP;
    if one_packet && matches!(dest.mode(), Mode::Dr | Mode::Tun) {
        dest.connection();
        dest.packet_in(skb.len());
        // There is no connection to keep the worker awake, which looks for rules of what leaves.
        netns.expect_work();
        return xmit::whole::<F>(cx, dest, skb, &packet.ip, hash);
    }
    if netns.is_full() {
        netns.counters.count(Counter::DropConnMax);
        return Verdict::Drop(skb);
    }
    if by_mark.is_some() {
        // Packets of the connection are for the early hook.
        gate.virtual_addresses.add(F::destination(&skb));
    }
    let Ok(opening) = opening(&mut skb, packet, dest) else {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    };
    let flow = NewFlow {
        tuple: packet.tuple,
        hash,
        state,
        dest,
        schedule,
        opening,
    };
    let conn = match netns.connect(&flow, cx.rcu) {
        Ok(conn) => conn,
        Err(NoConnection::Memory) => {
            netns.counters.count(Counter::DropNoMemory);
            return Verdict::Drop(skb);
        }
        Err(NoConnection::Port) => {
            netns.counters.count(Counter::DropNoPort);
            return hook::refuse(skb, F::VERSION, Answer::PortUnreachable);
        }
    };
    if state.assures() {
        conn.assure();
    }
    let verdict = hook::send(cx, conn, Side::Client, skb, packet);
    if one_packet {
        // It was there for the translation only.
        netns.disconnect(conn, cx.rcu);
    }
    verdict
}

/// What a connection opens with, where its dest is to see other sequence numbers. An error when
/// there is no memory.
fn opening<F: Balanced>(
    skb: &mut Skb<'_>,
    packet: &Packet<F>,
    dest: &Dest,
) -> Result<Option<Opening>> {
    let opens = packet.ip.protocol() == TCP && packet.segment.flags.opens();
    if !opens || dest.mode() != Mode::FullNat {
        return Ok(None);
    }
    let end = packet.headers_len();
    if skb.head().len() < end && !skb.pull(end) {
        return Err(ENOMEM);
    }
    let header = skb.head().get(packet.ip.header_len()..end).ok_or(EINVAL)?;
    Ok(Opening::read(header))
}

/// Whether a flow without a dest goes where it is to, which is not this host (`cache_bypass`). Its
/// packets are nobody's, so no connection is kept.
fn may_pass_by<F: Balanced>(netns: &Netns, packet: &Packet<F>) -> bool {
    netns.settings.cache_bypass() && !route::is_of_this_host(netns.net(), packet.tuple.dst().into())
}

/// Whether a TCP packet of no connection begins one: a SYN, or any but a reset where the operator
/// wants to take over connections of another director.
fn may_begin(netns: &Netns, flags: TcpFlags) -> bool {
    flags.opens() || (netns.settings.sloppy_tcp() && !flags.has(TcpFlags::RST))
}

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

/// Whether a connection that has lost its dest takes another packet all the same: those of TCP and
/// SCTP of a removed dest go on until they end, unless the operator wants otherwise. Of a dest that
/// takes no new ones those of UDP have lost it, where they are to leave it.
#[cold]
pub(super) fn may_stay(netns: &Netns, conn: &Conn, side: Side) -> bool {
    let has_an_end = conn.client_ends().protocol != UDP;
    if !conn.dest().is_gone() {
        return has_an_end || side == Side::Dest;
    }
    has_an_end && (side == Side::Dest || !conn.dest().ends_when_removed(&netns.settings))
}

/// A packet of a connection that cannot stay.
///
/// A TCP or SCTP packet whose dest is gone is dropped with the connection, where `ip_vs` lets it go on to
/// this host, which resets it only if the virtual address is its own. The client's next attempt
/// finds another dest. UDP goes to another at once.
#[cold]
pub(super) fn replace<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
) -> Verdict<'a> {
    let gone = conn.dest().is_gone();
    cx.netns.disconnect(conn, cx.rcu);
    if gone && packet.ip.protocol() != UDP && !packet.segment.flags.opens() {
        cx.netns.counters.count(Counter::DropDestGone);
        return Verdict::Drop(skb);
    }
    begin(cx, skb, packet, hash)
}

// SPDX-License-Identifier: GPL-2.0

//! Packets of a known connection: its state moves on, they are counted and sent.

use super::{
    context::Context,
    lease::Lease,
    track,
    xmit::{self, Crosses},
};
use crate::{
    engine::{
        family::{Family, IpHeader},
        proto::{
            sctp,
            tcp::{self, Table},
        },
        spec::Mode,
        wire::{Packet, TcpFlags, SCTP, TCP},
    },
    kapi::{broken::broken, netfilter::Verdict, rcu::Rcu, skb::Skb},
    table::{Conn, Dest, Netns, Side},
};

/// A packet of `side` of a connection that takes it.
#[inline(always)]
pub(super) fn known<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    if packet.ip.protocol() == TCP {
        step_tcp(cx.netns, conn, side, packet.segment.flags, cx.rcu);
    } else if packet.ip.protocol() == SCTP {
        step_sctp(cx, conn, side, packet.segment.event);
    }
    send(cx, conn, side, skb, packet)
}

/// Follows a connection of TCP.
#[inline(always)]
pub(super) fn step_tcp(netns: &Netns, conn: &Conn, side: Side, flags: TcpFlags, rcu: Rcu<'_>) {
    let table = match (conn.has_two_keys(), side) {
        (false, _) => Table::InOnly,
        (true, Side::Client) => Table::In,
        (true, Side::Dest) => Table::Out,
    };
    if conn.step(|state| tcp::next(table, flags, state)) {
        netns.has_changed(conn, rcu);
    }
}

/// Follows an association of SCTP.
#[cold]
fn step_sctp(cx: Context<'_>, conn: &Conn, side: Side, event: sctp::Event) {
    let table = match (conn.has_two_keys(), side) {
        (false, _) => sctp::Table::InOnly,
        (true, Side::Client) => sctp::Table::In,
        (true, Side::Dest) => sctp::Table::Out,
    };
    if conn.step(|state| sctp::next(table, event, state)) {
        cx.netns.has_changed(conn, cx.rcu);
    }
}

/// Counts a packet of `side` and sends it the way its connection goes.
#[inline(always)]
pub(super) fn send<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    if cx.place.is_behind() {
        return behind(cx, conn, side, skb, packet);
    }
    count(conn, side, skb.len());
    onward(cx, conn, side, skb, packet)
}

/// The same at `ip_vs`'s places.
#[inline(never)]
fn behind<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let lease = Lease::begin(cx, conn, side, &skb);
    let skb = match track::follow(cx, conn, side, skb) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    count(conn, side, skb.len());
    let verdict = onward(cx, conn, side, skb, packet);
    if let (Some(lease), Verdict::Stolen(_)) = (lease, &verdict) {
        lease.end::<F>(cx, conn);
    }
    verdict
}

/// Counts a packet of `side` of so many bytes.
#[inline(always)]
pub(super) fn count(conn: &Conn, side: Side, len: u32) {
    match side {
        Side::Client => conn.dest().packet_in(len),
        Side::Dest => conn.dest().packet_out(len),
    }
}

/// Sends a packet of `side` the way its connection goes.
#[inline(always)]
pub(super) fn onward<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let dest = conn.dest();
    if !conn.has_two_keys() {
        return whole::<F>(cx, dest, skb, &packet.ip, conn.flow());
    }
    if let Some(nat) = conn.nat::<F::Tuple>() {
        return xmit::nat(cx, conn, nat, side, skb, packet);
    }
    match conn.nat64() {
        Some(nat) => F::cross(cx, conn, nat, skb, packet),
        None => {
            broken!(c"a connection with two keys has none of its packet's family");
            Verdict::Drop(skb)
        }
    }
}

/// Sends a packet to a dest as it is, by the dest's mode. `flow` is its flow's hash.
#[inline(always)]
pub(super) fn whole<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
    flow: u32,
) -> Verdict<'a> {
    if dest.is_dr() {
        return xmit::dr::<F>(cx, dest, skb, ip);
    }
    match dest.mode() {
        Mode::Tun => xmit::tun::<F>(cx, dest, skb, ip, flow),
        // This host's own packet, whatever the dest's address.
        Mode::Local => Verdict::Accept(skb),
        // A mode that was changed; its connections go on as they began.
        _ => xmit::dr::<F>(cx, dest, skb, ip),
    }
}

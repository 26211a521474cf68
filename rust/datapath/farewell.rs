// SPDX-License-Identifier: GPL-2.0

//! Connections that end although both ends would go on: both are reset.

use super::{
    answer::discard,
    context::Context,
    forward,
    xmit::{self, Crosses},
};
use crate::{
    engine::{
        family::IpHeader,
        probe::{self, Own},
        reset,
        wire::{Packet, TcpFlags, TCP},
    },
    kapi::{
        netfilter::{Place, Verdict},
        random,
        rcu::Rcu,
        route::{self, NextHop, Reply},
        skb::Skb,
    },
    table::{Conn, Counter, Netns, Side, Turn},
};

/// Whether a segment of a connection is one by which its ends are told that it is over.
#[cold]
pub(super) fn is_due(conn: &Conn, protocol: u8, flags: TcpFlags) -> bool {
    conn.dest().is_dismissed()
        && protocol == TCP
        && flags.has(TcpFlags::ACK)
        && !flags.has(TcpFlags::RST)
}

/// Tells the sender of a segment that its connection is over, and the other end, which does not get
/// the segment. What the sender acknowledges is what it expects next.
#[cold]
pub(super) fn tell_both<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let end = packet.headers_len();
    if skb.head().len() < end && !skb.pull(end) {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    conn.told();
    if let Some((bytes, len)) = reset::answer::<F>(skb.head(), packet) {
        let bytes = bytes.get(..len).unwrap_or(&[]);
        send_to(cx, conn, side, bytes, F::Ip::FIXED_LEN);
    }
    let resets = probe::resets_from_sender::<F>(skb.head(), packet);
    for reset in resets.iter().flatten() {
        pass_on::<F>(cx, conn, side, &skb, reset);
    }
    Verdict::Drop(skb)
}

/// Sends a segment to the other end as if `side` had sent it, where `like` is one that it has sent.
fn pass_on<'a, F: Crosses>(cx: Context<'a>, conn: &'a Conn, side: Side, like: &Skb<'_>, own: &Own) {
    let Some(skb) = Skb::with_packet(own.bytes(), own.ip_len, xmit::HEADROOM) else {
        cx.netns.counters.count(Counter::DropNoMemory);
        return;
    };
    let Ok(packet) = Packet::<F>::frequent(skb.head(), skb.len() as usize) else {
        let _ = route::free(skb);
        return;
    };
    match forward::send(cx, conn, side, skb, &packet) {
        Verdict::Accept(skb) => _ = skb.take_in(cx.netns.net(), Some(like)),
        Verdict::Drop(skb) => _ = route::free(skb),
        Verdict::Stolen(_) | Verdict::Discarded(_) => {}
    }
}

/// Sends a packet of this host's own to the end of a connection on `side`.
fn send_to<'a>(cx: Context<'a>, conn: &'a Conn, side: Side, bytes: &[u8], ip_len: usize) {
    let Some(packet) = Skb::with_packet(bytes, ip_len, xmit::HEADROOM) else {
        cx.netns.counters.count(Counter::DropNoMemory);
        return;
    };
    if side == Side::Dest {
        match xmit::way_to(cx, conn.dest()) {
            Ok(way) => xmit::send_own(cx, way, packet),
            Err(_) => _ = route::free(packet),
        }
        return;
    }
    let ends = conn.client_ends();
    // Connections that only know their dest know no way back.
    let reply = Reply::new(&packet, TCP, ends.virtual_address, ends.client);
    match NextHop::lookup_back(cx.netns.net(), &reply) {
        Ok(way) => xmit::send_own(cx, &way, packet),
        Err(_) => _ = route::free(packet),
    }
}

/// Asks the end of a connection on `side` where it is, in the other's name; its client where the
/// dest's packets do not come by here.
pub(crate) fn ask(netns: &Netns, conn: &Conn, side: Side, rcu: Rcu<'_>) {
    let cx = Context::new(netns, Place::LocalOut, Turn::Early, rcu);
    let ends = conn.client_ends();
    let (side, from, to) = match conn.dest_ends() {
        Some((dest, client)) if side == Side::Dest => (side, client, dest),
        _ => (Side::Client, ends.virtual_address, ends.client),
    };
    if let Some(question) = probe::question(from, to, random::u64()) {
        send_to(cx, conn, side, question.bytes(), question.ip_len);
    }
}

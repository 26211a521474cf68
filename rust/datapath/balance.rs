// SPDX-License-Identifier: GPL-2.0

//! The look-up: a packet of a known connection, or of a new flow, or of neither.

use super::{
    context::Context,
    forward,
    gate::{Balanced, Ours},
    icmp, new_flow,
    read::{self, Read},
    reuse,
    xmit::{self, Crosses},
};
use crate::{
    engine::wire::Packet,
    kapi::{
        netfilter::{Place, Verdict},
        skb::Skb,
    },
    table::{Conn, Netns, Side, Turn},
};

/// Whether another hook of ours has let a packet pass before, for [`balance`].
pub(super) const FIRST: bool = false;
pub(super) const AGAIN: bool = true;

/// A packet that is perhaps of a service.
pub(super) fn balance<'a, F: Crosses, const PASS: bool>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ours: Ours,
) -> Verdict<'a> {
    let packet = match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match read::again(cx, skb, ours, error) {
            Read::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            Read::Icmp(skb, ip) => return icmp::receive::<F>(cx, skb, &ip, ours),
            Read::Verdict(verdict) => return verdict,
        },
    };
    let hash = cx.netns.connections.hash(&packet.tuple);
    match cx.netns.connections.lookup(&packet.tuple, hash, cx.rcu) {
        // The early hook has counted it and let it pass.
        Some((conn, _)) if PASS == AGAIN && xmit::stays_here(cx, conn.dest()) => {
            Verdict::Accept(skb)
        }
        Some((conn, Side::Dest)) => reply(cx, conn, skb, &packet),
        Some((conn, side)) if is_usable(cx.netns, conn, side, &skb, &packet) => {
            forward::known(cx, conn, side, skb, &packet)
        }
        Some((conn, Side::Client)) => reuse::replace(cx, conn, skb, &packet, hash),
        None => new_flow::begin(cx, skb, &packet, hash),
    }
}

/// A packet of a dest, for its client.
#[inline(always)]
pub(super) fn reply<'a, F: Crosses>(
    cx: Context<'a>,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let waits = || cx.turn == Turn::Early && F::gate(cx.netns).replies_wait();
    if cx.place == Place::PreRouting && waits() {
        // It comes again when it has its mark.
        return Verdict::Accept(skb);
    }
    if is_usable(cx.netns, conn, Side::Dest, &skb, packet) {
        return forward::known(cx, conn, Side::Dest, skb, packet);
    }
    reuse::dismiss(cx, conn, skb, packet)
}

/// Whether a connection takes another packet: it has neither expired nor lost its dest, and the
/// client does not begin a new one with the same ports.
#[inline(always)]
fn is_usable<F: Balanced>(
    netns: &Netns,
    conn: &Conn,
    side: Side,
    skb: &Skb<'_>,
    packet: &Packet<F>,
) -> bool {
    let begins_anew = packet.segment.flags.opens() && reuse::begins_anew(netns, conn, side);
    if begins_anew || !conn.touch(&netns.settings) {
        return false;
    }
    !conn.dest().needs_care() || reuse::is_cared_for(netns, conn, side, skb, packet.segment.flags)
}

// SPDX-License-Identifier: GPL-2.0

//! Packets that the early hooks have let pass until they have their marks: new flows, where there
//! are services by mark, and replies, where those are routed by marks.

use super::{
    balance,
    context::Context,
    gate::{Balanced, Ours},
    read::{self, Read},
    xmit::Crosses,
};
use crate::{
    engine::wire::Packet,
    kapi::{netfilter::Verdict, rcu::Rcu, skb::Skb},
    table::{Netns, Side},
};

/// Whether a packet may open a flow of a service by mark, or of one by address, which waited for its
/// mark.
pub(super) fn may_begin<F: Balanced>(netns: &Netns, skb: &Skb<'_>, rcu: Rcu<'_>) -> bool {
    let gate = F::gate(netns);
    gate.has_marks()
        && (is_marked::<F>(netns, skb, rcu)
            || gate.virtual_addresses.may_contain(F::destination(skb)))
}

/// Whether a packet has the mark of a service.
pub(super) fn is_marked<F: Balanced>(netns: &Netns, skb: &Skb<'_>, rcu: Rcu<'_>) -> bool {
    netns.marked_schedule(skb.mark(), F::VERSION, rcu).is_some()
}

/// A packet that may be a reply that waited for its mark.
pub(super) fn waited<'a, F: Crosses>(cx: Context<'a>, mut skb: Skb<'a>) -> Verdict<'a> {
    let packet = match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match read::again(cx, skb, Ours::BySource, error) {
            Read::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            // The early hook has sent those on that are of a flow.
            Read::Icmp(skb, _) => return Verdict::Accept(skb),
            Read::Verdict(verdict) => return verdict,
        },
    };
    let hash = cx.netns.connections.hash(&packet.tuple);
    match cx.netns.connections.lookup(&packet.tuple, hash, cx.rcu) {
        Some((conn, Side::Dest)) => balance::reply(cx, conn, skb, &packet),
        _ => Verdict::Accept(skb),
    }
}

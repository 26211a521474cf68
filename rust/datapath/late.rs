// SPDX-License-Identifier: GPL-2.0

//! Packets that the early hooks have let pass until they have their marks: new flows, where there
//! are services by mark, and replies, where those are routed by marks.

use core::marker::PhantomData;

use super::{
    context::Context,
    family::Balanced,
    hook::{admit, balance, mend, reply, Mended, Ours, AGAIN},
};
use crate::{
    engine::wire::Packet,
    kapi::{
        netfilter::{Hook, Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Netns, Side, Turn},
};

/// Packets from the network that have been marked, or not.
pub(super) struct MarkedFromNetwork<F>(PhantomData<F>);

/// Packets of programs on this host that have been marked, or not.
pub(super) struct MarkedFromHost<F>(PhantomData<F>);

impl<F: Balanced> Hook<Netns> for MarkedFromNetwork<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = Turn::Late.priority();

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        if may_begin::<F>(netns, &skb, rcu) {
            balance::<F, AGAIN>(cx, skb, Ours::ByDestination)
        } else if F::gate(netns).replies_wait() && admit::<F>(netns, &skb).is_some() {
            waited::<F>(cx, skb)
        } else {
            Verdict::Accept(skb)
        }
    }
}

impl<F: Balanced> Hook<Netns> for MarkedFromHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = Turn::Late.priority();

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if skb.is_balanced() || !may_begin::<F>(netns, &skb, rcu) {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, AGAIN>(cx, skb, Ours::ByDestination)
    }
}

/// Whether a packet may open a flow of a service by mark, or of one by address, which waited for its
/// mark.
fn may_begin<F: Balanced>(netns: &Netns, skb: &Skb<'_>, rcu: Rcu<'_>) -> bool {
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
fn waited<'a, F: Balanced>(cx: Context<'a>, mut skb: Skb<'a>) -> Verdict<'a> {
    let packet = match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match mend(cx, skb, Ours::BySource, error) {
            Mended::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            // The early hook has sent those on that are of a flow.
            Mended::Icmp(skb, _) => return Verdict::Accept(skb),
            Mended::Verdict(verdict) => return verdict,
        },
    };
    let hash = cx.netns.connections.hash(&packet.tuple);
    match cx.netns.connections.lookup(&packet.tuple, hash, cx.rcu) {
        Some((conn, Side::Dest)) => reply(cx, conn, skb, &packet),
        _ => Verdict::Accept(skb),
    }
}

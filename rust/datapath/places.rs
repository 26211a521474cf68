// SPDX-License-Identifier: GPL-2.0

//! Where packets come in: the hooks, their places in the host's path and their turns.

use core::marker::PhantomData;

use kernel::prelude::*;

use super::{
    balance::{balance, AGAIN, FIRST},
    context::Context,
    fast,
    gate::{admit, is_own_error, Balanced, Ours},
    late, tunnel_error,
    xmit::Crosses,
};
use crate::{
    engine::family::{Family, IpHeader, V4, V6},
    kapi::{
        lane,
        netfilter::{self, Description, Hook, Hooks, Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Netns, Posts, Turn},
};

/// The early hooks.
const PRIORITY: i32 = Turn::Early.priority();

/// Where `ip_vs` stands: behind INPUT and FORWARD (0), ahead of source NAT (100).
const BEHIND: i32 = 99;

/// Where it stands in OUTPUT: behind the translation of destinations (-100).
const BEHIND_OUTPUT: i32 = -98;

/// Packets from the network.
struct FromNetwork<F>(PhantomData<F>);

/// Packets from the network that are for this host, seen late.
struct ToHost<F>(PhantomData<F>);

/// Packets from the network that this host forwards, seen late: replies of dests.
struct ThroughHost<F>(PhantomData<F>);

/// Packets of programs on this host.
struct FromHost<F>(PhantomData<F>);

/// Packets of programs on this host, seen late.
struct FromHostBehind<F>(PhantomData<F>);

impl<F: Crosses> Hook<Netns> for FromNetwork<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let Some(ours) = admit::<F>(netns, &skb) else {
            return Verdict::Accept(skb);
        };
        if !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Early, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

impl<F: Crosses> Hook<Netns> for ToHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = BEHIND;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let by_mark = || may_be_marked::<F>(netns, &skb, rcu);
        let Some(ours) = admit::<F>(netns, &skb).or_else(by_mark) else {
            return Verdict::Accept(skb);
        };
        if skb.is_balanced() {
            // On its way out, to this host.
            return Verdict::Accept(skb);
        }
        skb.orphan();
        // It has its mark, and no other hook of ours has seen it.
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

impl<F: Crosses> Hook<Netns> for ThroughHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::Forward;
    const PRIORITY: i32 = BEHIND;

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        match admit::<F>(netns, &skb) {
            Some(Ours::BySource) if skb.is_for_this_host() => {
                let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
                balance::<F, FIRST>(cx, skb, Ours::BySource)
            }
            _ => Verdict::Accept(skb),
        }
    }
}

impl<F: Crosses> Hook<Netns> for FromHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let own_error = || is_own_error::<F>(netns, &skb).then_some(Ours::BySource);
        let Some(ours) = admit::<F>(netns, &skb).or_else(own_error) else {
            return Verdict::Accept(skb);
        };
        if skb.is_balanced() {
            return Verdict::Accept(skb);
        }
        skb.tell_of_missing_sum();
        let cx = Context::new(netns, Self::PLACE, Turn::Early, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

impl<F: Crosses> Hook<Netns> for FromHostBehind<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalOutBehind;
    const PRIORITY: i32 = BEHIND_OUTPUT;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let own_error = || is_own_error::<F>(netns, &skb).then_some(Ours::BySource);
        let by_mark = || may_be_marked::<F>(netns, &skb, rcu);
        let ours = admit::<F>(netns, &skb).or_else(own_error);
        let Some(ours) = ours.or_else(by_mark) else {
            return Verdict::Accept(skb);
        };
        if skb.is_balanced() {
            return Verdict::Accept(skb);
        }
        skb.tell_of_missing_sum();
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

/// Whether a packet, which has its mark if it gets one, is of a service by mark.
fn may_be_marked<F: Crosses>(netns: &Netns, skb: &Skb<'_>, rcu: Rcu<'_>) -> Option<Ours> {
    let is_marked = F::gate(netns).has_marks() && late::is_marked::<F>(netns, skb, rcu);
    is_marked.then_some(Ours::ByDestination)
}

/// Packets from the network that have been marked, or not.
struct MarkedFromNetwork<F>(PhantomData<F>);

/// Packets of programs on this host that have been marked, or not.
struct MarkedFromHost<F>(PhantomData<F>);

impl<F: Crosses> Hook<Netns> for MarkedFromNetwork<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = Turn::Late.priority();

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if skb.is_balanced() || !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        if late::may_begin::<F>(netns, &skb, rcu) {
            balance::<F, AGAIN>(cx, skb, Ours::ByDestination)
        } else if F::gate(netns).replies_wait() && admit::<F>(netns, &skb).is_some() {
            late::waited::<F>(cx, skb)
        } else {
            Verdict::Accept(skb)
        }
    }
}

impl<F: Crosses> Hook<Netns> for MarkedFromHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = Turn::Late.priority();

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if skb.is_balanced() || !late::may_begin::<F>(netns, &skb, rcu) {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, AGAIN>(cx, skb, Ours::ByDestination)
    }
}

/// Packets for this host that rules of INPUT have marked, or not.
struct MarkedToHost<F>(PhantomData<F>);

impl<F: Crosses> Hook<Netns> for MarkedToHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = BEHIND;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if skb.is_balanced() || !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let Some(ours) = may_be_marked::<F>(netns, &skb, rcu) else {
            return Verdict::Accept(skb);
        };
        skb.orphan();
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, AGAIN>(cx, skb, ours)
    }
}

/// Packets of an IP version for this host.
struct FromTunnels<O>(PhantomData<O>);

impl<O: Balanced> Hook<Netns> for FromTunnels<O> {
    const VERSION: u8 = O::VERSION;
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = PRIORITY;

    #[inline]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        match O::Ip::parse(skb.head(), skb.len() as usize) {
            Ok(ip) if ip.protocol() == O::ICMP => tunnel_error::receive::<O>(netns, skb, ip, rcu),
            _ => Verdict::Accept(skb),
        }
    }
}

/// Packets from the network that may be of established flows which the host tracks.
struct FastFromNetwork<F>(PhantomData<F>);

impl<F: Crosses> Hook<Netns> for FastFromNetwork<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = Turn::Fast.priority();

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if admit::<F>(netns, &skb).is_none() || !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        fast::take::<F>(netns, skb, rcu)
    }
}

/// Packets on their way out that have met all rules.
struct Passed<F>(PhantomData<F>);

impl<F: Crosses> Hook<Netns> for Passed<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PostRouting;
    const PRIORITY: i32 = i32::MAX;

    fn packet<'a>(_netns: &'a Netns, skb: Skb<'a>, _rcu: Rcu<'a>) -> Verdict<'a> {
        if skb.is_balanced() {
            lane::note_passed(&skb);
        }
        Verdict::Accept(skb)
    }
}

/// Puts the hooks of a turn for an IP version into a namespace.
pub(crate) fn activate(netns: &Netns, version: u8, turn: Turn, posts: Posts) -> Result<Hooks> {
    match version == V4::VERSION {
        true => hooks_at::<V4>(netns, turn, posts),
        false => hooks_at::<V6>(netns, turn, posts),
    }
}

fn hooks_at<F: Crosses>(netns: &Netns, turn: Turn, posts: Posts) -> Result<Hooks> {
    match (posts, turn) {
        (Posts::Early, _) => hooks::<F>(netns, turn),
        // Packets have their marks by then.
        (Posts::IpVs | Posts::Fast, Turn::Late) => netns.hook([]),
        (Posts::IpVs, _) => netns.hook(hooks_behind::<F>(netns)),
        (Posts::Fast, _) => {
            let more = [
                netfilter::describe::<_, FastFromNetwork<F>>(),
                netfilter::describe::<_, Passed<F>>(),
            ];
            netns.hook(Iterator::chain(hooks_behind::<F>(netns).into_iter(), more))
        }
    }
}

/// Ahead of everything else.
fn hooks<F: Crosses>(netns: &Netns, turn: Turn) -> Result<Hooks> {
    if turn == Turn::Late {
        return netns.hook([
            netfilter::describe::<_, MarkedFromNetwork<F>>(),
            netfilter::describe::<_, MarkedFromHost<F>>(),
            netfilter::describe::<_, MarkedToHost<F>>(),
        ]);
    }
    F::gate(netns).set_ahead_of_input(true);
    netfilter::tell_of_input_rules(netns.net(), F::VERSION);
    netns.hook([
        netfilter::describe::<_, FromNetwork<F>>(),
        netfilter::describe::<_, FromHost<F>>(),
        netfilter::describe::<_, FromTunnels<F>>(),
    ])
}

/// Where `ip_vs` has them.
fn hooks_behind<F: Crosses>(netns: &Netns) -> [Description<Netns>; 4] {
    F::gate(netns).set_ahead_of_input(false);
    [
        netfilter::describe::<_, ToHost<F>>(),
        netfilter::describe::<_, ThroughHost<F>>(),
        netfilter::describe::<_, FromHostBehind<F>>(),
        netfilter::describe::<_, FromTunnels<F>>(),
    ]
}

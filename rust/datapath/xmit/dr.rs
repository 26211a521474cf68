// SPDX-License-Identifier: GPL-2.0

//! Direct routing: addresses and ports stay, only the frame's destination changes.

use super::super::hook::refuse;
use crate::{
    engine::wire::Ipv4,
    kapi::{
        icmp::Answer,
        netfilter::{Place, Verdict},
        rcu::Rcu,
        route::NextHop,
        skb::Skb,
    },
    table::{Counter, Dest, Netns},
};

/// Sends a packet to a dest on a network of this host.
#[inline(always)]
pub(in crate::datapath) fn dr<'a>(
    netns: &'a Netns,
    dest: &'a Dest,
    mut skb: Skb<'a>,
    ip: &Ipv4,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let way = match dest.way(rcu) {
        Some(way) => way,
        None => match find_way(netns, dest, rcu) {
            Some(way) => way,
            None => return refuse(skb, Answer::HostUnreachable),
        },
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    let forwarded = place == Place::PreRouting;
    if forwarded && ip.ttl <= 1 {
        return refuse(skb, Answer::TimeExceeded);
    }
    let fits = skb.len() <= way.mtu() || fits_in_segments(&skb, way.mtu());
    if !fits && ip.dont_fragment() {
        netns.counters.count(Counter::DropTooBig);
        return refuse(skb, Answer::FragmentationNeeded(way.mtu()));
    }
    if !skb.make_header_private(way.headroom()) {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    if forwarded {
        skb.decrease_ttl();
    }
    skb.forget_input();
    Verdict::Stolen(if fits {
        way.send(skb, rcu)
    } else {
        netns.counters.count(Counter::SlowXmit);
        way.send_slowly(skb, rcu)
    })
}

#[cold]
fn find_way<'a>(netns: &'a Netns, dest: &'a Dest, rcu: Rcu<'a>) -> Option<&'a NextHop> {
    netns.counters.count(Counter::RouteRefreshes);
    let way = dest.find_way(netns.net(), rcu);
    if way.is_err() {
        netns.counters.count(Counter::DropNoRoute);
    }
    way.ok()
}

/// Whether a packet over the MTU is one that will be cut into segments under it.
#[cold]
fn fits_in_segments(skb: &Skb<'_>, mtu: u32) -> bool {
    skb.is_gso() && skb.gso_fits(mtu)
}

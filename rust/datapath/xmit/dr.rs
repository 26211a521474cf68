// SPDX-License-Identifier: GPL-2.0

//! Direct routing: addresses and ports stay, only the frame's destination changes.

use kernel::prelude::*;

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
            Ok(way) => way,
            Err(error) => return no_way(netns, skb, error),
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
fn find_way<'a>(netns: &'a Netns, dest: &'a Dest, rcu: Rcu<'a>) -> Result<&'a NextHop> {
    netns.counters.count(Counter::RouteRefreshes);
    dest.find_way(netns.net(), rcu)
}

/// A packet for a dest to which no way was found.
///
/// On lack of memory the sender is told nothing: it would give up, and its next try may succeed.
#[cold]
fn no_way<'a>(netns: &'a Netns, skb: Skb<'a>, error: Error) -> Verdict<'a> {
    if error == ENOMEM || error == ENOBUFS {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    netns.counters.count(Counter::DropNoRoute);
    refuse(skb, Answer::HostUnreachable)
}

/// Whether a packet over the MTU is one that will be cut into segments under it.
#[cold]
fn fits_in_segments(skb: &Skb<'_>, mtu: u32) -> bool {
    skb.is_gso() && skb.gso_fits(mtu)
}

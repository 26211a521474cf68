// SPDX-License-Identifier: GPL-2.0

//! Sending packets: what all forwarding modes share, and one file a mode.

mod dr;
mod nat;

pub(super) use dr::dr;
pub(super) use nat::{icmp_error, nat};

use kernel::prelude::*;

use super::hook::refuse;
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

/// The way to a dest, looked up when there is none or it is no longer good.
#[inline(always)]
fn way_to<'a>(netns: &'a Netns, dest: &'a Dest, rcu: Rcu<'a>) -> Result<&'a NextHop> {
    match dest.way(rcu) {
        Some(way) => Ok(way),
        None => {
            netns.counters.count(Counter::RouteRefreshes);
            dest.find_way(netns.net(), rcu)
        }
    }
}

/// A packet for which no way was found.
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

/// Sends a packet on a way that leads to another host, as a router does: time to live, MTU.
///
/// `edit` changes the first `len` bytes, which are linear; `None` from it is a packet whose headers
/// are not what they were when they were read, and is dropped.
#[inline(always)]
fn transmit<'a>(
    netns: &'a Netns,
    way: &'a NextHop,
    mut skb: Skb<'a>,
    ip: &Ipv4,
    place: Place,
    rcu: Rcu<'a>,
    len: usize,
    edit: impl FnOnce(&mut Skb<'_>) -> Option<()>,
) -> Verdict<'a> {
    let forwarded = place == Place::PreRouting;
    if forwarded && ip.ttl <= 1 {
        return refuse(skb, Answer::TimeExceeded);
    }
    let fits = skb.len() <= way.mtu() || fits_in_segments(&skb, way.mtu());
    if !fits && ip.dont_fragment() {
        netns.counters.count(Counter::DropTooBig);
        return refuse(skb, Answer::FragmentationNeeded(way.mtu()));
    }
    if !skb.make_writable(len, way.headroom()) {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    if edit(&mut skb).is_none() {
        netns.counters.count(Counter::DropMalformed);
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

/// Whether a packet over the MTU is one that will be cut into segments under it.
#[cold]
fn fits_in_segments(skb: &Skb<'_>, mtu: u32) -> bool {
    skb.is_gso() && skb.gso_fits(mtu)
}

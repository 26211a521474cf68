// SPDX-License-Identifier: GPL-2.0

//! Sending packets: what all forwarding modes share, and one file a mode.

mod datagram;
mod dr;
mod fullnat;
mod nat;
pub(super) mod nat64;
mod tun;

pub(super) use nat::{icmp_error, nat};

use kernel::prelude::*;

use super::{context::Context, hook::refuse};
use crate::{
    engine::{
        family::{Family, IpHeader},
        spec::Mode,
    },
    kapi::{
        icmp::Answer,
        netfilter::{Place, Verdict},
        route::NextHop,
        skb::Skb,
    },
    table::{Counter, Dest, Netns},
};

/// Sends a packet to a dest as it is, by the dest's mode. `flow` is its flow's hash.
#[inline(always)]
pub(super) fn whole<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
    flow: u32,
) -> Verdict<'a> {
    if dest.spec().mode == Mode::Tun {
        return tun::tun::<F>(cx, dest, skb, ip, flow);
    }
    dr::dr::<F>(cx, dest, skb, ip)
}

/// The way to a dest, looked up when there is none or it is no longer good.
#[inline(always)]
fn way_to<'a>(cx: Context<'a>, dest: &'a Dest) -> Result<&'a NextHop> {
    match dest.way(cx.rcu) {
        Some(way) => Ok(way),
        None => {
            cx.netns.counters.count(Counter::RouteRefreshes);
            dest.find_way(cx.netns.net(), cx.rcu)
        }
    }
}

/// Whether packets to a dest are for this host.
pub(super) fn stays_here(cx: Context<'_>, dest: &Dest) -> bool {
    way_to(cx, dest).is_ok_and(NextHop::is_local)
}

/// A packet for which no way was found.
///
/// On lack of memory the sender is told nothing: it would give up, and its next try may succeed.
#[cold]
fn no_way<'a>(netns: &'a Netns, skb: Skb<'a>, version: u8, error: Error) -> Verdict<'a> {
    if error == ENOMEM || error == ENOBUFS {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    netns.counters.count(Counter::DropNoRoute);
    refuse(skb, version, Answer::HostUnreachable)
}

/// What a mode does to a packet.
struct Edit<F> {
    /// It writes to this many bytes from the IP header on.
    writes: usize,
    /// It puts this many bytes in front.
    pushes: u32,
    edit: F,
}

/// Sends a packet on a way that leads to another host, as a router does: time to live, MTU.
///
/// `edit` changes the first `writes` bytes, which are linear, and puts `pushes` bytes in front;
/// `None` from it is a packet that it cannot be done to, and that is dropped.
#[inline(always)]
fn transmit<'a, F: Family>(
    cx: Context<'a>,
    way: &'a NextHop,
    mut skb: Skb<'a>,
    ip: &F::Ip,
    Edit {
        writes,
        pushes,
        edit,
    }: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    let netns = cx.netns;
    let forwarded = cx.place == Place::PreRouting;
    if forwarded && ip.ttl() <= 1 {
        return refuse(skb, F::VERSION, Answer::TimeExceeded);
    }
    let mtu = way.mtu().saturating_sub(pushes);
    let fits = skb.len() <= mtu || fits_in_segments(&skb, mtu);
    // An IPv6 packet that came in fragments leaves in such.
    let came_whole = || F::VERSION == 4 || !(forwarded && skb.came_in_fragments_v6());
    if !fits && ip.dont_fragment() && came_whole() {
        netns.counters.count(Counter::DropTooBig);
        return refuse(skb, F::VERSION, Answer::FragmentationNeeded(mtu));
    }
    if !skb.make_writable(writes, way.headroom().saturating_add(pushes)) {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    if forwarded {
        skb.count_hop(F::VERSION);
    }
    if edit(&mut skb).is_none() {
        netns.counters.count(Counter::DropMalformed);
        return Verdict::Drop(skb);
    }
    skb.forget_input();
    Verdict::Stolen(if fits {
        way.send(skb, cx.rcu)
    } else {
        netns.counters.count(Counter::SlowXmit);
        way.send_slowly(skb, cx.rcu)
    })
}

/// Whether a packet over the MTU is one that will be cut into segments under it.
#[cold]
fn fits_in_segments(skb: &Skb<'_>, mtu: u32) -> bool {
    skb.is_gso() && skb.gso_fits(mtu)
}

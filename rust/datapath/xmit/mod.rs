// SPDX-License-Identifier: GPL-2.0

//! Sending packets: what all forwarding modes share, and one file a mode.

mod datagram;
mod dr;
mod fullnat;
mod nat;
pub(super) mod nat64;
mod path;
mod tun;

pub(super) use nat::{icmp_error, nat};

use kernel::prelude::*;

use super::{context::Context, hook::refuse};
use crate::{
    engine::{
        family::{Family, IpHeader, V4, V6},
        spec::Mode,
        wire::IcmpFamily,
    },
    kapi::{
        icmp::Answer,
        netfilter::Verdict,
        route::{self, NextHop},
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
    match dest.mode() {
        Mode::Tun => tun::tun::<F>(cx, dest, skb, ip, flow),
        // This host's own packet, whatever the dest's address.
        Mode::Local => Verdict::Accept(skb),
        _ => dr::dr::<F>(cx, dest, skb, ip),
    }
}

/// The way to a dest, looked up when there is none or it is no longer good.
#[inline(always)]
pub(super) fn way_to<'a>(cx: Context<'a>, dest: &'a Dest) -> Result<&'a NextHop> {
    match dest.way(cx.rcu) {
        Some(way) => Ok(way),
        None => {
            cx.netns.looks_for_way();
            dest.find_way(cx.netns.net(), cx.rcu)
        }
    }
}

/// Whether packets to a dest are for this host.
pub(super) fn stays_here(cx: Context<'_>, dest: &Dest) -> bool {
    dest.mode() == Mode::Local || way_to(cx, dest).is_ok_and(NextHop::is_local)
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

/// Gives a packet one header for all its segments, where each has its own: what a mode does to the
/// one it then does to all. An error where there is no memory.
#[inline(always)]
fn with_one_header<'a>(
    cx: Context<'a>,
    skb: Skb<'a>,
    ip: &impl IpHeader,
) -> Result<Skb<'a>, Verdict<'a>> {
    if skb.has_many_headers() {
        return take_first_header(cx, skb, ip.header_len());
    }
    Ok(skb)
}

#[cold]
fn take_first_header<'a>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    transport: usize,
) -> Result<Skb<'a>, Verdict<'a>> {
    if skb.take_first_header(transport) {
        return Ok(skb);
    }
    cx.netns.counters.count(Counter::DropNoMemory);
    Err(Verdict::Drop(skb))
}

/// Room that is in front of packets of this host's own whose way is not known yet.
pub(super) const HEADROOM: u32 = 128;

/// Sends a packet that this host has made, which fits, to another host or to itself.
pub(super) fn send_own(cx: Context<'_>, way: &NextHop, mut packet: Skb<'_>) {
    if way.is_local() {
        way.take_home(&mut packet);
        let _ = packet.take_in(cx.netns.net(), None);
    } else if packet.make_writable(0, way.headroom()) {
        send_alone(cx, way, packet);
    } else {
        // It may get lost.
        cx.netns.counters.count(Counter::DropNoMemory);
        let _ = route::free(packet);
    }
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
    let forwarded = cx.place.counts_hop();
    if forwarded && ip.ttl() <= 1 {
        return refuse(skb, F::VERSION, Answer::TimeExceeded);
    }
    let mut straight = true;
    if skb.len() > way.straight().saturating_sub(pushes) {
        match exit::<F>(&skb, way, ip, pushes, forwarded) {
            Exit::Straight => {}
            Exit::Slow => straight = false,
            Exit::None(mtu) => {
                netns.counters.count(Counter::DropTooBig);
                return refuse(skb, F::VERSION, Answer::FragmentationNeeded(mtu));
            }
        }
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
    Verdict::Stolen(if straight {
        way.send(skb, cx.rcu)
    } else {
        netns.counters.count(Counter::SlowXmit);
        way.send_slowly(skb, cx.rcu, || netns.counters.count(Counter::DropOutput))
    })
}

/// Sends a packet that this host has made, which fits.
#[cold]
fn send_alone(cx: Context<'_>, way: &NextHop, packet: Skb<'_>) {
    let _ = match way.straight() {
        0 => {
            let refused = || cx.netns.counters.count(Counter::DropOutput);
            way.send_slowly(packet, cx.rcu, refused)
        }
        _ => way.send(packet, cx.rcu),
    };
}

/// How a packet leaves.
enum Exit {
    /// To the neighbour.
    Straight,
    /// By the kernel's own output, which cuts it where it is too long.
    Slow,
    /// It does not: it is longer than this many bytes and may not be cut.
    None(u32),
}

/// How a packet leaves that is longer than what may go straight.
#[cold]
fn exit<F: Family>(skb: &Skb<'_>, way: &NextHop, ip: &F::Ip, pushes: u32, forwarded: bool) -> Exit {
    let mtu = way.mtu().saturating_sub(pushes);
    // A packet over the MTU may be one that will be cut into segments under it.
    // An IPv6 packet that came in fragments leaves in such.
    let came_whole = || F::VERSION == 4 || !(forwarded && skb.came_in_fragments_v6());
    let least = least::<F>();
    match (skb.fits(mtu), way.straight()) {
        (true, 0) => Exit::Slow,
        (true, _) => Exit::Straight,
        // Senders of IPv6 go no lower: the packet around it is cut, or the one of IPv4 that it becomes.
        (false, _) if F::VERSION == 6 && skb.fits(least) => Exit::Slow,
        (false, _) if ip.dont_fragment() && came_whole() => Exit::None(mtu.max(least)),
        (false, _) => Exit::Slow,
    }
}

/// The least MTU that a sender is told of.
fn least<F: Family>() -> u32 {
    match F::VERSION {
        4 => V4::MTU_MIN,
        _ => V6::MTU_MIN,
    }
}

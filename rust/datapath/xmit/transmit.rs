// SPDX-License-Identifier: GPL-2.0

//! The way out: looked up, and taken as a router does, with the time to live and the MTU.

use core::sync::atomic::Ordering;

use kernel::prelude::*;

use super::exit::{exit, Exit};
use crate::{
    datapath::{
        answer::{discard, too_big, ttl_exceeded},
        blame::Flow,
        context::Context,
    },
    engine::{
        family::{Family, IpHeader, Tuple},
        spec::Mode,
    },
    kapi::{
        editable::Editable,
        lane,
        netfilter::Verdict,
        route::{NextHop, Reply},
        skb::Skb,
    },
    table::{Counter, Dest, NatConn, Turn},
};

/// The way to a dest, looked up when there is none or it is no longer good.
#[inline(always)]
pub(in crate::datapath) fn way_to<'a>(cx: Context<'a>, dest: &'a Dest) -> Result<&'a NextHop> {
    match dest.way(cx.rcu) {
        Some(way) => Ok(way),
        None => {
            cx.netns.looks_for_way();
            dest.find_way(cx.netns.net(), cx.rcu)
        }
    }
}

/// Whether packets to a dest are for this host.
pub(in crate::datapath) fn stays_here(cx: Context<'_>, dest: &Dest) -> bool {
    dest.mode() == Mode::Local || way_to(cx, dest).is_ok_and(NextHop::is_local)
}

/// The way to a connection's client, for a reply as it came.
#[inline(always)]
pub(super) fn way_back<'a, C: Tuple, D: Tuple>(
    cx: Context<'a>,
    nat: &'a NatConn<C, D>,
    skb: &Skb<'_>,
) -> Result<&'a NextHop> {
    let number = nat.way_back();
    if let Some(way) = cx.netns.ways.get(number.load(Ordering::Relaxed), cx.rcu) {
        return Ok(way);
    }
    cx.netns.looks_for_way();
    let tuple = nat.client_tuple();
    let (client, asked) = (tuple.source(), tuple.destination());
    let reply = Reply::new(skb, tuple.protocol(), asked, client);
    cx.netns.find_way_back(&reply, number, cx.rcu)
}

/// Gives a packet one header for all its segments, where each has its own: what a mode does to the
/// one it then does to all. An error where there is no memory.
#[inline(always)]
pub(super) fn with_one_header<'a>(
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
    Err(discard(cx, skb, Counter::DropNoMemory))
}

/// What a mode does to a packet.
pub(super) struct Edit<F> {
    /// It writes to this many bytes from the IP header on.
    pub(super) writes: usize,
    /// It puts this many bytes in front.
    pub(super) pushes: u32,
    pub(super) edit: F,
}

impl<F> Edit<F> {
    /// How many bytes it writes, and how many it puts in front.
    #[inline(always)]
    pub(super) fn size(&self) -> (usize, u32) {
        (self.writes, self.pushes)
    }
}

/// A packet that may be edited now, and then leaves.
pub(super) struct Ready<'a> {
    pub(super) skb: Skb<'a>,
    pub(super) way: &'a NextHop,
    pub(super) exit: Exit,
}

impl<'a> Ready<'a> {
    /// Sends it, unless it could not be `edited`.
    #[inline(always)]
    pub(super) fn leave(self, cx: Context<'a>, edited: Option<()>) -> Verdict<'a> {
        match edited {
            Some(()) => leave(cx, self.way, self.skb, self.exit),
            None => discard(cx, self.skb, Counter::DropMalformed),
        }
    }
}

/// Sends a packet on a way that leads to another host, as a router does: time to live, MTU.
///
/// `edit` changes the first `writes` bytes, which are linear, and puts `pushes` bytes in front;
/// `None` from it is a packet that it cannot be done to, and that is dropped.
#[inline(always)]
pub(super) fn transmit<'a, F: Family>(
    cx: Context<'a>,
    way: &'a NextHop,
    skb: Skb<'a>,
    ip: &F::Ip,
    edit: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    let mut ready = match prepare::<F>(cx, way, skb, ip, edit.size()) {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    let edited = (edit.edit)(&mut ready.skb);
    ready.leave(cx, edited)
}

/// Makes a packet ready for an edit of that size, and to leave for another host.
#[inline(always)]
pub(super) fn prepare<'a, F: Family>(
    cx: Context<'a>,
    way: &'a NextHop,
    mut skb: Skb<'a>,
    ip: &F::Ip,
    (writes, pushes): (usize, u32),
) -> Result<Ready<'a>, Verdict<'a>> {
    let forwarded = cx.place.counts_hop();
    if forwarded && ip.ttl() <= 1 {
        return Err(ttl_exceeded(skb, F::VERSION));
    }
    let mut by = Exit::Straight;
    if skb.len() > way.straight().saturating_sub(pushes) {
        match exit::<F>(&skb, way, ip, pushes, !cx.place.is_local_out()) {
            _ if cx.turn == Turn::Fast => skb = past_rules(way, skb, pushes)?,
            Ok(exit) => by = exit,
            Err(mtu) => return Err(too_big(cx, skb, F::VERSION, mtu)),
        }
    }
    if !skb.make_writable(writes, way.headroom().saturating_add(pushes)) {
        return Err(discard(cx, skb, Counter::DropNoMemory));
    }
    if forwarded {
        skb.count_hop(F::VERSION);
    }
    Ok(Ready { skb, way, exit: by })
}

/// A packet that goes past rules; an error is one that cannot, and goes all the way.
#[cold]
fn past_rules<'a>(way: &NextHop, skb: Skb<'a>, pushes: u32) -> Result<Skb<'a>, Verdict<'a>> {
    let straight = way.straight_past_rules();
    if straight != 0 && skb.fits(straight.saturating_sub(pushes)) {
        return Ok(skb);
    }
    Err(Verdict::Accept(skb))
}

/// Hands a packet over: to the neighbour, or to who else is to have it.
#[inline(always)]
pub(in crate::datapath) fn leave<'a>(
    cx: Context<'a>,
    way: &NextHop,
    mut skb: Skb<'a>,
    exit: Exit,
) -> Verdict<'a> {
    if exit != Exit::Straight || cx.place.is_behind() {
        return leave_otherwise(cx, way, skb, exit);
    }
    skb.forget_input();
    Verdict::Stolen(way.send(skb, cx.rcu))
}

/// Hands a packet over to this host, or to its output.
#[cold]
fn leave_otherwise<'a>(
    cx: Context<'a>,
    way: &NextHop,
    mut skb: Skb<'a>,
    exit: Exit,
) -> Verdict<'a> {
    let keeps = cx.place.is_behind() && skb.keeps_track();
    match exit {
        Exit::Home => {
            way.take_home(&mut skb);
            // What it is to by now may be marked as a new flow's.
            skb.mark_balanced();
            return Verdict::Accept(skb);
        }
        Exit::OnItsWay => return Verdict::Accept(skb),
        Exit::Straight if !keeps => {
            skb.forget_input();
            lane::note_passed(&skb);
            return Verdict::Stolen(way.send(skb, cx.rcu));
        }
        // What it keeps of connection tracking the host's output has to see.
        Exit::Straight | Exit::Slow => {}
    }
    if keeps {
        skb.forget_arrival();
    } else {
        skb.forget_input();
    }
    cx.netns.counters.count(Counter::SlowXmit);
    let (flow, mark) = (Flow::of(&skb), skb.mark());
    let refused = || {
        cx.netns.counters.count(Counter::DropOutput);
        if let Some(flow) = flow {
            flow.count_drop(cx, mark);
        }
    };
    Verdict::Stolen(way.send_slowly(skb, cx.rcu, keeps, refused))
}

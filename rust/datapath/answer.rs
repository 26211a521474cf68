// SPDX-License-Identifier: GPL-2.0

//! Packets that go no further, and what their senders are told: no way, too big, TTL exceeded.

use kernel::prelude::*;

use super::{blame::Flow, context::Context, gate::Ours};
use crate::{
    kapi::{
        errno::ENOBUFS,
        icmp::{self, Answer},
        netfilter::{self, Verdict},
        skb::Skb,
        trace,
    },
    table::Counter,
};

/// Drops a packet, which is counted as `why`. Nobody is told.
#[cold]
pub(super) fn discard<'a>(cx: Context<'a>, skb: Skb<'a>, why: Counter) -> Verdict<'a> {
    note(cx, &skb, why);
    netfilter::discard(skb, why.reason())
}

/// Counts a packet that is dropped: of the namespace, and of the dest or the service that it was for. Tells
/// whoever watches.
fn note(cx: Context<'_>, skb: &Skb<'_>, why: Counter) {
    cx.netns.counters.count(why);
    if let Some(flow) = Flow::of(skb) {
        flow.count_drop(cx, skb.mark());
    }
    trace::drop(cx.netns.net(), skb, why.name());
}

/// Answers a packet of that IP version and drops it, which is counted as `why`.
#[cold]
pub(super) fn refuse<'a>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    version: u8,
    (why, answer): (Counter, Answer),
) -> Verdict<'a> {
    note(cx, &skb, why);
    icmp::answer(&mut skb, version, answer);
    netfilter::discard(skb, why.reason())
}

/// A packet whose headers are short or lie.
pub(super) fn malformed<'a>(cx: Context<'a>, skb: Skb<'a>, ours: Ours) -> Verdict<'a> {
    if ours == Ours::BySource {
        return Verdict::Accept(skb);
    }
    discard(cx, skb, Counter::DropMalformed)
}

/// A packet for which no way was found.
///
/// On lack of memory the sender is told nothing: it would give up, and its next try may succeed.
#[cold]
pub(super) fn no_way<'a>(cx: Context<'a>, skb: Skb<'a>, version: u8, error: Error) -> Verdict<'a> {
    if error == ENOMEM || error == ENOBUFS {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    let told = (Counter::DropNoRoute, Answer::HostUnreachable);
    refuse(cx, skb, version, told)
}

/// A packet that may not be cut and is longer than the path takes: `mtu` bytes.
#[cold]
pub(super) fn too_big<'a>(cx: Context<'a>, skb: Skb<'a>, version: u8, mtu: u32) -> Verdict<'a> {
    let told = (Counter::DropTooBig, Answer::FragmentationNeeded(mtu));
    refuse(cx, skb, version, told)
}

/// A packet whose time to live, or hop limit, is used up.
#[cold]
pub(super) fn ttl_exceeded<'a>(mut skb: Skb<'a>, version: u8) -> Verdict<'a> {
    icmp::answer(&mut skb, version, Answer::TimeExceeded);
    Verdict::Drop(skb)
}

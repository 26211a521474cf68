// SPDX-License-Identifier: GPL-2.0

//! Packets that go no further, and what their senders are told: no way, too big, TTL exceeded.

use kernel::prelude::*;

use super::gate::Ours;
use crate::{
    kapi::{
        errno::ENOBUFS,
        icmp::{self, Answer},
        netfilter::Verdict,
        skb::Skb,
    },
    table::{Counter, Netns},
};

/// Drops a packet, which is counted as `why`. Nobody is told.
#[cold]
pub(super) fn discard<'a>(netns: &Netns, skb: Skb<'a>, why: Counter) -> Verdict<'a> {
    netns.counters.count(why);
    Verdict::Drop(skb)
}

/// Answers a packet of that IP version and drops it.
#[cold]
pub(super) fn refuse<'a>(mut skb: Skb<'a>, version: u8, answer: Answer) -> Verdict<'a> {
    icmp::answer(&mut skb, version, answer);
    Verdict::Drop(skb)
}

/// A packet whose headers are short or lie.
pub(super) fn malformed<'a>(netns: &Netns, skb: Skb<'a>, ours: Ours) -> Verdict<'a> {
    if ours == Ours::BySource {
        return Verdict::Accept(skb);
    }
    discard(netns, skb, Counter::DropMalformed)
}

/// A packet for which no way was found.
///
/// On lack of memory the sender is told nothing: it would give up, and its next try may succeed.
#[cold]
pub(super) fn no_way<'a>(netns: &Netns, skb: Skb<'a>, version: u8, error: Error) -> Verdict<'a> {
    if error == ENOMEM || error == ENOBUFS {
        return discard(netns, skb, Counter::DropNoMemory);
    }
    netns.counters.count(Counter::DropNoRoute);
    refuse(skb, version, Answer::HostUnreachable)
}

/// A packet that may not be cut and is longer than the path takes: `mtu` bytes.
#[cold]
pub(super) fn too_big<'a>(netns: &Netns, skb: Skb<'a>, version: u8, mtu: u32) -> Verdict<'a> {
    netns.counters.count(Counter::DropTooBig);
    refuse(skb, version, Answer::FragmentationNeeded(mtu))
}

/// A packet whose time to live, or hop limit, is used up.
#[cold]
pub(super) fn ttl_exceeded<'a>(skb: Skb<'a>, version: u8) -> Verdict<'a> {
    refuse(skb, version, Answer::TimeExceeded)
}

// SPDX-License-Identifier: GPL-2.0

//! Reading packets whose headers are not linear, that come in fragments, or are not TCP or UDP.

use super::{
    answer::{discard, malformed},
    context::Context,
    gate::{Balanced, Ours},
};
use crate::{
    engine::{
        family::IpHeader,
        wire::{Error, Packet},
    },
    kapi::{defrag, netfilter::Verdict, skb::Skb},
    table::Counter,
};

/// Times that a packet is read at most: its headers and extensions may be made linear one by one,
/// before and after its fragments are put together.
pub(super) const ATTEMPTS: u32 = 24;

/// Bytes that are copied of a packet whose headers may not be made linear: an IP header with all
/// that may stand behind it, as far as such packets have it, and the first chunk's head.
const COPIED: usize = 256;

/// What a packet is that could not be read as it was.
pub(super) enum Read<'a, F: Balanced> {
    /// One of a flow.
    Packet(Skb<'a>, Packet<F>),
    /// An ICMP message.
    Icmp(Skb<'a>, F::Ip),
    /// None of ours, or none any more.
    Verdict(Verdict<'a>),
}

/// Reads a packet again after `error`: its headers are made linear, its fragments put together.
#[cold]
pub(super) fn again<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ours: Ours,
    mut error: Error,
) -> Read<'a, F> {
    if error == Error::Protocol {
        match parse(&skb) {
            Ok(packet) => return Read::Packet(skb, packet),
            Err(next) => error = next,
        }
    }
    // Each header may have to be made linear, once before and once after defragmentation.
    for _ in 0..ATTEMPTS {
        let parsed = match error {
            Error::NotLinear(_) if skb.is_cut_at_fragments() => match parse_copy(&skb) {
                Err(Error::NotLinear(_)) => break,
                parsed => parsed,
            },
            Error::NotLinear(len) => {
                if !skb.pull(len) {
                    return Read::Verdict(discard(cx, skb, Counter::DropNoMemory));
                }
                parse(&skb)
            }
            Error::Fragment => match defrag::gather(skb, cx.netns.net(), F::VERSION) {
                Ok(whole) => {
                    skb = whole;
                    parse(&skb)
                }
                Err(queued) => return Read::Verdict(Verdict::Stolen(queued)),
            },
            Error::Protocol => return other(skb),
            _ => break,
        };
        match parsed {
            Ok(packet) => return Read::Packet(skb, packet),
            Err(next) => error = next,
        }
    }
    if error == Error::Fragment {
        // Nobody puts fragments together here.
        return Read::Verdict(Verdict::Accept(skb));
    }
    Read::Verdict(malformed(cx, skb, ours))
}

fn parse<F: Balanced>(skb: &Skb<'_>) -> Result<Packet<F>, Error> {
    Packet::parse(skb.head(), skb.len() as usize)
}

/// Reads a packet of which no more may be made linear.
pub(super) fn parse_copy<F: Balanced>(skb: &Skb<'_>) -> Result<Packet<F>, Error> {
    let mut copy = [0; COPIED];
    Packet::parse(skb.copy(&mut copy), skb.len() as usize)
}

/// A packet of another protocol than those of flows.
fn other<'a, F: Balanced>(skb: Skb<'a>) -> Read<'a, F> {
    match F::Ip::parse(skb.head(), skb.len() as usize) {
        Ok(ip) if ip.protocol() == F::ICMP => Read::Icmp(skb, ip),
        _ => Read::Verdict(Verdict::Accept(skb)),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Whether packets may come from where they say.
//!
//! They are taken ahead of the routing decision, which looks at their source (`ip_vs` stands behind
//! it). So first packets of flows, ICMP errors and pings are asked here what it would ask them;
//! what follows them has the same source.

use super::{answer::discard, context::Context, gate::Balanced};
use crate::{
    engine::{
        family::{IpHeader, Tuple},
        wire::source_route,
    },
    kapi::{
        netfilter::{Place, Verdict},
        skb::Skb,
    },
    table::Counter,
};

/// What comes of asking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The host would take it.
    Good,
    /// The host would take it, to send it on to where its sender wants it next.
    Routed,
    /// The host would drop it; to be counted as this.
    Bad(Counter),
}

/// Asks a packet whose IP header is linear. An error is what becomes of it.
pub(super) fn check<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ip: &F::Ip,
) -> Result<Skb<'a>, Verdict<'a>> {
    match ask::<F>(cx, &mut skb, ip) {
        Source::Good => Ok(skb),
        Source::Routed => Err(Verdict::Accept(skb)),
        Source::Bad(counter) => Err(discard(cx, skb, counter)),
    }
}

fn ask<F: Balanced>(cx: Context<'_>, skb: &mut Skb<'_>, ip: &F::Ip) -> Source {
    // Elsewhere it was asked before, or a program here has sent it.
    if cx.place != Place::PreRouting || skb.was_sent_here() {
        return Source::Good;
    }
    let way = match options::<F>(skb, ip) {
        Ok(way) => way,
        Err(counter) => return Source::Bad(counter),
    };
    if !skb.is_source_good(F::VERSION, is_virtual::<F>(cx, skb, ip)) {
        return Source::Bad(Counter::DropMartian);
    }
    way
}

/// What becomes of a packet that says itself which way it goes.
fn options<F: Balanced>(skb: &Skb<'_>, ip: &F::Ip) -> Result<Source, Counter> {
    if F::VERSION != 4 || ip.header_len() <= F::Ip::FIXED_LEN {
        return Ok(Source::Good);
    }
    let options = skb.head().get(F::Ip::FIXED_LEN..ip.header_len());
    match source_route::read(options.unwrap_or(&[])) {
        Ok(None) => Ok(Source::Good),
        Ok(Some(_)) if !skb.takes_source_route() => Err(Counter::DropMartian),
        Ok(Some(route)) if route.is_over => Ok(Source::Good),
        Ok(Some(_)) => Ok(Source::Routed),
        Err(_) => Err(Counter::DropMalformed),
    }
}

/// Whether a packet says that it comes from a virtual address. With one that is on the host this is
/// what the host says of its own addresses; but it need not be.
fn is_virtual<F: Balanced>(cx: Context<'_>, skb: &Skb<'_>, ip: &F::Ip) -> bool {
    let tuple = ip.tuple(0);
    if tuple.src() == tuple.dst() {
        return true;
    }
    let filter = &F::gate(cx.netns).virtual_addresses;
    filter.may_contain(F::source(skb)) && cx.netns.is_virtual(&tuple.reversed(), cx.rcu)
}

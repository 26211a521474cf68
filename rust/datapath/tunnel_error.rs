// SPDX-License-Identifier: GPL-2.0

//! ICMP errors about this host's own tunnels: they become errors to the client.
//!
//! They are for this host, not for a virtual address, so that they are looked for where packets
//! for this host arrive; those that are forwarded pay nothing.

use super::{gate::Balanced, read::ATTEMPTS};
use crate::{
    engine::{
        family::{IpHeader, V4, V6},
        spec::Mode,
        wire::{icmp::Report, tunnel::TunnelError, Error},
    },
    kapi::{
        icmp::{self, PassedOn},
        netfilter::Verdict,
        rcu::Rcu,
        skb::Skb,
    },
    table::{Netns, Side},
};

/// An ICMP message to this host.
#[cold]
pub(super) fn receive<'a, O: Balanced>(
    netns: &'a Netns,
    mut skb: Skb<'a>,
    ip: O::Ip,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    if let Some(error) = read::<O, V4>(&mut skb, ip) {
        return answer::<O, V4>(netns, skb, &error, rcu);
    }
    match read::<O, V6>(&mut skb, ip) {
        Some(error) => answer::<O, V6>(netns, skb, &error, rcu),
        None => Verdict::Accept(skb),
    }
}

/// An error about a tunnel with a packet of the family `I` in it.
fn answer<'a, O: Balanced, I: Balanced>(
    netns: &'a Netns,
    mut skb: Skb<'a>,
    error: &TunnelError<I>,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let hash = netns.connections.hash(&error.tuple);
    let Some((conn, Side::Client)) = netns.connections.lookup(&error.tuple, hash, rcu) else {
        return Verdict::Accept(skb);
    };
    let dest = conn.dest();
    if dest.mode() != Mode::Tun || !error.is_about(dest.id().address, dest.tunnel()) {
        return Verdict::Accept(skb);
    }
    // Before the answer: what comes next is to find the new MTU.
    if let Some(message) = passed_on::<O, I>(error) {
        icmp::pass_on(&mut skb, netns.net(), &message);
    }
    Verdict::Drop(skb)
}

/// What becomes of the error. None where a path is said to take less than any may. Packets in the
/// tunnel are told no less than what their family's paths take: what is that short is cut by us.
fn passed_on<O: Balanced, I: Balanced>(error: &TunnelError<I>) -> Option<PassedOn> {
    let (path, info) = match error.report {
        Report::TooBig(path) => {
            let inner = error.inner_mtu().filter(|_| path >= O::MTU_MIN)?;
            (path, inner.max(I::MTU_MIN))
        }
        _ => (0, 0),
    };
    // Who may be cut is: by us, from the next packet on.
    let answers = path == 0 || error.dont_fragment;
    let (kind, code) = error.told::<O>();
    Some(PassedOn {
        outer: u32::try_from(error.outer_offset).ok()?,
        inner: u32::try_from(error.inner_offset).ok()?,
        path,
        told: (if answers { kind } else { 0 }, code),
        info,
    })
}

/// Reads the message, making as much of it linear as that takes. None when it is another one.
fn read<O: Balanced, I: Balanced>(skb: &mut Skb<'_>, mut ip: O::Ip) -> Option<TunnelError<I>> {
    for _ in 0..ATTEMPTS {
        match TunnelError::parse::<O>(skb.head(), &ip) {
            Ok(error) => return Some(error),
            Err(Error::NotLinear(len)) if skb.pull(len) => {
                ip = O::Ip::parse(skb.head(), skb.len() as usize).ok()?;
            }
            Err(_) => return None,
        }
    }
    None
}

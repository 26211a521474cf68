// SPDX-License-Identifier: GPL-2.0

//! ICMP errors about this host's own tunnels: they become errors to the client.
//!
//! They are for this host, not for a virtual address, so that they are looked for where packets
//! for this host arrive; those that are forwarded pay nothing.

use super::hook::{ATTEMPTS, PRIORITY};
use crate::{
    engine::{
        family::{Family, IpHeader, V4},
        spec::Mode,
        wire::{icmp::Report, tunnel::TunnelError, Error, Ipv4},
    },
    kapi::{
        icmp::{self, PassedOn},
        netfilter::{Hook, Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Netns, Side},
};

/// The least that every path takes whole, in bytes (RFC 791).
const MTU_MIN: u32 = 68;

/// IPv4 packets for this host.
pub(super) struct FromTunnels;

impl Hook<Netns> for FromTunnels {
    const VERSION: u8 = V4::VERSION;
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = PRIORITY;

    #[inline]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        match Ipv4::parse(skb.head(), skb.len() as usize) {
            Ok(ip) if ip.protocol() == V4::ICMP => receive(netns, skb, ip, rcu),
            _ => Verdict::Accept(skb),
        }
    }
}

/// An ICMP message to this host.
#[cold]
fn receive<'a>(netns: &'a Netns, mut skb: Skb<'a>, ip: Ipv4, rcu: Rcu<'a>) -> Verdict<'a> {
    let Some(error) = read(&mut skb, ip) else {
        return Verdict::Accept(skb);
    };
    let hash = netns.connections.hash(&error.tuple);
    let Some((conn, Side::Client)) = netns.connections.lookup(&error.tuple, hash, rcu) else {
        return Verdict::Accept(skb);
    };
    let dest = conn.dest();
    if dest.mode() != Mode::Tun || !error.is_about(dest.id().address, dest.tunnel()) {
        return Verdict::Accept(skb);
    }
    // Before the answer: what comes next is to find the new MTU.
    if let Some(message) = passed_on(&error) {
        icmp::pass_on(&mut skb, netns.net(), &message);
    }
    Verdict::Drop(skb)
}

/// What becomes of the error. None where a path is said to take less than any may.
fn passed_on(error: &TunnelError) -> Option<PassedOn> {
    let (path, info) = match error.report {
        Report::TooBig(path) => {
            let inner = error.inner_mtu().filter(|mtu| *mtu >= MTU_MIN)?;
            (path, inner)
        }
        _ => (0, 0),
    };
    // Who may be cut is: by us, from the next packet on.
    let answers = path == 0 || error.dont_fragment;
    Some(PassedOn {
        outer: u32::try_from(error.outer_offset).ok()?,
        inner: u32::try_from(error.inner_offset).ok()?,
        path,
        told: (if answers { error.kind } else { 0 }, error.code),
        info,
    })
}

/// Reads the message, making as much of it linear as that takes. None when it is another one.
fn read(skb: &mut Skb<'_>, mut ip: Ipv4) -> Option<TunnelError> {
    for _ in 0..ATTEMPTS {
        match TunnelError::parse(skb.head(), &ip) {
            Ok(error) => return Some(error),
            Err(Error::NotLinear(len)) if skb.pull(len) => {
                ip = Ipv4::parse(skb.head(), skb.len() as usize).ok()?;
            }
            Err(_) => return None,
        }
    }
    None
}

// SPDX-License-Identifier: GPL-2.0

//! ICMP messages to a virtual address, or from a dest.

use super::{
    answer::{discard, malformed},
    context::Context,
    echo, forward,
    gate::{Balanced, Ours},
    read::ATTEMPTS,
    source, track,
    xmit::{self, Crosses},
};
use crate::{
    engine::{
        family::{IpHeader, Tuple},
        wire::{Error, IcmpError},
    },
    kapi::{broken::broken, netfilter::Verdict, skb::Skb},
    table::{Counter, Side},
};

/// An ICMP message: errors about a connection's packets go to its dest, echo requests where the
/// operator wants, others to this host.
///
/// The dest of a DR connection answers clients itself, so it has to learn of too big packets and
/// unreachable clients.
#[cold]
pub(super) fn receive<'a, F: Crosses>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ip: &F::Ip,
    ours: Ours,
) -> Verdict<'a> {
    let (ip, error) = match read::<F>(&mut skb, ip) {
        Ok(read) => read,
        Err(Error::NotLinear(_)) => {
            return discard(cx, skb, Counter::DropNoMemory);
        }
        Err(error) if error.is_malformed() => return malformed(cx, skb, ours),
        Err(Error::IcmpQuery) if ours == Ours::ByDestination => {
            return echo::receive::<F>(cx, skb, ip);
        }
        Err(_) => return Verdict::Accept(skb),
    };
    // The inner packet is one that the error's sender, or a host behind it, received.
    let tuple = error.tuple.reversed();
    let hash = cx.netns.connections.hash(&tuple);
    let Some((conn, side)) = cx.netns.connections.lookup(&tuple, hash, cx.rcu) else {
        return Verdict::Accept(skb);
    };
    let mut skb = match source::check::<F>(cx, skb, &ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    if cx.place.is_behind() {
        match track::follow(cx, conn, side, skb) {
            Ok(followed) => skb = followed,
            Err(verdict) => return verdict,
        }
    }
    let dest = conn.dest();
    match side {
        Side::Client => dest.packet_in(skb.len()),
        Side::Dest => dest.packet_out(skb.len()),
    }
    conn.account_for(side, skb.len());
    if !conn.has_two_keys() {
        return forward::whole::<F>(cx, dest, skb, &ip, conn.flow());
    }
    // Its checksum covers all of it.
    if !skb.pull(ip.total_len()) {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    if let Some(nat) = conn.nat64() {
        return F::cross_error(cx, conn, nat, skb, &error);
    }
    let Some(nat) = conn.nat::<F::Tuple>() else {
        broken!(c"a connection with two keys has none of its error's family");
        return Verdict::Drop(skb);
    };
    xmit::icmp_error::<F>(cx, conn, nat, side, skb, &ip, &error)
}

/// Reads the message, making as much of it linear as that takes.
fn read<F: Balanced>(skb: &mut Skb<'_>, ip: &F::Ip) -> Result<(F::Ip, IcmpError<F>), Error> {
    let mut ip = *ip;
    let mut result = IcmpError::<F>::parse(skb.head(), &ip);
    // The header, the inner header with its extensions, the ports.
    for _ in 0..ATTEMPTS {
        match result {
            Err(Error::NotLinear(len)) if skb.pull(len) => {
                ip = F::Ip::parse(skb.head(), skb.len() as usize)?;
                result = IcmpError::parse(skb.head(), &ip);
            }
            _ => break,
        }
    }
    Ok((ip, result?))
}

// SPDX-License-Identifier: GPL-2.0

//! ICMP messages to a virtual address, or from a dest.

use super::{
    context::Context,
    hook::{self, Ours},
    xmit,
};
use crate::{
    engine::wire::{Error, IcmpError, Ipv4},
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Counter, Side},
};

/// An ICMP message: errors about a connection's packets go to its dest, others to this host.
///
/// The dest of a DR connection answers clients itself, so it has to learn of too big packets and
/// unreachable clients.
#[cold]
pub(super) fn receive<'a>(cx: Context<'a>, mut skb: Skb<'a>, ip: &Ipv4, ours: Ours) -> Verdict<'a> {
    let (ip, error) = match read(&mut skb, ip) {
        Ok(read) => read,
        Err(Error::NotLinear(_)) => {
            cx.netns.counters.count(Counter::DropNoMemory);
            return Verdict::Drop(skb);
        }
        Err(error) if error.is_malformed() => return hook::malformed(cx.netns, skb, ours),
        Err(_) => return Verdict::Accept(skb),
    };
    // The inner packet is one that the error's sender, or a host behind it, received.
    let tuple = error.tuple.reversed();
    let hash = cx.netns.connections.hash(&tuple);
    let Some((conn, side)) = cx.netns.connections.lookup(&tuple, hash, cx.rcu) else {
        return Verdict::Accept(skb);
    };
    let dest = conn.dest();
    match side {
        Side::Client => dest.packet_in(skb.len()),
        Side::Dest => dest.packet_out(skb.len()),
    }
    let Some(nat) = conn.nat() else {
        return xmit::whole(cx, dest, skb, &ip);
    };
    // Its checksum covers all of it.
    if !skb.pull(ip.total_len) {
        cx.netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    xmit::icmp_error(cx, conn, nat, side, skb, &ip, &error)
}

/// Reads the message, making as much of it linear as that takes.
fn read(skb: &mut Skb<'_>, ip: &Ipv4) -> Result<(Ipv4, IcmpError), Error> {
    let mut ip = *ip;
    let mut result = IcmpError::parse(skb.head(), &ip);
    // The header, the inner header, its ports.
    for _ in 0..3 {
        match result {
            Err(Error::NotLinear(len)) if skb.pull(len) => {
                ip = Ipv4::parse(skb.head(), skb.len() as usize)?;
                result = IcmpError::parse(skb.head(), &ip);
            }
            _ => break,
        }
    }
    Ok((ip, result?))
}

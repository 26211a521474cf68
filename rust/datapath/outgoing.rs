// SPDX-License-Identifier: GPL-2.0

//! What a dest sends of a call that no connection is known of: its own request, or its answer to a datagram that
//! was scheduled alone. It leaves as if the virtual address had sent it, and the call stays with the dest.

use super::{answer::discard, call, context::Context, forward, gate::Balanced, xmit::Crosses};
use crate::{
    engine::{
        family::{Address, Tuple},
        spec::ServiceId,
        wire::{Packet, UDP},
    },
    kapi::{
        netfilter::{Place, Verdict},
        route,
        skb::Skb,
    },
    table::{Caller, Counter, NoConnection, Side, Turn},
};

/// A packet that is of no connection and of no service.
#[cold]
pub(super) fn begin<'a, F: Crosses>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let Some((caller, tuple)) = caller(cx, packet) else {
        return Verdict::Accept(skb);
    };
    if !cx.netns.has_room(caller.schedule, cx.rcu) {
        return discard(cx, skb, Counter::DropConnMax);
    }
    let Some(call) = call::of(&mut skb, packet) else {
        // It goes as it is, as with `ip_vs`.
        return Verdict::Accept(skb);
    };
    let conn = match cx.netns.call_out(&caller, tuple, call, cx.rcu) {
        Ok(conn) => conn,
        Err(NoConnection::Memory) => return discard(cx, skb, Counter::DropNoMemory),
        Err(NoConnection::Port) => return discard(cx, skb, Counter::DropNoPort),
    };
    conn.account_for(Side::Dest, skb.len());
    let one_packet = caller.schedule.is_one_packet();
    if one_packet {
        conn.set_one_packet();
    }
    let verdict = forward::known(cx, conn, Side::Dest, skb, packet);
    if one_packet {
        // It was there for the translation only.
        cx.netns.disconnect(conn, cx.rcu);
    }
    verdict
}

/// The dest that has sent a packet, and what answers to it would carry.
fn caller<'a, F: Balanced>(cx: Context<'a>, packet: &Packet<F>) -> Option<(Caller<'a>, F::Tuple)> {
    let tuple = &packet.tuple;
    let waits = cx.turn == Turn::Early && F::gate(cx.netns).replies_wait();
    if tuple.protocol() != UDP || !matches!(cx.place, Place::PreRouting | Place::Forward) || waits {
        return None;
    }
    let from = (tuple.src().into(), tuple.sport());
    let caller = cx.netns.caller(from, cx.rcu)?;
    let to = tuple.dst().into();
    // What is for this host is for its own programs, such as health checks.
    if to.is_multicast() || route::is_of_this_host(cx.netns.net(), to) {
        return None;
    }
    let ServiceId::Virtual { address, port, .. } = caller.service else {
        return None;
    };
    let port = match port {
        0 => tuple.sport(),
        port => port,
    };
    let virtual_address = Address::of(address)?;
    let tuple = F::Tuple::between((tuple.dst(), tuple.dport()), (virtual_address, port), UDP);
    Some((caller, tuple))
}

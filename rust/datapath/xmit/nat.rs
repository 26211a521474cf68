// SPDX-License-Identifier: GPL-2.0

//! Address translation: packets get another tuple in both directions.

use core::sync::atomic::Ordering;

use kernel::prelude::*;

use super::{no_way, transmit, way_to, Edit};
use crate::{
    engine::{
        rewrite::{self, Checksum},
        wire::{IcmpError, Ipv4, PacketV4},
    },
    kapi::{
        netfilter::{Place, Verdict},
        rcu::Rcu,
        route::NextHop,
        skb::Skb,
    },
    table::{Conn, Counter, NatConn, Netns, Side},
};

/// Sends a packet of `side` on to the other, translated.
#[inline(always)]
pub(in crate::datapath) fn nat<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    nat: &'a NatConn,
    side: Side,
    skb: Skb<'a>,
    packet: &PacketV4,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let edit = |skb: &mut Skb<'_>| {
        let (to, deltas) = nat.translation(side);
        let checksum = if skb.is_checksum_partial() {
            Checksum::PseudoHeader
        } else {
            Checksum::Whole
        };
        rewrite::packet(skb.head_mut(), &packet.ip, &to, deltas, checksum)
    };
    let len = rewrite::writes(&packet.ip);
    send(netns, conn, nat, side, skb, &packet.ip, place, rcu, len, edit)
}

/// Sends an ICMP error of `side`, about a packet that it received, on to the other. The message is
/// linear.
#[cold]
pub(in crate::datapath) fn icmp_error<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    nat: &'a NatConn,
    side: Side,
    skb: Skb<'a>,
    ip: &Ipv4,
    error: &IcmpError,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let (to, _) = nat.translation(side);
    let to_addresses = to.words().0;
    let outer = match side {
        // Its sender may be a router between us and the client.
        Side::Client => (ip.addresses & 0xffff_ffff) | (to_addresses >> 32 << 32),
        Side::Dest => to_addresses,
    };
    let edit = |skb: &mut Skb<'_>| {
        rewrite::icmp_error(skb.head_mut(), ip, error, outer, &to.reversed())
    };
    send(netns, conn, nat, side, skb, ip, place, rcu, ip.total_len, edit)
}

/// Edits a packet of `side` and sends it to the other.
#[inline(always)]
fn send<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    nat: &'a NatConn,
    side: Side,
    mut skb: Skb<'a>,
    ip: &Ipv4,
    place: Place,
    rcu: Rcu<'a>,
    len: usize,
    edit: impl FnOnce(&mut Skb<'_>) -> Option<()>,
) -> Verdict<'a> {
    let edit = |skb: &mut Skb<'_>| {
        skb.forget_checksum();
        edit(skb)
    };
    let way = match side {
        Side::Client => way_to(netns, conn.dest(), rcu),
        Side::Dest => way_back(netns, conn, nat, rcu),
    };
    let way = match way {
        Ok(way) => way,
        Err(error) => return no_way(netns, skb, error),
    };
    if !way.is_local() {
        let edit = Edit {
            writes: len,
            pushes: 0,
            edit,
        };
        return transmit(netns, way, skb, ip, place, rcu, edit);
    }
    // To a client on this host: routed by the dest's address, as the virtual one would be taken
    // for a spoofed packet where it is this host's own.
    let routed = side == Side::Client || place == Place::LocalOut || skb.route_input();
    if !routed || !skb.make_writable(len, 0) || edit(&mut skb).is_none() {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    Verdict::Accept(skb)
}

/// The way to a connection's client.
#[inline(always)]
fn way_back<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    nat: &'a NatConn,
    rcu: Rcu<'a>,
) -> Result<&'a NextHop> {
    let number = nat.way_back();
    if let Some(way) = netns.ways.get(number.load(Ordering::Relaxed), rcu) {
        return Ok(way);
    }
    netns.counters.count(Counter::RouteRefreshes);
    let (client, virtual_address) = (conn.tuple().src(), conn.tuple().dst());
    netns
        .ways
        .find(netns.net(), client, virtual_address, number, rcu)
}

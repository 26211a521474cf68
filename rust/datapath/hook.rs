// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.

use kernel::prelude::*;

use super::{icmp, new_flow, xmit};
use crate::{
    engine::{
        proto::tcp::{self, Table},
        wire::{Error, Ipv4, PacketV4, ICMP, TCP},
    },
    kapi::{
        icmp::Answer,
        netfilter::{self, Hook, Hooks, Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Conn, Counter, Netns},
};

/// Ahead of the raw table (-300) and of connection tracking (-200), behind the defragmentation that
/// connection tracking asks for (-400).
const PRIORITY: i32 = -350;

/// Packets from the network.
struct FromNetwork;

/// Packets of programs on this host.
struct FromHost;

impl Hook<Netns> for FromNetwork {
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if is_stranger(netns, &skb) || !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        balance(netns, skb, Place::PreRouting, rcu)
    }
}

impl Hook<Netns> for FromHost {
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if is_stranger(netns, &skb) {
            return Verdict::Accept(skb);
        }
        balance(netns, skb, Place::LocalOut, rcu)
    }
}

/// Puts the hooks into a namespace.
pub(crate) fn activate(netns: &Netns) -> Result<Hooks> {
    netns.hook([
        netfilter::ipv4::<_, FromNetwork>(),
        netfilter::ipv4::<_, FromHost>(),
    ])
}

/// The cheap test that most packets end at: no virtual address has this destination.
#[inline(always)]
fn is_stranger(netns: &Netns, skb: &Skb<'_>) -> bool {
    match skb.head().get(16..).and_then(<[u8]>::first_chunk::<4>) {
        Some(address) => !netns.filter.may_contain(u32::from_ne_bytes(*address)),
        None => true,
    }
}

/// A packet that is perhaps for a service.
fn balance<'a>(netns: &'a Netns, mut skb: Skb<'a>, place: Place, rcu: Rcu<'a>) -> Verdict<'a> {
    let packet = match PacketV4::parse(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match mend(netns, skb, error) {
            Mended::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            Mended::Icmp(skb, ip) => return icmp::receive(netns, skb, &ip, place, rcu),
            Mended::Verdict(verdict) => return verdict,
        },
    };
    let hash = netns.connections.hash(&packet.tuple);
    if let Some(conn) = netns.connections.lookup(&packet.tuple, hash, rcu) {
        if is_usable(netns, conn) && !begins_anew(netns, conn, &packet) {
            return forward(netns, conn, skb, &packet, place, rcu);
        }
        return new_flow::replace(netns, conn, skb, &packet, hash, place, rcu);
    }
    new_flow::begin(netns, skb, &packet, hash, place, rcu)
}

/// Whether a connection takes another packet: it has neither expired nor lost its dest.
#[inline(always)]
fn is_usable(netns: &Netns, conn: &Conn) -> bool {
    conn.touch(&netns.settings) && !conn.dest().is_gone()
        || new_flow::may_stay(netns, conn)
}

/// Whether a client uses the port of a connection again that has ended.
#[inline(always)]
fn begins_anew(netns: &Netns, conn: &Conn, packet: &PacketV4) -> bool {
    packet.segment.flags.opens() && new_flow::is_over(netns, conn)
}

/// A packet of an established connection.
#[inline(always)]
pub(super) fn forward<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &PacketV4,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    if packet.ip.protocol == TCP {
        conn.step(|state| tcp::next(Table::InOnly, packet.segment.flags, state));
    }
    let dest = conn.dest();
    dest.packet_in(skb.len());
    xmit::dr(netns, dest, skb, &packet.ip, place, rcu)
}

/// What comes of a packet that could not be parsed as it was.
enum Mended<'a> {
    Packet(Skb<'a>, PacketV4),
    Icmp(Skb<'a>, Ipv4),
    Verdict(Verdict<'a>),
}

/// Tries again with a packet whose headers are not linear or that comes in fragments.
#[cold]
fn mend<'a>(netns: &'a Netns, mut skb: Skb<'a>, mut error: Error) -> Mended<'a> {
    // Each header may have to be made linear, once before and once after defragmentation.
    for _ in 0..6 {
        match error {
            Error::NotLinear(len) => {
                if !skb.pull(len) {
                    netns.counters.count(Counter::DropNoMemory);
                    return Mended::Verdict(Verdict::Drop(skb));
                }
            }
            Error::Fragment => match skb.defragment(netns.net()) {
                Ok(whole) => skb = whole,
                Err(queued) => return Mended::Verdict(Verdict::Stolen(queued)),
            },
            Error::Protocol => {
                return match Ipv4::parse(skb.head(), skb.len() as usize) {
                    Ok(ip) if ip.protocol == ICMP => Mended::Icmp(skb, ip),
                    _ => Mended::Verdict(Verdict::Accept(skb)),
                }
            }
            _ => break,
        }
        match PacketV4::parse(skb.head(), skb.len() as usize) {
            Ok(packet) => return Mended::Packet(skb, packet),
            Err(next) => error = next,
        }
    }
    Mended::Verdict(drop_malformed(netns, skb))
}

/// A packet to a virtual address whose headers are short or lie.
pub(super) fn drop_malformed<'a>(netns: &Netns, skb: Skb<'a>) -> Verdict<'a> {
    netns.counters.count(Counter::DropMalformed);
    Verdict::Drop(skb)
}

/// Answers a packet and drops it.
pub(super) fn refuse<'a>(mut skb: Skb<'a>, answer: Answer) -> Verdict<'a> {
    crate::kapi::icmp::answer(&mut skb, answer);
    Verdict::Drop(skb)
}

// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.

use kernel::prelude::*;

use super::{context::Context, icmp, new_flow, xmit};
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
    table::{Conn, Counter, Netns, Side},
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
        let Some(ours) = admit(netns, &skb) else {
            return Verdict::Accept(skb);
        };
        if !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let place = Self::PLACE;
        balance(Context { netns, place, rcu }, skb, ours)
    }
}

impl Hook<Netns> for FromHost {
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let Some(ours) = admit(netns, &skb) else {
            return Verdict::Accept(skb);
        };
        let place = Self::PLACE;
        balance(Context { netns, place, rcu }, skb, ours)
    }
}

/// Puts the hooks into a namespace.
pub(crate) fn activate(netns: &Netns) -> Result<Hooks> {
    netns.hook([
        netfilter::ipv4::<_, FromNetwork>(),
        netfilter::ipv4::<_, FromHost>(),
    ])
}

/// Why a packet is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    /// It is to a virtual address: for us to balance, answer or drop.
    ByDestination,
    /// It is from a dest whose packets we translate, but may be any of that host's traffic.
    BySource,
}

/// The cheap test that strangers do not pass.
#[inline(always)]
fn admit(netns: &Netns, skb: &Skb<'_>) -> Option<Ours> {
    if netns.virtual_addresses.may_contain(skb.ipv4_destination()) {
        return Some(Ours::ByDestination);
    }
    if netns.translated_dests.is_empty() {
        return None;
    }
    netns
        .translated_dests
        .may_contain(skb.ipv4_source())
        .then_some(Ours::BySource)
}

/// A packet that is perhaps of a service.
fn balance<'a>(cx: Context<'a>, mut skb: Skb<'a>, ours: Ours) -> Verdict<'a> {
    let packet = match PacketV4::parse(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match mend(cx, skb, ours, error) {
            Mended::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            Mended::Icmp(skb, ip) => return icmp::receive(cx, skb, &ip, ours),
            Mended::Verdict(verdict) => return verdict,
        },
    };
    let hash = cx.netns.connections.hash(&packet.tuple);
    match cx.netns.connections.lookup(&packet.tuple, hash, cx.rcu) {
        Some((conn, side)) if is_usable(cx.netns, conn, side, &packet) => {
            forward(cx, conn, side, skb, &packet)
        }
        Some((conn, Side::Dest)) => {
            cx.netns.disconnect(conn, cx.rcu);
            Verdict::Accept(skb)
        }
        Some((conn, Side::Client)) => new_flow::replace(cx, conn, skb, &packet, hash),
        None => new_flow::begin(cx, skb, &packet, hash),
    }
}

/// Whether a connection takes another packet: it has neither expired nor lost its dest, and the
/// client does not begin a new one with the same ports.
#[inline(always)]
fn is_usable(netns: &Netns, conn: &Conn, side: Side, packet: &PacketV4) -> bool {
    let begins_anew = packet.segment.flags.opens() && new_flow::begins_anew(netns, conn, side);
    if begins_anew || !conn.touch(&netns.settings) {
        return false;
    }
    !conn.dest().is_gone() || new_flow::may_stay(netns, conn, side)
}

/// A packet of an established connection.
#[inline(always)]
fn forward<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &PacketV4,
) -> Verdict<'a> {
    let nat = conn.nat();
    if packet.ip.protocol == TCP {
        let table = match (nat, side) {
            (None, _) => Table::InOnly,
            (Some(_), Side::Client) => Table::In,
            (Some(_), Side::Dest) => Table::Out,
        };
        conn.step(|state| tcp::next(table, packet.segment.flags, state));
    }
    send(cx, conn, side, skb, packet)
}

/// Counts a packet of `side` and sends it the way its connection goes.
#[inline(always)]
pub(super) fn send<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &PacketV4,
) -> Verdict<'a> {
    let dest = conn.dest();
    match side {
        Side::Client => dest.packet_in(skb.len()),
        Side::Dest => dest.packet_out(skb.len()),
    }
    match conn.nat() {
        None => xmit::whole(cx, dest, skb, &packet.ip),
        Some(nat) => xmit::nat(cx, conn, nat, side, skb, packet),
    }
}

/// What comes of a packet that could not be parsed as it was.
enum Mended<'a> {
    Packet(Skb<'a>, PacketV4),
    Icmp(Skb<'a>, Ipv4),
    Verdict(Verdict<'a>),
}

/// Tries again with a packet whose headers are not linear or that comes in fragments.
#[cold]
fn mend<'a>(cx: Context<'a>, mut skb: Skb<'a>, ours: Ours, mut error: Error) -> Mended<'a> {
    // Each header may have to be made linear, once before and once after defragmentation.
    for _ in 0..6 {
        match error {
            Error::NotLinear(len) => {
                if !skb.pull(len) {
                    cx.netns.counters.count(Counter::DropNoMemory);
                    return Mended::Verdict(Verdict::Drop(skb));
                }
            }
            Error::Fragment => match skb.defragment(cx.netns.net()) {
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
    Mended::Verdict(malformed(cx.netns, skb, ours))
}

/// A packet whose headers are short or lie.
pub(super) fn malformed<'a>(netns: &Netns, skb: Skb<'a>, ours: Ours) -> Verdict<'a> {
    if ours == Ours::BySource {
        return Verdict::Accept(skb);
    }
    netns.counters.count(Counter::DropMalformed);
    Verdict::Drop(skb)
}

/// Answers a packet and drops it.
pub(super) fn refuse<'a>(mut skb: Skb<'a>, answer: Answer) -> Verdict<'a> {
    crate::kapi::icmp::answer(&mut skb, answer);
    Verdict::Drop(skb)
}

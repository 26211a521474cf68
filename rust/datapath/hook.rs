// SPDX-License-Identifier: GPL-2.0

//! Where packets come in.

use core::marker::PhantomData;

use kernel::prelude::*;

use super::{
    context::Context,
    family::Balanced,
    icmp,
    late::{self, MarkedFromHost, MarkedFromNetwork},
    new_flow,
    tunnel_error::FromTunnels,
    xmit,
};
use crate::{
    engine::{
        family::{Family, IpHeader, V4, V6},
        proto::{
            sctp,
            tcp::{self, Table},
        },
        wire::{Error, Packet, SCTP, TCP},
    },
    kapi::{
        broken::broken,
        defrag,
        icmp::Answer,
        netfilter::{self, Hook, Hooks, Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Conn, Counter, Netns, Side, Turn},
};

/// The early hooks.
pub(super) const PRIORITY: i32 = Turn::Early.priority();

/// Where `ip_vs` stands: behind INPUT and FORWARD (0), ahead of source NAT (100).
const BEHIND: i32 = 99;

/// Times that a packet is read at most: its headers and extensions may be made linear one by one,
/// before and after its fragments are put together.
pub(super) const ATTEMPTS: u32 = 24;

/// Bytes that are copied of a packet whose headers may not be made linear: an IP header with all
/// that may stand behind it, as far as such packets have it, and the first chunk's head.
const COPIED: usize = 256;

/// Packets from the network.
struct FromNetwork<F>(PhantomData<F>);

/// Packets from the network that are for this host, seen late.
struct ToHost<F>(PhantomData<F>);

/// Packets from the network that this host forwards, seen late: replies of dests.
struct ThroughHost<F>(PhantomData<F>);

/// Packets of programs on this host.
struct FromHost<F>(PhantomData<F>);

impl<F: Balanced> Hook<Netns> for FromNetwork<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::PreRouting;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let Some(ours) = admit::<F>(netns, &skb) else {
            return Verdict::Accept(skb);
        };
        if !skb.is_for_this_host() {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Self::PLACE, Turn::Early, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

impl<F: Balanced> Hook<Netns> for ToHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = BEHIND;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let by_mark = || {
            let marked = F::gate(netns).has_marks() && late::is_marked::<F>(netns, &skb, rcu);
            marked.then_some(Ours::ByDestination)
        };
        let Some(ours) = admit::<F>(netns, &skb).or_else(by_mark) else {
            return Verdict::Accept(skb);
        };
        skb.orphan();
        // It has its mark, and no other hook of ours has seen it.
        let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

impl<F: Balanced> Hook<Netns> for ThroughHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::Forward;
    const PRIORITY: i32 = BEHIND;

    fn packet<'a>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        match admit::<F>(netns, &skb) {
            Some(Ours::BySource) if skb.is_for_this_host() => {
                let cx = Context::new(netns, Self::PLACE, Turn::Late, rcu);
                balance::<F, FIRST>(cx, skb, Ours::BySource)
            }
            _ => Verdict::Accept(skb),
        }
    }
}

impl<F: Balanced> Hook<Netns> for FromHost<F> {
    const VERSION: u8 = F::VERSION;
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = PRIORITY;

    #[inline(always)]
    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let own_error = || icmp::is_own_error::<F>(netns, &skb).then_some(Ours::BySource);
        let Some(ours) = admit::<F>(netns, &skb).or_else(own_error) else {
            return Verdict::Accept(skb);
        };
        if skb.is_balanced() {
            return Verdict::Accept(skb);
        }
        skb.tell_of_missing_sum();
        let cx = Context::new(netns, Self::PLACE, Turn::Early, rcu);
        balance::<F, FIRST>(cx, skb, ours)
    }
}

/// Puts the hooks of a turn for an IP version into a namespace: ahead of everything else.
pub(crate) fn activate(netns: &Netns, version: u8, turn: Turn) -> Result<Hooks> {
    if version == V4::VERSION {
        hooks::<V4>(netns, turn)
    } else {
        hooks::<V6>(netns, turn)
    }
}

fn hooks<F: Balanced>(netns: &Netns, turn: Turn) -> Result<Hooks> {
    if turn == Turn::Late {
        return netns.hook([
            netfilter::describe::<_, MarkedFromNetwork<F>>(),
            netfilter::describe::<_, MarkedFromHost<F>>(),
        ]);
    }
    F::gate(netns).set_ahead_of_input();
    netfilter::tell_of_input_rules(netns.net(), F::VERSION);
    netns.hook([
        netfilter::describe::<_, FromNetwork<F>>(),
        netfilter::describe::<_, FromHost<F>>(),
        netfilter::describe::<_, FromTunnels<F>>(),
    ])
}

/// Puts the hooks of a turn for an IP version where `ip_vs` has them.
pub(crate) fn activate_behind(netns: &Netns, version: u8, turn: Turn) -> Result<Hooks> {
    if version == V4::VERSION {
        hooks_behind::<V4>(netns, turn)
    } else {
        hooks_behind::<V6>(netns, turn)
    }
}

fn hooks_behind<F: Balanced>(netns: &Netns, turn: Turn) -> Result<Hooks> {
    if turn == Turn::Late {
        // What comes from the network has its mark by then.
        return netns.hook([netfilter::describe::<_, MarkedFromHost<F>>()]);
    }
    netns.hook([
        netfilter::describe::<_, ToHost<F>>(),
        netfilter::describe::<_, ThroughHost<F>>(),
        netfilter::describe::<_, FromHost<F>>(),
        netfilter::describe::<_, FromTunnels<F>>(),
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
pub(super) fn admit<F: Balanced>(netns: &Netns, skb: &Skb<'_>) -> Option<Ours> {
    let gate = F::gate(netns);
    if gate.virtual_addresses.may_contain(F::destination(skb)) {
        return Some(Ours::ByDestination);
    }
    if gate.translated_dests.is_empty() {
        return None;
    }
    gate.translated_dests
        .may_contain(F::source(skb))
        .then_some(Ours::BySource)
}

/// Whether another hook of ours has let a packet pass before, for [`balance`].
const FIRST: bool = false;
pub(super) const AGAIN: bool = true;

/// A packet that is perhaps of a service.
pub(super) fn balance<'a, F: Balanced, const PASS: bool>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ours: Ours,
) -> Verdict<'a> {
    let packet = match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(error) => match mend(cx, skb, ours, error) {
            Mended::Packet(whole, packet) => {
                skb = whole;
                packet
            }
            Mended::Icmp(skb, ip) => return icmp::receive::<F>(cx, skb, &ip, ours),
            Mended::Verdict(verdict) => return verdict,
        },
    };
    let hash = cx.netns.connections.hash(&packet.tuple);
    match cx.netns.connections.lookup(&packet.tuple, hash, cx.rcu) {
        // The early hook has counted it and let it pass.
        Some((conn, _)) if PASS == AGAIN && xmit::stays_here(cx, conn.dest()) => {
            Verdict::Accept(skb)
        }
        Some((conn, Side::Dest)) => reply(cx, conn, skb, &packet),
        Some((conn, side)) if is_usable(cx.netns, conn, side, &packet) => {
            forward(cx, conn, side, skb, &packet)
        }
        Some((conn, Side::Client)) => new_flow::replace(cx, conn, skb, &packet, hash),
        None => new_flow::begin(cx, skb, &packet, hash),
    }
}

/// A packet of a dest, for its client.
#[inline(always)]
pub(super) fn reply<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let waits = || cx.turn == Turn::Early && F::gate(cx.netns).replies_wait();
    if cx.place == Place::PreRouting && waits() {
        // It comes again when it has its mark.
        return Verdict::Accept(skb);
    }
    if is_usable(cx.netns, conn, Side::Dest, packet) {
        return forward(cx, conn, Side::Dest, skb, packet);
    }
    new_flow::dismiss(cx, conn, skb, packet)
}

/// Whether a connection takes another packet: it has neither expired nor lost its dest, and the
/// client does not begin a new one with the same ports.
#[inline(always)]
fn is_usable<F: Balanced>(netns: &Netns, conn: &Conn, side: Side, packet: &Packet<F>) -> bool {
    let begins_anew = packet.segment.flags.opens() && new_flow::begins_anew(netns, conn, side);
    if begins_anew || !conn.touch(&netns.settings) {
        return false;
    }
    !conn.dest().needs_care() || new_flow::may_stay(netns, conn, side, packet.segment.flags)
}

/// A packet of an established connection.
#[inline(always)]
fn forward<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    if packet.ip.protocol() == TCP {
        let table = match (conn.has_two_keys(), side) {
            (false, _) => Table::InOnly,
            (true, Side::Client) => Table::In,
            (true, Side::Dest) => Table::Out,
        };
        conn.step(|state| tcp::next(table, packet.segment.flags, state));
    } else if packet.ip.protocol() == SCTP {
        step_sctp(conn, side, packet.segment.event);
    }
    send(cx, conn, side, skb, packet)
}

/// Follows an association of SCTP.
#[cold]
fn step_sctp(conn: &Conn, side: Side, event: sctp::Event) {
    let table = match (conn.has_two_keys(), side) {
        (false, _) => sctp::Table::InOnly,
        (true, Side::Client) => sctp::Table::In,
        (true, Side::Dest) => sctp::Table::Out,
    };
    conn.step(|state| sctp::next(table, event, state));
}

/// Counts a packet of `side` and sends it the way its connection goes.
#[inline(always)]
pub(super) fn send<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let dest = conn.dest();
    match side {
        Side::Client => dest.packet_in(skb.len()),
        Side::Dest => dest.packet_out(skb.len()),
    }
    if !conn.has_two_keys() {
        return xmit::whole::<F>(cx, dest, skb, &packet.ip, conn.flow());
    }
    if let Some(nat) = conn.nat::<F::Tuple>() {
        return xmit::nat(cx, conn, nat, side, skb, packet);
    }
    match conn.nat64() {
        Some(nat) => F::cross(cx, conn, nat, skb, packet),
        None => {
            broken!(c"a connection with two keys has none of its packet's family");
            Verdict::Drop(skb)
        }
    }
}

/// What comes of a packet that could not be parsed as it was.
pub(super) enum Mended<'a, F: Balanced> {
    Packet(Skb<'a>, Packet<F>),
    Icmp(Skb<'a>, F::Ip),
    Verdict(Verdict<'a>),
}

/// Tries again with a packet whose headers are not linear or that comes in fragments.
#[cold]
pub(super) fn mend<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    ours: Ours,
    mut error: Error,
) -> Mended<'a, F> {
    if error == Error::Protocol {
        match Packet::parse(skb.head(), skb.len() as usize) {
            Ok(packet) => return Mended::Packet(skb, packet),
            Err(next) => error = next,
        }
    }
    // Each header may have to be made linear, once before and once after defragmentation.
    for _ in 0..ATTEMPTS {
        match error {
            Error::NotLinear(_) if skb.is_cut_at_fragments() => {
                let mut copy = [0; COPIED];
                let copied = skb.copy(&mut copy);
                match Packet::parse(copied, skb.len() as usize) {
                    Ok(packet) => return Mended::Packet(skb, packet),
                    Err(Error::NotLinear(_)) => {
                        return Mended::Verdict(malformed(cx.netns, skb, ours))
                    }
                    Err(next) => {
                        error = next;
                        continue;
                    }
                }
            }
            Error::NotLinear(len) => {
                if !skb.pull(len) {
                    cx.netns.counters.count(Counter::DropNoMemory);
                    return Mended::Verdict(Verdict::Drop(skb));
                }
            }
            Error::Fragment => match defrag::gather(skb, cx.netns.net(), F::VERSION) {
                Ok(whole) => skb = whole,
                Err(queued) => return Mended::Verdict(Verdict::Stolen(queued)),
            },
            Error::Protocol => {
                return match F::Ip::parse(skb.head(), skb.len() as usize) {
                    Ok(ip) if ip.protocol() == F::ICMP => Mended::Icmp(skb, ip),
                    _ => Mended::Verdict(Verdict::Accept(skb)),
                }
            }
            _ => break,
        }
        match Packet::parse(skb.head(), skb.len() as usize) {
            Ok(packet) => return Mended::Packet(skb, packet),
            Err(next) => error = next,
        }
    }
    if error == Error::Fragment {
        // Nobody puts fragments together here.
        return Mended::Verdict(Verdict::Accept(skb));
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

/// Answers a packet of that IP version and drops it.
pub(super) fn refuse<'a>(mut skb: Skb<'a>, version: u8, answer: Answer) -> Verdict<'a> {
    crate::kapi::icmp::answer(&mut skb, version, answer);
    Verdict::Drop(skb)
}

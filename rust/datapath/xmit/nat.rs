// SPDX-License-Identifier: GPL-2.0

//! Address translation: packets get another tuple in both directions.

use core::sync::atomic::Ordering;

use kernel::prelude::*;

use super::{datagram, fullnat, no_way, path, transmit, way_to, with_one_header, Edit};
use crate::{
    datapath::{context::Context, family::Balanced},
    engine::{
        carry,
        csum::Delta,
        family::{IpHeader, Tuple},
        rewrite::{self, Checksum},
        shift::{self, Shift},
        spec::Mode,
        wire::{icmp::set_mtu, transport::TCP_MIN_LEN, IcmpError, Packet},
    },
    kapi::{
        netfilter::Verdict,
        route::{NextHop, Reply},
        skb::Skb,
    },
    table::{Conn, Counter, NatConn, Side, Stage},
};

/// Sends a packet of `side` on to the other, translated.
#[inline(always)]
pub(in crate::datapath) fn nat<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let skb = match with_one_header(cx, skb, &packet.ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    match nat.stage() {
        Stage::Untouched => {}
        // It is the dest's answer that is waited for, if there ever is one.
        Stage::Unheard if side == Side::Client => {}
        Stage::Datagrams | Stage::Unheard => {
            return datagram::datagram(cx, conn, nat, side, skb, packet)
        }
        Stage::Chunks => return datagram::silent(cx, conn, nat, side, skb, packet),
        _ => return fullnat::segment(cx, conn, nat, side, skb, packet),
    }
    // Nobody but a director is to tell a client's address.
    let header_len = packet.segment.header_len;
    if side == Side::Client && header_len > TCP_MIN_LEN && has_odd(&skb, packet) {
        return blanked(cx, conn, nat, skb, packet);
    }
    if packet.ip.header_len() != F::Ip::FIXED_LEN {
        return datagram::silent(cx, conn, nat, side, skb, packet);
    }
    let edit = |skb: &mut Skb<'_>| translate(skb, nat, side, packet, Delta::NONE);
    let edit = Edit {
        writes: rewrite::writes(&packet.ip),
        pushes: 0,
        edit,
    };
    send::<F>(cx, conn, nat, side, skb, &packet.ip, edit)
}

/// Whether a segment has other options than the usual timestamps.
#[inline(always)]
fn has_odd<F: Balanced>(skb: &Skb<'_>, packet: &Packet<F>) -> bool {
    let header = skb.head().get(packet.ip.header_len()..packet.headers_len());
    !header.is_some_and(shift::has_only_timestamps)
}

/// Sends a client's segment on with only those of its options that TCP itself uses: nobody but a
/// director is to tell a client's address.
#[cold]
fn blanked<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let writes = packet.headers_len();
    if skb.head().len() < writes && !skb.pull(writes) {
        cx.netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    let edit = Edit {
        writes,
        pushes: 0,
        edit: |skb: &mut Skb<'_>| {
            let (ip, header) = skb
                .head_mut()
                .get_mut(..writes)?
                .split_at_mut_checked(packet.ip.header_len())?;
            let changed = carry::blank(header)?;
            if ip.len() != F::Ip::FIXED_LEN {
                F::blank(ip)?;
            }
            translate(skb, nat, Side::Client, packet, changed)
        },
    };
    send::<F>(cx, conn, nat, Side::Client, skb, &packet.ip, edit)
}

/// Gives a packet of TCP or UDP of `side` the tuple that the other knows. `more` is what else was changed behind
/// its ports.
#[inline(always)]
pub(super) fn translate<F: Balanced>(
    skb: &mut Skb<'_>,
    nat: &NatConn<F::Tuple>,
    side: Side,
    packet: &Packet<F>,
    more: Delta,
) -> Option<()> {
    let (to, deltas) = nat.translation(side);
    let checksum = checksum(skb);
    rewrite::packet(skb.head_mut(), &packet.ip, &to, deltas.and(more), checksum)
}

/// Gives a packet of SCTP of `side` the tuple that the other knows.
#[cold]
pub(super) fn translate_chunks<F: Balanced>(
    skb: &mut Skb<'_>,
    nat: &NatConn<F::Tuple>,
    side: Side,
    packet: &Packet<F>,
) -> Option<()> {
    let (to, deltas) = nat.translation(side);
    let checksum = checksum(skb);
    rewrite::chunks(skb.head_mut(), &packet.ip, &to, deltas, checksum)
}

/// What there is of a packet's checksum.
#[inline(always)]
fn checksum(skb: &Skb<'_>) -> Checksum {
    if skb.is_checksum_partial() {
        Checksum::PseudoHeader
    } else {
        Checksum::Whole
    }
}

/// Sends an ICMP error of `side`, about a packet that it received, on to the other. The message is
/// linear.
#[cold]
pub(in crate::datapath) fn icmp_error<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    mut skb: Skb<'a>,
    ip: &F::Ip,
    error: &IcmpError<F>,
) -> Verdict<'a> {
    let mtu = match side {
        Side::Client => None,
        Side::Dest => path::told(cx, nat, &mut skb, error),
    };
    let (to, _) = nat.translation(side);
    let outer = match side {
        // Its sender may be a router between us and the client. What this host has sent to a dest
        // under an address of its own is about that: the router may be the dest's as well, and take
        // nothing from its own address.
        Side::Client if conn.dest().mode() != Mode::FullNat => {
            Tuple::between((ip.tuple(0).src(), 0), (to.dst(), 0), 0)
        }
        _ => to,
    };
    let quoted = |quote: &mut [u8]| {
        // What this side received, the other has sent.
        let of_client = side == Side::Dest;
        match nat.shift() {
            Shift::NONE => Some(Delta::NONE),
            shift => shift.quoted(quote, of_client),
        }
    };
    let edit = |skb: &mut Skb<'_>| {
        if let Some(mtu) = mtu {
            set_mtu::<F>(skb.head_mut().get_mut(ip.header_len()..)?, mtu)?;
        }
        rewrite::icmp_error(skb.head_mut(), ip, error, &outer, &to.reversed(), quoted)
    };
    let edit = Edit {
        writes: ip.total_len(),
        pushes: 0,
        edit,
    };
    send::<F>(cx, conn, nat, side, skb, ip, edit)
}

/// Edits a packet of `side` and sends it to the other.
#[inline(always)]
pub(super) fn send<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    mut skb: Skb<'a>,
    ip: &F::Ip,
    edit: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    let edit = Edit {
        writes: edit.writes,
        pushes: edit.pushes,
        edit: |skb: &mut Skb<'_>| {
            skb.forget_checksum();
            (edit.edit)(skb)
        },
    };
    let way = match side {
        Side::Client => way_to(cx, conn.dest()),
        Side::Dest => way_back(cx, nat, &skb),
    };
    let way = match way {
        Ok(way) => way,
        Err(error) => return no_way(cx.netns, skb, F::VERSION, error),
    };
    if !way.is_local() {
        return transmit::<F>(cx, way, skb, ip, edit);
    }
    if !skb.make_writable(edit.writes, edit.pushes) || (edit.edit)(&mut skb).is_none() {
        cx.netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    way.take_home(&mut skb);
    Verdict::Accept(skb)
}

/// The way to a connection's client, for a reply as it came.
#[inline(always)]
pub(super) fn way_back<'a, C: Tuple, D: Tuple>(
    cx: Context<'a>,
    nat: &'a NatConn<C, D>,
    skb: &Skb<'_>,
) -> Result<&'a NextHop> {
    let number = nat.way_back();
    if let Some(way) = cx.netns.ways.get(number.load(Ordering::Relaxed), cx.rcu) {
        return Ok(way);
    }
    cx.netns.looks_for_way();
    let tuple = nat.client_tuple();
    let (client, asked) = (tuple.source(), tuple.destination());
    let reply = Reply::new(skb, tuple.protocol(), asked, client);
    cx.netns.find_way_back(&reply, number, cx.rcu)
}

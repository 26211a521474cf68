// SPDX-License-Identifier: GPL-2.0

//! Address translation: packets get another tuple in both directions.

use super::{
    datagram, fullnat, helper, path,
    translate::{quoted, ready, to_other_side, translate},
    transmit::{with_one_header, Edit},
};
use crate::{
    datapath::{answer::discard, context::Context, gate::Balanced},
    engine::{
        csum::Delta,
        family::{IpHeader, Tuple},
        rewrite, seqadj,
        spec::Mode,
        toa::insert,
        wire::{icmp::set_mtu, transport::TCP_MIN_LEN, IcmpError, Packet},
    },
    kapi::{editable::Editable, netfilter::Verdict, skb::Skb},
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
        Stage::Helped => return helped(cx, conn, nat, side, skb, packet),
        _ => return fullnat::segment(cx, conn, nat, side, skb, packet),
    }
    untold(cx, conn, nat, side, skb, packet)
}

/// Sends a segment of which a helper has to know.
#[cold]
fn helped<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let (skb, packet) = match helper::written_anew(cx, conn, nat, side, skb, packet) {
        Ok(written) => written,
        Err(verdict) => return verdict,
    };
    match nat.stage_besides() {
        Stage::Untouched => untold(cx, conn, nat, side, skb, &packet),
        _ => fullnat::segment(cx, conn, nat, side, skb, &packet),
    }
}

/// Sends a packet whose dest is told nothing of its client.
#[inline(always)]
fn untold<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    // Nobody but a director is to tell a client's address.
    let header_len = packet.segment.header_len;
    if side == Side::Client && header_len > TCP_MIN_LEN && has_odd(&skb, packet) {
        return blanked(cx, conn, nat, skb, packet);
    }
    if packet.ip.header_len() != F::Ip::FIXED_LEN {
        return datagram::silent(cx, conn, nat, side, skb, packet);
    }
    let size = (rewrite::writes(&packet.ip), 0);
    let mut ready = match ready::<F>(cx, conn, nat, side, skb, &packet.ip, size) {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    let edited = translate(&mut ready.skb, nat, side, packet, Delta::NONE);
    ready.leave(cx, edited)
}

/// Whether a segment has other options than the usual timestamps.
#[inline(always)]
pub(super) fn has_odd<F: Balanced>(at: &impl Editable, packet: &Packet<F>) -> bool {
    let header = at.head().get(packet.ip.header_len()..packet.headers_len());
    !header.is_some_and(seqadj::has_only_timestamps)
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
        return discard(cx, skb, Counter::DropNoMemory);
    }
    let edit = Edit {
        writes,
        pushes: 0,
        edit: |skb: &mut Skb<'_>| {
            let (ip, header) = skb
                .head_mut()
                .get_mut(..writes)?
                .split_at_mut_checked(packet.ip.header_len())?;
            let changed = insert::blank(header)?;
            if ip.len() != F::Ip::FIXED_LEN {
                F::blank(ip)?;
            }
            translate(skb, nat, Side::Client, packet, changed)
        },
    };
    to_other_side::<F>(cx, conn, nat, Side::Client, skb, &packet.ip, edit)
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
    // What this side received, the other has sent.
    let quoted = |quote: &mut [u8]| quoted(nat.shift(), quote, side == Side::Dest);
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
    to_other_side::<F>(cx, conn, nat, side, skb, ip, edit)
}

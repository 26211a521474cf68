// SPDX-License-Identifier: GPL-2.0

//! What all packets between clients and dests that see another tuple have done to them.

use super::{
    exit::Exit,
    transmit::{prepare, way_back, way_to, Edit, Ready},
};
use crate::{
    datapath::{
        answer::{discard, no_way},
        context::Context,
        gate::Balanced,
    },
    engine::{
        csum::Delta,
        rewrite::{self, Checksum, Deltas},
        seqadj::Shift,
        wire::Packet,
    },
    kapi::{
        editable::Editable,
        netfilter::{Place, Verdict},
        route::NextHop,
        skb::Skb,
    },
    table::{Conn, Counter, NatConn, Side},
};

/// Gives a packet of TCP or UDP of `side` the tuple that the other knows. `more` is what else was
/// changed behind its ports.
#[inline(always)]
pub(super) fn translate<F: Balanced>(
    at: &mut impl Editable,
    nat: &NatConn<F::Tuple>,
    side: Side,
    packet: &Packet<F>,
    more: Delta,
) -> Option<()> {
    let (to, deltas) = nat.translation(side);
    retuple(at, packet, &to, deltas.and(more))
}

/// Gives a packet of TCP or UDP another tuple.
#[inline(always)]
pub(super) fn retuple<F: Balanced>(
    at: &mut impl Editable,
    packet: &Packet<F>,
    to: &F::Tuple,
    deltas: Deltas,
) -> Option<()> {
    let checksum = checksum(at);
    rewrite::packet(at.head_mut(), &packet.ip, to, deltas, checksum)
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
fn checksum(at: &impl Editable) -> Checksum {
    if at.is_checksum_partial() {
        Checksum::PseudoHeader
    } else {
        Checksum::Whole
    }
}

/// Moves the quote of a segment, in an ICMP error, back to what the packet's sender sent: the client
/// if `of_client`.
pub(super) fn quoted(shift: Shift, quote: &mut [u8], of_client: bool) -> Option<Delta> {
    match shift {
        Shift::NONE => Some(Delta::NONE),
        shift => shift.quoted(quote, of_client),
    }
}

/// Edits a packet of `side` and sends it to the other side, which may be this host.
#[inline]
pub(super) fn to_other_side<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    ip: &F::Ip,
    edit: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    let mut ready = match ready::<F>(cx, conn, nat, side, skb, ip, edit.size()) {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    let edited = (edit.edit)(&mut ready.skb);
    ready.leave(cx, edited)
}

/// Makes a packet of `side` ready for an edit of that size, and to leave for the other side. For
/// what is frequent: as a closure the edit would be a function of its own.
#[inline(always)]
pub(super) fn ready<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    ip: &F::Ip,
    size: (usize, u32),
) -> Result<Ready<'a>, Verdict<'a>> {
    let way = match side {
        Side::Client => way_to(cx, conn.dest()),
        // It takes none of ours.
        Side::Dest if keeps_route(cx, side) => way_to(cx, conn.dest()),
        Side::Dest => way_back(cx, nat, &skb),
    };
    let way = match way {
        Ok(way) => way,
        Err(error) => return Err(no_way(cx, skb, F::VERSION, error)),
    };
    let mut ready = match way.is_local() {
        _ if keeps_route(cx, side) => edit_here(cx, way, skb, size, Exit::OnItsWay)?,
        false => prepare::<F>(cx, way, skb, ip, size)?,
        true => edit_here(cx, way, skb, size, Exit::Home)?,
    };
    ready.skb.forget_checksum();
    Ok(ready)
}

/// Whether a packet goes on by the route that the host has found for it: replies, where `ip_vs` has
/// them do so.
#[inline(always)]
fn keeps_route(cx: Context<'_>, side: Side) -> bool {
    side == Side::Dest
        && matches!(cx.place, Place::Forward | Place::LocalOutBehind)
        && !cx.netns.settings.reroutes()
}

/// Makes a packet that the host goes on with ready for an edit of that size.
#[cold]
fn edit_here<'a>(
    cx: Context<'a>,
    way: &'a NextHop,
    mut skb: Skb<'a>,
    (writes, pushes): (usize, u32),
    exit: Exit,
) -> Result<Ready<'a>, Verdict<'a>> {
    if !skb.make_writable(writes, pushes) {
        return Err(discard(cx, skb, Counter::DropNoMemory));
    }
    Ok(Ready { skb, way, exit })
}

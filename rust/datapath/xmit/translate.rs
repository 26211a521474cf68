// SPDX-License-Identifier: GPL-2.0

//! What all packets between clients and dests that see another tuple have done to them.

use super::{
    exit::Exit,
    transmit::{edit_and_leave, prepare, way_back, way_to, Edit},
};
use crate::{
    datapath::{
        answer::{discard, no_way},
        context::Context,
        gate::Balanced,
    },
    engine::{
        csum::Delta,
        rewrite::{self, Checksum},
        seqadj::Shift,
        wire::Packet,
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, NatConn, Side},
};

/// Gives a packet of TCP or UDP of `side` the tuple that the other knows. `more` is what else was
/// changed behind its ports.
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

/// Moves the quote of a segment, in an ICMP error, back to what the packet's sender sent: the client
/// if `of_client`.
pub(super) fn quoted(shift: Shift, quote: &mut [u8], of_client: bool) -> Option<Delta> {
    match shift {
        Shift::NONE => Some(Delta::NONE),
        shift => shift.quoted(quote, of_client),
    }
}

/// Edits a packet of `side` and sends it to the other side, which may be this host.
#[inline(always)]
pub(super) fn to_other_side<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    ip: &F::Ip,
    edit: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    let way = match side {
        Side::Client => way_to(cx, conn.dest()),
        Side::Dest => way_back(cx, nat, &skb),
    };
    let way = match way {
        Ok(way) => way,
        Err(error) => return no_way(cx.netns, skb, F::VERSION, error),
    };
    // One call of `edit`, so that it is inlined.
    let ready = match way.is_local() {
        false => prepare::<F>(cx, way, skb, ip, edit.size()),
        true => prepare_for_here(cx, skb, edit.size()),
    };
    let (mut skb, exit) = match ready {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    skb.forget_checksum();
    edit_and_leave(cx, way, skb, exit, edit.edit)
}

/// Makes a packet for this host ready for an edit of that size.
#[cold]
fn prepare_for_here<'a>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    (writes, pushes): (usize, u32),
) -> Result<(Skb<'a>, Exit), Verdict<'a>> {
    if !skb.make_writable(writes, pushes) {
        return Err(discard(cx.netns, skb, Counter::DropNoMemory));
    }
    Ok((skb, Exit::Home))
}

// SPDX-License-Identifier: GPL-2.0

//! Packets of a connection that the host's source NAT has changed, on the fast lane: they get the tuple
//! that both together make.

use super::{
    nat::has_odd,
    translate::{ready, retuple},
    transmit::with_one_header,
};
use crate::{
    datapath::{context::Context, gate::Balanced},
    engine::{
        rewrite,
        wire::{transport::TCP_MIN_LEN, Packet},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, NatConn, Renamed, Side, Stage},
};

/// Sends a packet of `side` on to the other. What more than that is to be done to goes all the way.
#[inline]
pub(in crate::datapath) fn renamed<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    (nat, names): (&'a NatConn<F::Tuple>, &'a Renamed<F::Tuple>),
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let skb = match with_one_header(cx, skb, &packet.ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    let has_options = side == Side::Client && packet.segment.header_len > TCP_MIN_LEN;
    if nat.stage() != Stage::Untouched || has_options && has_odd(&skb, packet) {
        return Verdict::Accept(skb);
    }
    let size = (rewrite::writes(&packet.ip), 0);
    let mut ready = match ready::<F>(cx, conn, nat, side, skb, &packet.ip, size) {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    let (to, deltas) = names.translation(nat, side);
    let edited = retuple(&mut ready.skb, packet, &to, deltas);
    ready.leave(cx, edited)
}

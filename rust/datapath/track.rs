// SPDX-License-Identifier: GPL-2.0

//! What connection tracking knows of packets that are taken at `ip_vs`'s places: of those of a
//! connection that began while the namespace keeps track it is as `ip_vs` has it with `conntrack=1`,
//! others are untracked.

use super::{answer::discard, context::Context, xmit::stays_here};
use crate::{
    engine::spec::Mode,
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, Dest, Side},
};

/// A packet of `side` of a connection. An error is its end.
#[cold]
#[inline(never)]
pub(super) fn follow<'a>(
    cx: Context<'a>,
    conn: &Conn,
    side: Side,
    mut skb: Skb<'a>,
) -> Result<Skb<'a>, Verdict<'a>> {
    if !conn.is_tracked() {
        skb.mark_balanced();
        skb.untrack();
        return Ok(skb);
    }
    let ends = conn.client_ends();
    match (conn.dest_ends(), side) {
        _ if conn.is_one_packet() => {}
        (Some((dest, _)), Side::Client) => skb.expect_from(ends.protocol, dest),
        (Some(_), Side::Dest) => skb.expect_to(ends.protocol, ends.virtual_address),
        (None, _) => {}
    }
    whole(cx, conn.dest(), skb, true)
}

/// A packet that goes to a dest by its mode as it is, tracked or not. An error is its end.
#[cold]
#[inline(never)]
pub(super) fn whole<'a>(
    cx: Context<'a>,
    dest: &Dest,
    mut skb: Skb<'a>,
    is_tracked: bool,
) -> Result<Skb<'a>, Verdict<'a>> {
    if !cx.place.is_behind() {
        return Ok(skb);
    }
    skb.mark_balanced();
    if !is_tracked {
        skb.untrack();
    } else if dest.mode() == Mode::Tun && !stays_here(cx, dest) && !skb.confirm_and_leave() {
        return Err(discard(cx, skb, Counter::DropOutput));
    }
    Ok(skb)
}

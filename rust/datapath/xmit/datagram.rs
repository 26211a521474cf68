// SPDX-License-Identifier: GPL-2.0

//! Datagrams that tell the dest the client's address in an option of the IP header, and those that
//! may not.

use super::{
    own::make_and_send,
    translate::{to_other_side, translate, translate_chunks},
    transmit::{way_to, Edit},
};
use crate::{
    datapath::{call, context::Context, gate::Balanced},
    engine::{
        csum::Delta,
        family::IpHeader,
        rewrite,
        toa::insert::Told,
        uoa,
        wire::{Packet, SCTP},
    },
    kapi::{netfilter::Verdict, route::NextHop, skb::Skb},
    table::{Conn, NatConn, Side, Stage},
};

/// How a datagram's dest is told the client's address.
#[derive(Clone, Copy)]
enum Tells<'a> {
    /// Not at all.
    Not,
    /// In the datagram.
    Within(Told),
    /// In one ahead of it, on this way.
    Ahead(Told, &'a NextHop),
}

/// Sends a datagram of a flow whose dest has not answered for a while: until then each of the
/// client's tells its address, where they are to.
#[cold]
pub(super) fn datagram<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let is_to_know = nat.stage() == Stage::Datagrams;
    if side == Side::Dest {
        nat.heard();
        call::answered(conn, &mut skb, packet);
    }
    let tells = if is_to_know && side == Side::Client {
        let told = Told::new(uoa::KIND, &nat.client_tuple());
        how::<F>(told, way_to(cx, conn.dest()).ok(), &skb, packet)
    } else {
        Tells::Not
    };
    forward(cx, conn, nat, side, skb, packet, tells)
}

/// How a datagram tells an address: within it if the headers and the way have room for that. An
/// empty one with the option in it is one that went ahead, for whoever receives it.
fn how<'a, F: Balanced>(
    told: Told,
    way: Option<&'a NextHop>,
    skb: &Skb<'_>,
    packet: &Packet<F>,
) -> Tells<'a> {
    let is_empty = packet.ip.total_len() <= packet.headers_len();
    let has_room = F::has_room(packet.ip.header_len());
    let Some(way) = way.filter(|way| !way.is_local()) else {
        // A dest on this host has no path to be too long for, and none that one could go ahead on.
        return match has_room && !is_empty {
            true => Tells::Within(told),
            false => Tells::Not,
        };
    };
    let fits = skb.fits(way.mtu().saturating_sub(F::ROOM as u32));
    match has_room && fits && !is_empty {
        true => Tells::Within(told),
        false => Tells::Ahead(told, way),
    }
}

/// Sends a packet that does not tell any client's address: one with options in its IP header, or of
/// SCTP.
#[cold]
pub(super) fn silent<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    forward(cx, conn, nat, side, skb, packet, Tells::Not)
}

fn forward<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
    tells: Tells<'a>,
) -> Verdict<'a> {
    let edit = Edit {
        writes: rewrite::writes(&packet.ip),
        pushes: match tells {
            Tells::Within(_) => F::ROOM as u32,
            _ => 0,
        },
        edit: |skb: &mut Skb<'_>| {
            match packet.ip.protocol() {
                SCTP => translate_chunks(skb, nat, side, packet)?,
                _ => translate(skb, nat, side, packet, Delta::NONE)?,
            }
            let header_len = packet.ip.header_len();
            if side == Side::Client && header_len != F::Ip::FIXED_LEN {
                F::blank(skb.head_mut().get_mut(..header_len)?)?;
            }
            match tells {
                Tells::Not => {}
                Tells::Within(told) => {
                    let transport = header_len.checked_add(F::ROOM)?;
                    skb.open_gap(F::Ip::FIXED_LEN, F::ROOM, transport)?;
                    F::fill(skb.head_mut(), &told)?;
                }
                Tells::Ahead(told, way) => {
                    let (bytes, len) = uoa::alone::<F>(skb.head(), header_len, &told)?;
                    // If it gets lost, the next datagram tells it.
                    make_and_send(cx, way, bytes.get(..len)?, F::Ip::FIXED_LEN);
                }
            }
            Some(())
        },
    };
    to_other_side::<F>(cx, conn, nat, side, skb, &packet.ip, edit)
}

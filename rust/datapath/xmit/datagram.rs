// SPDX-License-Identifier: GPL-2.0

//! Datagrams that tell the dest the client's address in an option of the IP header, and those that
//! may not.

use super::{
    nat::{send, translate, translate_chunks},
    Edit,
};
use crate::{
    datapath::{context::Context, family::Balanced},
    engine::{
        carry::Told,
        csum::Delta,
        family::IpHeader,
        rewrite, uoa,
        wire::{Packet, SCTP},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, NatConn, Side, Stage},
};

/// Sends a datagram of a flow whose dest has not answered: until then each of the client's tells
/// its address, where they are to.
#[cold]
pub(super) fn datagram<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let is_to_know = nat.stage() == Stage::Datagrams;
    if side == Side::Dest {
        nat.heard();
        conn.assure();
    }
    let tells = is_to_know && side == Side::Client && F::has_room(packet.ip.header_len());
    let told = Told::new(uoa::KIND, &nat.client_tuple());
    forward(cx, conn, nat, side, skb, packet, tells.then_some(told))
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
    forward(cx, conn, nat, side, skb, packet, None)
}

fn forward<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    skb: Skb<'a>,
    packet: &Packet<F>,
    told: Option<Told>,
) -> Verdict<'a> {
    let edit = Edit {
        writes: rewrite::writes(&packet.ip),
        pushes: told.map_or(0, |_| F::ROOM as u32),
        edit: |skb: &mut Skb<'_>| {
            match packet.ip.protocol() {
                SCTP => translate_chunks(skb, nat, side, packet)?,
                _ => translate(skb, nat, side, packet, Delta::NONE)?,
            }
            let header_len = packet.ip.header_len();
            if side == Side::Client && header_len != F::Ip::FIXED_LEN {
                F::blank(skb.head_mut().get_mut(..header_len)?)?;
            }
            if let Some(told) = told {
                let transport = header_len.checked_add(F::ROOM)?;
                skb.open_gap(F::Ip::FIXED_LEN, F::ROOM, transport)?;
                F::fill(skb.head_mut(), &told)?;
            }
            Some(())
        },
    };
    send::<F>(cx, conn, nat, side, skb, &packet.ip, edit)
}

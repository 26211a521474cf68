// SPDX-License-Identifier: GPL-2.0

//! Which call a packet is about, where calls stay with dests: first packets of flows are asked, and the first
//! answer to each.

use super::gate::Balanced;
use crate::{
    engine::{
        family::IpHeader,
        persistence::Engine,
        sip,
        wire::{Packet, UDP},
    },
    kapi::skb::Skb,
    table::Conn,
};

/// The Call-ID in a packet; none where it is of no call, or there is no memory to look.
pub(super) fn of<'b, F: Balanced>(skb: &'b mut Skb<'_>, packet: &Packet<F>) -> Option<&'b [u8]> {
    if packet.ip.protocol() != UDP {
        return None;
    }
    let begin = packet.headers_len();
    let end = packet
        .ip
        .total_len()
        .min(begin.saturating_add(sip::READ_MAX));
    if skb.head().len() < end && !skb.pull(end) {
        return None;
    }
    sip::call_id(skb.head().get(begin..end)?)
}

/// A dest has answered a connection: what stays with it is to be relied on.
#[cold]
pub(super) fn answered<F: Balanced>(conn: &Conn, skb: &mut Skb<'_>, packet: &Packet<F>) {
    match conn.dest().keeps() {
        Some(Engine::Sip) => {
            if let Some(call) = of(skb, packet) {
                conn.assure_call(call);
            }
        }
        _ => conn.assure(),
    }
}

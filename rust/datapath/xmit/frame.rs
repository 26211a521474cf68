// SPDX-License-Identifier: GPL-2.0

//! What modes do to frames at the device: as the other files here have it for packets of the stack, as far
//! as it is frequent.

use core::net::{IpAddr, Ipv4Addr};

use super::{
    fullnat, nat,
    translate::translate,
    tun::{id, words},
};
use crate::{
    datapath::gate::Balanced,
    engine::{
        csum::Delta,
        family::IpHeader,
        spec::Mode,
        toa::telling,
        tunnel::{ipip, Tunnel, IPIP_OVERHEAD},
        wire::{Packet, TCP},
    },
    kapi::{editable::Editable, frame::Frame, route::NextHop},
    table::{Conn, NatConn, Side, Stage},
};

/// What is done to a packet.
pub(in crate::datapath) enum Plan<'a, F: Balanced> {
    /// It stays as it is.
    Whole,
    /// It travels in IPIP, to that address.
    Ipip(Ipv4Addr),
    /// It gets another tuple.
    Translate(&'a NatConn<F::Tuple>),
    /// And other numbers.
    Renumber(&'a NatConn<F::Tuple>),
}

/// What is done to a packet of a connection; None where that takes more than a frame has, and for packets
/// by which connections learn more than their state.
#[inline(always)]
pub(in crate::datapath) fn plan<'a, F: Balanced>(
    conn: &'a Conn,
    side: Side,
    frame: &Frame<'_>,
    packet: &Packet<F>,
) -> Option<Plan<'a, F>> {
    let dest = conn.dest();
    if !conn.has_two_keys() {
        if dest.is_dr() {
            return Some(Plan::Whole);
        }
        return match (dest.mode(), dest.id().address) {
            (Mode::Local, _) => None,
            (Mode::Tun, IpAddr::V4(address)) if F::VERSION == 4 => {
                (dest.tunnel() == Tunnel::IPIP).then_some(Plan::Ipip(address))
            }
            (Mode::Tun, _) => None,
            _ => Some(Plan::Whole),
        };
    }
    let nat = conn.nat::<F::Tuple>()?;
    let is_tcp = packet.ip.protocol() == TCP;
    match (nat.stage(), side) {
        (Stage::Untouched, Side::Client) if is_tcp && nat::has_odd(frame, packet) => None,
        (Stage::Untouched, _) | (Stage::Unheard, Side::Client) => Some(Plan::Translate(nat)),
        (Stage::Told, Side::Client) if fullnat::is_middle(nat, frame, packet) => {
            Some(Plan::Renumber(nat))
        }
        (Stage::Told, Side::Dest) if !packet.segment.flags.has(telling::TURNS) => {
            Some(Plan::Renumber(nat))
        }
        _ => None,
    }
}

impl<F: Balanced> Plan<'_, F> {
    /// Bytes that it puts in front.
    #[inline(always)]
    pub(in crate::datapath) fn pushes(&self) -> u32 {
        match self {
            Self::Ipip(_) => IPIP_OVERHEAD,
            _ => 0,
        }
    }

    /// Does it to a packet of `side` that goes that way; the hop is counted too. None is a packet that it
    /// cannot be done to.
    #[inline(always)]
    pub(in crate::datapath) fn edit(
        &self,
        way: &NextHop,
        conn: &Conn,
        side: Side,
        frame: &mut Frame<'_>,
        packet: &Packet<F>,
    ) -> Option<()> {
        frame.count_hop(F::VERSION);
        match self {
            Self::Whole => Some(()),
            Self::Ipip(address) => {
                let IpAddr::V4(source) = way.source() else {
                    return None;
                };
                let ttl = packet.ip.ttl().wrapping_sub(1);
                let id = id::<F>(frame.head(), &packet.ip, conn.flow());
                let ends = words(source, *address);
                frame.push(&ipip(&packet.ip, frame.len(), ttl, ends, id)?)
            }
            Self::Translate(nat) => translate(frame, nat, side, packet, Delta::NONE),
            Self::Renumber(nat) => fullnat::rewrite(frame, nat, side, packet),
        }
    }
}

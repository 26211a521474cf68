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
        family::{IpHeader, Tuple},
        nat64::GROWTH,
        toa::telling,
        tunnel::{self, ipip, outer, Tunnel, TunnelKind, IPIP_OVERHEAD},
        tuple::TupleV6,
        wire::{ipv6, Packet, TCP},
    },
    kapi::{editable::Editable, frame::Frame, netns::Net, route::NextHop},
    table::{Conn, Dest, NatConn, Netns, Side, Stage},
};

/// What is done to a packet.
pub(in crate::datapath) trait Plan<F: Balanced> {
    /// Bytes that it puts in front.
    #[inline(always)]
    fn pushes(&self) -> u32 {
        0
    }

    /// Does it to a packet that goes that way, whose hop is counted. None is a packet that it cannot be
    /// done to.
    fn edit(&self, way: &NextHop, frame: &mut Frame<'_>, packet: &Packet<F>) -> Option<()>;
}

/// It stays as it is.
pub(in crate::datapath) struct Whole;

impl<F: Balanced> Plan<F> for Whole {
    #[inline(always)]
    fn edit(&self, _way: &NextHop, _frame: &mut Frame<'_>, _packet: &Packet<F>) -> Option<()> {
        Some(())
    }
}

/// It travels in IPIP, to that address. `flow` is its flow's hash.
pub(in crate::datapath) struct Ipip {
    pub(in crate::datapath) to: Ipv4Addr,
    pub(in crate::datapath) flow: u32,
}

impl<F: Balanced> Plan<F> for Ipip {
    #[inline(always)]
    fn pushes(&self) -> u32 {
        IPIP_OVERHEAD
    }

    #[inline(always)]
    fn edit(&self, way: &NextHop, frame: &mut Frame<'_>, packet: &Packet<F>) -> Option<()> {
        let IpAddr::V4(source) = way.source() else {
            return None;
        };
        let ttl = packet.ip.ttl().wrapping_sub(1);
        let id = id::<F>(frame.head(), &packet.ip, self.flow);
        let ends = words(source, self.to);
        frame.push(&ipip(&packet.ip, frame.len(), ttl, ends, id)?)
    }
}

/// It travels in another tunnel.
pub(in crate::datapath) struct Tunnelled<'a> {
    net: &'a Net,
    dest: &'a Dest,
    tunnel: Tunnel,
    flow: u32,
}

impl<'a> Tunnelled<'a> {
    /// In that to the dest of `conn`.
    pub(in crate::datapath) fn new(netns: &'a Netns, conn: &'a Conn) -> Self {
        let dest = conn.dest();
        Self {
            net: netns.net(),
            dest,
            tunnel: dest.tunnel(),
            flow: conn.flow(),
        }
    }

    /// Puts what is behind the outer header in front of a packet.
    fn push_inner<F: Balanced>(&self, way: &NextHop, frame: &mut Frame<'_>) -> Option<()> {
        match self.tunnel.kind {
            TunnelKind::Ipip => Some(()),
            TunnelKind::Gre => {
                let header = tunnel::gre(self.tunnel, F::IN_IP, frame.head());
                match header.last_chunk() {
                    Some(sum) if self.tunnel.is_summed() => frame.push::<4>(sum),
                    _ => Some(()),
                }?;
                frame.push::<4>(header.first_chunk()?)
            }
            TunnelKind::Gue => {
                let source = self.net.flow_port(self.flow);
                let ends = (way.source(), self.dest.id().address);
                let header = tunnel::gue(self.tunnel, F::IN_IP, source, ends, frame.head())?;
                frame.push(&header)
            }
        }
    }
}

impl<F: Balanced> Plan<F> for Tunnelled<'_> {
    fn pushes(&self) -> u32 {
        let more = match self.dest.id().address {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => GROWTH,
        };
        self.tunnel.overhead(false).saturating_add(more)
    }

    fn edit(&self, way: &NextHop, frame: &mut Frame<'_>, packet: &Packet<F>) -> Option<()> {
        let ttl = packet.ip.ttl().wrapping_sub(1);
        let id = id::<F>(frame.head(), &packet.ip, self.flow);
        let protocol = self.tunnel.protocol(F::IN_IP);
        self.push_inner::<F>(way, frame)?;
        match (way.source(), self.dest.id().address) {
            (IpAddr::V4(source), IpAddr::V4(address)) => {
                let len = frame.len().checked_add(IPIP_OVERHEAD)?;
                let ends = words(source, address);
                frame.push(&outer(&packet.ip, len, protocol, ttl, ends, id)?)
            }
            (IpAddr::V6(source), IpAddr::V6(address)) => {
                let ends = TupleV6::between((source, 0), (address, 0), 0);
                let payload = frame.len() as usize;
                frame.push(&ipv6::header(
                    packet.ip.tos(),
                    protocol,
                    &ends,
                    payload,
                    ttl,
                ))
            }
            _ => None,
        }
    }
}

/// It gets another tuple, and other numbers if `renumbers`.
pub(in crate::datapath) struct Translation<'a, F: Balanced> {
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    renumbers: bool,
}

/// What is done to a packet of a connection whose dest sees another tuple; None where that takes more than
/// a frame has, and for packets by which connections learn more than their state.
#[inline(always)]
pub(in crate::datapath) fn translation<'a, F: Balanced>(
    conn: &'a Conn,
    side: Side,
    frame: &Frame<'_>,
    packet: &Packet<F>,
) -> Option<Translation<'a, F>> {
    let nat = conn.nat::<F::Tuple>()?;
    let is_tcp = packet.ip.protocol() == TCP;
    let renumbers = match (nat.stage(), side) {
        (Stage::Untouched, Side::Client) if is_tcp && nat::has_odd(frame, packet) => return None,
        (Stage::Untouched, _) | (Stage::Unheard, Side::Client) => false,
        (Stage::Told, Side::Client) => fullnat::is_middle(nat, frame, packet).then_some(true)?,
        (Stage::Told, Side::Dest) if !packet.segment.flags.has(telling::TURNS) => true,
        _ => return None,
    };
    Some(Translation {
        nat,
        side,
        renumbers,
    })
}

impl<F: Balanced> Plan<F> for Translation<'_, F> {
    #[inline(always)]
    fn edit(&self, _way: &NextHop, frame: &mut Frame<'_>, packet: &Packet<F>) -> Option<()> {
        if self.renumbers {
            return fullnat::rewrite(frame, self.nat, self.side, packet);
        }
        translate(frame, self.nat, self.side, packet, Delta::NONE)
    }
}

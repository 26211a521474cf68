// SPDX-License-Identifier: GPL-2.0

//! Tunnelling: packets travel unchanged in others that are addressed to the dest.

use core::net::{IpAddr, Ipv4Addr};

use super::transmit::{transmit, way_to, with_one_header, Edit};
use crate::{
    datapath::{answer::no_way, context::Context},
    engine::{
        family::{Family, IpHeader, Tuple},
        nat64::GROWTH,
        tunnel::{ipip, outer, outer_id, Tunnel, IPIP_OVERHEAD},
        tuple::TupleV6,
        wire::ipv6,
    },
    kapi::{netfilter::Verdict, random, route::NextHop, skb::Skb},
    table::Dest,
};

/// Sends a packet to a dest anywhere, in a tunnel. `flow` is its flow's hash.
#[inline]
pub(in crate::datapath) fn tun<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
    flow: u32,
) -> Verdict<'a> {
    let skb = match with_one_header(cx, skb, ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    let way = match way_to(cx, dest) {
        Ok(way) => way,
        Err(error) => return no_way(cx, skb, F::VERSION, error),
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    let ttl = ip.ttl().wrapping_sub(u8::from(cx.place.counts_hop()));
    let is_plain = F::VERSION == 4 && dest.tunnel() == Tunnel::IPIP;
    let (true, IpAddr::V4(source), IpAddr::V4(address)) =
        (is_plain, way.source(), dest.id().address)
    else {
        return other::<F>(cx, dest, way, skb, ip, (ttl, flow));
    };
    let edit = Edit {
        writes: ip.header_len(),
        pushes: IPIP_OVERHEAD,
        edit: |skb: &mut Skb<'_>| {
            let id = id::<F>(skb.head(), ip, flow);
            let header = ipip(ip, skb.len(), ttl, words(source, address), id)?;
            skb.push_ipip(&header)
        },
    };
    transmit::<F>(cx, way, skb, ip, edit)
}

/// Sends a packet in a tunnel that has a header of its own behind the outer one, or in which an end
/// or the packet is IPv6.
#[inline(never)]
fn other<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    way: &'a NextHop,
    skb: Skb<'a>,
    ip: &F::Ip,
    (ttl, flow): (u8, u32),
) -> Verdict<'a> {
    let tunnel = dest.tunnel();
    let is_v6 = way.source().is_ipv6();
    let more = if is_v6 { GROWTH } else { 0 };
    let pushes = tunnel
        .overhead(skb.is_checksum_partial())
        .saturating_add(more);
    let edit = Edit {
        writes: ip.header_len(),
        pushes,
        edit: |skb: &mut Skb<'_>| {
            let len = skb.len().checked_add(pushes)?;
            let protocol = tunnel.protocol(F::IN_IP);
            let net = cx.netns.net();
            let numbers = (tunnel.kind as u8, tunnel.sum as u8, tunnel.port);
            match (way.source(), dest.id().address) {
                (IpAddr::V4(source), IpAddr::V4(address)) => {
                    let id = id::<F>(skb.head(), ip, flow);
                    let addresses = words(source, address);
                    let header = outer(ip, len, protocol, ttl, addresses, id)?;
                    skb.push_tunnel(net, &header, F::IN_IP, numbers, flow)
                }
                (IpAddr::V6(source), IpAddr::V6(address)) => {
                    let ends = TupleV6::between((source, 0), (address, 0), 0);
                    let payload = (len as usize).checked_sub(ipv6::LEN)?;
                    let header = ipv6::header(ip.tos(), protocol, &ends, payload, ttl);
                    skb.push_tunnel(net, &header, F::IN_IP, numbers, flow)
                }
                _ => None,
            }
        },
    };
    transmit::<F>(cx, way, skb, ip, edit)
}

/// An id for the packet `ip` of a flow in a tunnel.
#[inline]
pub(super) fn id<F: Family>(inner: &[u8], ip: &F::Ip, flow: u32) -> u16 {
    if ip.dont_fragment_around() {
        0
    } else if F::VERSION == 4 {
        outer_id(inner, flow)
    } else {
        // It has none of its own.
        random::u64() as u16
    }
}

/// Two addresses as they stand in the header, read as one little-endian number.
#[inline]
pub(super) fn words(source: Ipv4Addr, destination: Ipv4Addr) -> u64 {
    let [source, destination] =
        [source, destination].map(|address| u32::from_le_bytes(address.octets()));
    u64::from(source) | (u64::from(destination) << 32)
}

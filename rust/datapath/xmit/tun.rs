// SPDX-License-Identifier: GPL-2.0

//! Tunnelling: packets travel unchanged in others that are addressed to the dest.

use core::net::{IpAddr, Ipv4Addr};

use super::{no_way, transmit, way_to, Edit};
use crate::{
    datapath::context::Context,
    engine::{
        family::{Family, IpHeader},
        tunnel::{ipip, outer_id, IPIP_OVERHEAD},
    },
    kapi::{
        netfilter::{Place, Verdict},
        route::NextHop,
        skb::Skb,
    },
    table::Dest,
};

/// Sends a packet to a dest anywhere, in an IPIP tunnel. `flow` is its flow's hash.
#[inline]
pub(super) fn tun<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
    flow: u32,
) -> Verdict<'a> {
    let way = match way_to(cx, dest) {
        Ok(way) => way,
        Err(error) => return no_way(cx.netns, skb, F::VERSION, error),
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    let ttl = match cx.place {
        Place::LocalOut => ip.ttl(),
        _ => ip.ttl().wrapping_sub(1),
    };
    let edit = Edit {
        writes: ip.header_len(),
        pushes: IPIP_OVERHEAD,
        edit: |skb: &mut Skb<'_>| encapsulate::<F>(way, dest, skb, ip, (ttl, flow)),
    };
    transmit::<F>(cx, way, skb, ip, edit)
}

/// Puts the outer header in front of a packet.
#[inline]
fn encapsulate<F: Family>(
    way: &NextHop,
    dest: &Dest,
    skb: &mut Skb<'_>,
    ip: &F::Ip,
    (ttl, flow): (u8, u32),
) -> Option<()> {
    let (IpAddr::V4(source), IpAddr::V4(address)) = (way.source(), dest.id().address) else {
        return None;
    };
    let id = if ip.dont_fragment() {
        0
    } else {
        outer_id(skb.head(), flow)
    };
    let header = ipip(ip, skb.len(), ttl, words(source, address), id)?;
    skb.push_ipip(&header)
}

/// Two addresses as they stand in the header, read as one little-endian number.
fn words(source: Ipv4Addr, destination: Ipv4Addr) -> u64 {
    let [source, destination] =
        [source, destination].map(|address| u32::from_le_bytes(address.octets()));
    u64::from(source) | (u64::from(destination) << 32)
}

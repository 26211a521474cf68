// SPDX-License-Identifier: GPL-2.0

//! Tunnelling: packets travel unchanged in others that are addressed to the dest.

use core::net::{IpAddr, Ipv4Addr};

use super::{no_way, transmit, way_to, Edit};
use crate::{
    datapath::context::Context,
    engine::{
        family::{Family, IpHeader},
        tunnel::{ipip, IPIP_OVERHEAD},
    },
    kapi::{
        netfilter::{Place, Verdict},
        route::{fragment_id, NextHop},
        skb::Skb,
    },
    table::{Dest, Netns},
};

/// Sends a packet to a dest anywhere, in an IPIP tunnel.
#[inline]
pub(super) fn tun<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
) -> Verdict<'a> {
    let way = match way_to(cx, dest) {
        Ok(way) => way,
        Err(error) => return no_way(cx.netns, skb, F::VERSION, error),
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    let ttl = match cx.place {
        Place::PreRouting => ip.ttl().wrapping_sub(1),
        Place::LocalOut => ip.ttl(),
    };
    let edit = Edit {
        writes: ip.header_len(),
        pushes: IPIP_OVERHEAD,
        edit: |skb: &mut Skb<'_>| encapsulate::<F>(cx.netns, way, dest, skb, ip, ttl),
    };
    transmit::<F>(cx, way, skb, ip, edit)
}

/// Puts the outer header in front of a packet.
#[inline]
fn encapsulate<F: Family>(
    netns: &Netns,
    way: &NextHop,
    dest: &Dest,
    skb: &mut Skb<'_>,
    ip: &F::Ip,
    ttl: u8,
) -> Option<()> {
    let (IpAddr::V4(source), IpAddr::V4(address)) = (way.source(), dest.id().address) else {
        return None;
    };
    let id = if ip.dont_fragment() {
        0
    } else {
        fragment_id(netns.net(), source, address)
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

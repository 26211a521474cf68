// SPDX-License-Identifier: GPL-2.0

//! Direct routing: addresses and ports stay, only the frame's destination changes.

use super::{no_way, transmit, way_to};
use crate::{
    engine::wire::Ipv4,
    kapi::{
        netfilter::{Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Dest, Netns},
};

/// Sends a packet to a dest on a network of this host.
#[inline(always)]
pub(in crate::datapath) fn dr<'a>(
    netns: &'a Netns,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &Ipv4,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let way = match way_to(netns, dest, rcu) {
        Ok(way) => way,
        Err(error) => return no_way(netns, skb, error),
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    transmit(netns, way, skb, ip, place, rcu, ip.header_len, |_| Some(()))
}

// SPDX-License-Identifier: GPL-2.0

//! Direct routing: addresses and ports stay, only the frame's destination changes.

use super::{no_way, transmit, way_to, Edit};
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
pub(super) fn dr<'a>(
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
    let edit = Edit {
        // The time to live.
        writes: ip.header_len,
        pushes: 0,
        edit: |_: &mut Skb<'_>| Some(()),
    };
    transmit(netns, way, skb, ip, place, rcu, edit)
}

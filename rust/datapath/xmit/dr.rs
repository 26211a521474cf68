// SPDX-License-Identifier: GPL-2.0

//! Direct routing: addresses and ports stay, only the frame's destination changes.

use super::transmit::{transmit, way_to, Edit};
use crate::{
    datapath::{answer::no_way, context::Context},
    engine::family::{Family, IpHeader},
    kapi::{netfilter::Verdict, skb::Skb},
    table::Dest,
};

/// Sends a packet to a dest on a network of this host.
#[inline(always)]
pub(in crate::datapath) fn dr<'a, F: Family>(
    cx: Context<'a>,
    dest: &'a Dest,
    skb: Skb<'a>,
    ip: &F::Ip,
) -> Verdict<'a> {
    let way = match way_to(cx, dest) {
        Ok(way) => way,
        Err(error) => return no_way(cx, skb, F::VERSION, error),
    };
    if way.is_local() {
        return Verdict::Accept(skb);
    }
    let edit = Edit {
        // The time to live.
        writes: ip.header_len(),
        pushes: 0,
        edit: |_: &mut Skb<'_>| Some(()),
    };
    transmit::<F>(cx, way, skb, ip, edit)
}

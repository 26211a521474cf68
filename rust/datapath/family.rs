// SPDX-License-Identifier: GPL-2.0

//! What the datapath asks of an IP version.

use crate::{
    engine::{
        family::{V4, V6},
        wire::IcmpFamily,
    },
    kapi::skb::Skb,
    table::{Connect, Gate, Netns},
};

/// An IP version whose packets are balanced.
pub(super) trait Balanced: IcmpFamily<Tuple: Connect> {
    /// What of its packets is looked at.
    fn gate(netns: &Netns) -> &Gate;

    /// Source address of a packet as the gate knows it.
    fn source(skb: &Skb<'_>) -> u32;

    /// Destination address of a packet as the gate knows it.
    fn destination(skb: &Skb<'_>) -> u32;
}

impl Balanced for V4 {
    #[inline(always)]
    fn gate(netns: &Netns) -> &Gate {
        &netns.gate_v4
    }

    #[inline(always)]
    fn source(skb: &Skb<'_>) -> u32 {
        skb.ipv4_source()
    }

    #[inline(always)]
    fn destination(skb: &Skb<'_>) -> u32 {
        skb.ipv4_destination()
    }
}

impl Balanced for V6 {
    #[inline(always)]
    fn gate(netns: &Netns) -> &Gate {
        &netns.gate_v6
    }

    #[inline(always)]
    fn source(skb: &Skb<'_>) -> u32 {
        skb.ipv6_source()
    }

    #[inline(always)]
    fn destination(skb: &Skb<'_>) -> u32 {
        skb.ipv6_destination()
    }
}

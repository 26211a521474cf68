// SPDX-License-Identifier: GPL-2.0

//! The cheap test that each packet of the host is put to: most are nobody's of ours.

use crate::{
    engine::{
        csum,
        family::{V4, V6},
        uoa::Carrier,
        wire::IcmpFamily,
    },
    kapi::skb::{folded, Skb},
    table::{Connect, Gate, Netns},
};

/// An IP version whose packets are balanced.
pub(super) trait Balanced: IcmpFamily<Tuple: Connect> + Carrier {
    /// Where the header has the payload's protocol, or the first extension's.
    const PROTOCOL_AT: usize;

    /// What of its packets is looked at.
    fn gate(netns: &Netns) -> &Gate;

    /// Source address of a packet as the gate knows it.
    fn source(skb: &Skb<'_>) -> u32;

    /// Destination address of a packet as the gate knows it.
    fn destination(skb: &Skb<'_>) -> u32;

    /// Source and destination as the gate knows them, of a packet's head; None where it is short.
    fn ends(head: &[u8]) -> Option<(u32, u32)>;

    /// Whether a packet's header is of that version and has no options.
    fn is_plain(head: &[u8]) -> bool;

    /// Whether a header without options has the right checksum.
    fn has_right_sum(head: &[u8]) -> bool;
}

impl Balanced for V4 {
    const PROTOCOL_AT: usize = 9;

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

    #[inline(always)]
    fn ends(head: &[u8]) -> Option<(u32, u32)> {
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *head.first_chunk::<20>()?;
        Some((
            u32::from_ne_bytes([s0, s1, s2, s3]),
            u32::from_ne_bytes([d0, d1, d2, d3]),
        ))
    }

    #[inline(always)]
    fn is_plain(head: &[u8]) -> bool {
        head.first() == Some(&0x45)
    }

    #[inline(always)]
    fn has_right_sum(head: &[u8]) -> bool {
        head.first_chunk::<20>()
            .is_some_and(|header| csum::of_header(header) == 0)
    }
}

impl Balanced for V6 {
    const PROTOCOL_AT: usize = 6;

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

    #[inline(always)]
    fn ends(head: &[u8]) -> Option<(u32, u32)> {
        let [_, _, _, _, _, _, _, _, ends @ ..] = *head.first_chunk::<40>()?;
        Some((folded(ends.first_chunk()?), folded(ends.last_chunk()?)))
    }

    #[inline(always)]
    fn is_plain(head: &[u8]) -> bool {
        head.first().is_some_and(|first| first >> 4 == 6)
    }

    /// It has none.
    #[inline(always)]
    fn has_right_sum(_head: &[u8]) -> bool {
        true
    }
}

/// Why a packet is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    /// It is to a virtual address: for us to balance, answer or drop.
    ByDestination,
    /// It is from a dest whose packets we translate, but may be any of that host's traffic.
    BySource,
}

/// Why a packet is to be looked at; strangers are not.
#[inline(always)]
pub(super) fn admit<F: Balanced>(netns: &Netns, skb: &Skb<'_>) -> Option<Ours> {
    let gate = F::gate(netns);
    if gate.virtual_addresses.may_contain(F::destination(skb)) {
        return Some(Ours::ByDestination);
    }
    if gate.translated_dests.is_empty() {
        return None;
    }
    gate.translated_dests
        .may_contain(F::source(skb))
        .then_some(Ours::BySource)
}

/// As [`admit`], of the head of a packet in a frame.
#[inline(always)]
pub(super) fn admits_frame<F: Balanced>(netns: &Netns, head: &[u8]) -> bool {
    let gate = F::gate(netns);
    F::ends(head).is_some_and(|(source, destination)| {
        gate.is_ahead_of_input()
            && (gate.virtual_addresses.may_contain(destination)
                || (!gate.translated_dests.is_empty() && gate.translated_dests.may_contain(source)))
    })
}

/// Whether a packet that this host sends may be its own error about one that was translated on its
/// way to a dest: such an error is to the client, and from any of the host's addresses.
#[inline(always)]
pub(super) fn is_own_error<F: Balanced>(netns: &Netns, skb: &Skb<'_>) -> bool {
    // The host puts no extension headers in its errors.
    !F::gate(netns).translated_dests.is_empty()
        && skb.head().get(F::PROTOCOL_AT).copied() == Some(F::ICMP)
}

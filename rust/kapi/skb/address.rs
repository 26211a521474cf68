// SPDX-License-Identifier: GPL-2.0

//! The addresses of packets, as the filters know them.

use super::Skb;

impl Skb<'_> {
    /// Source address of an IPv4 packet, as it stands in the header, read in native order.
    #[inline(always)]
    pub(crate) fn ipv4_source(&self) -> u32 {
        self.ipv4_word::<12>()
    }

    /// Destination address of an IPv4 packet, likewise.
    #[inline(always)]
    pub(crate) fn ipv4_destination(&self) -> u32 {
        self.ipv4_word::<16>()
    }

    /// A word of the IPv4 header, without a check of lengths: every packet of the host is asked.
    #[inline(always)]
    fn ipv4_word<const OFFSET: usize>(&self) -> u32 {
        const { assert!(OFFSET + 4 <= 20) };
        // SAFETY: Netfilter's IPv4 hooks get packets whose IP header is whole and linear
        // (`ip_rcv_core` sees to it for received ones); it has no alignment to rely on.
        unsafe { self.get().data.add(OFFSET).cast::<u32>().read_unaligned() }
    }

    /// Source address of an IPv6 packet, its four words put together by exclusive or, each as it
    /// stands in the header, read in native order.
    #[inline(always)]
    pub(crate) fn ipv6_source(&self) -> u32 {
        self.ipv6_words::<8>()
    }

    /// Destination address of an IPv6 packet, likewise.
    #[inline(always)]
    pub(crate) fn ipv6_destination(&self) -> u32 {
        self.ipv6_words::<24>()
    }

    /// An address of the IPv6 header, without a check of lengths, as [`Skb::ipv4_word`].
    #[inline(always)]
    fn ipv6_words<const OFFSET: usize>(&self) -> u32 {
        const { assert!(OFFSET + 16 <= 40) };
        // SAFETY: Netfilter's IPv6 hooks get packets whose fixed header is whole and linear
        // (`ip6_rcv_core` sees to it for received ones); it has no alignment to rely on.
        let [low, high] = unsafe {
            let address = self.get().data.add(OFFSET).cast::<u64>();
            [address, address.add(1)].map(|half| half.read_unaligned())
        };
        fold(low, high)
    }
}

/// An IPv6 address as [`Skb::ipv6_source`] has it.
#[inline(always)]
pub(crate) fn folded(address: &[u8; 16]) -> u32 {
    let [low, high] = [address.first_chunk(), address.last_chunk()]
        .map(|half| u64::from_ne_bytes(*half.unwrap_or(&[0; 8])));
    fold(low, high)
}

#[inline(always)]
fn fold(low: u64, high: u64) -> u32 {
    let both = low ^ high;
    (both ^ (both >> 32)) as u32
}

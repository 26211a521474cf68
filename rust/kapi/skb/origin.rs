// SPDX-License-Identifier: GPL-2.0

//! Where packets come from, and whom they are for.

use super::Skb;
use crate::bindings;

/// `skb->pkt_type` of frames that are addressed to this host.
const PACKET_HOST: u8 = bindings::PACKET_HOST as u8;
/// The bit in `skb->active_extensions` of what a bridge knows of a packet.
#[cfg(CONFIG_BRIDGE_NETFILTER)]
const BRIDGED: u8 = 1 << bindings::skb_ext_id_SKB_EXT_BRIDGE_NF;

impl Skb<'_> {
    /// Whether the frame was addressed to this host. What a bridge shows of frames to others is not.
    #[inline]
    pub(crate) fn is_for_this_host(&self) -> bool {
        self.headers().pkt_type() == PACKET_HOST && !self.is_bridged()
    }

    #[cfg(CONFIG_BRIDGE_NETFILTER)]
    #[inline(always)]
    fn is_bridged(&self) -> bool {
        if self.get().active_extensions & BRIDGED == 0 {
            return false;
        }
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_is_bridged(self.as_raw()) }
    }

    #[cfg(not(CONFIG_BRIDGE_NETFILTER))]
    #[inline(always)]
    fn is_bridged(&self) -> bool {
        false
    }

    /// Number of the device that a received packet came by; 0 for one that this host sent.
    #[inline(always)]
    pub(crate) fn arrived_by(&self) -> u32 {
        self.headers().skb_iif as u32
    }

    /// The mark that rules have given it; 0 for none.
    pub(crate) fn mark(&self) -> u32 {
        // SAFETY: All members of the union are plain words.
        unsafe { self.headers().__bindgen_anon_4.mark }
    }

    /// Takes a packet from the socket that the host has found for it.
    pub(crate) fn orphan(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::skb_orphan(self.as_raw()) };
    }

    /// Whether this host's own output got it from us, or from `ip_vs`.
    #[inline]
    pub(crate) fn is_balanced(&self) -> bool {
        self.headers().ipvs_property() != 0
    }

    /// Whether this host has sent the packet to itself.
    pub(crate) fn was_sent_here(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_was_sent_here(self.as_raw()) }
    }

    /// Whether the input path would take a received packet of that IP version from its source, if
    /// it looks at nothing else; `is_virtual` if that is a virtual address. The packet has no route
    /// after this.
    pub(crate) fn is_source_good(&mut self, version: u8, is_virtual: bool) -> bool {
        // SAFETY: The packet is live and ours; hooks run under RCU.
        unsafe {
            if version == 4 {
                bindings::rvs_is_source_good(self.as_raw(), is_virtual)
            } else {
                bindings::rvs_is_source6_good(self.as_raw(), is_virtual)
            }
        }
    }

    /// Whether the device that an IPv4 packet came by takes packets which say their way.
    pub(crate) fn takes_source_route(&self) -> bool {
        // SAFETY: The packet is live; hooks run under RCU.
        unsafe { bindings::rvs_takes_source_route(self.as_raw()) }
    }

    /// Whether a received IPv6 packet was put together from fragments.
    pub(crate) fn came_in_fragments_v6(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_frag6_max_size(self.as_raw()) != 0 }
    }
}

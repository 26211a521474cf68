// SPDX-License-Identifier: GPL-2.0

//! What is left to devices: checksums, and packets that will be cut into segments.

use super::Skb;
use crate::bindings;

/// `skb->ip_summed` of a packet whose whole payload the device has summed.
const CHECKSUM_COMPLETE: u8 = bindings::CHECKSUM_COMPLETE as u8;
/// `skb->ip_summed` of a packet whose device adds the payload's sum.
const CHECKSUM_PARTIAL: u8 = bindings::CHECKSUM_PARTIAL as u8;
/// `skb->ip_summed` of a packet that nobody has summed.
const CHECKSUM_NONE: u8 = bindings::CHECKSUM_NONE as u8;
/// Bit in `skb_shared_info->gso_type` of a packet whose segments have headers of their own.
const GSO_FRAGLIST: u32 = bindings::SKB_GSO_FRAGLIST;

impl Skb<'_> {
    /// Whether the packet stands for several that a device or the stack will cut.
    #[inline]
    pub(crate) fn is_gso(&self) -> bool {
        self.gso_size() != 0
    }

    /// Whether the packet's fragments are what it will be cut into. Then no byte of theirs may be
    /// moved to the linear part: SCTP's.
    pub(crate) fn is_cut_at_fragments(&self) -> bool {
        u32::from(self.gso_size()) == bindings::GSO_BY_FRAGS
    }

    #[inline]
    fn gso_size(&self) -> u16 {
        // SAFETY: The shared info is alive.
        unsafe { (*self.info()).gso_size }
    }

    /// What all that share the packet's memory share.
    #[inline(always)]
    fn info(&self) -> *const bindings::skb_shared_info {
        let skb = self.get();
        // SAFETY: It is at the end of a live packet's buffer.
        unsafe { skb.head.add(skb.end as usize) }.cast()
    }

    /// Whether the packet's segments are packets with headers of their own (`rx-gro-list`), which
    /// do not change with the first one's.
    #[inline(always)]
    pub(crate) fn has_many_headers(&self) -> bool {
        // SAFETY: The shared info is alive.
        self.get().data_len != 0 && unsafe { (*self.info()).gso_type & GSO_FRAGLIST != 0 }
    }

    /// Makes the first of [many headers](Self::has_many_headers) that of all, as it is without
    /// `rx-gro-list`; the transport header is at `transport`. False when there is no memory.
    pub(crate) fn take_first_header(&mut self, transport: usize) -> bool {
        // SAFETY: By the invariant; the kernel checks that the header is in the linear part.
        unsafe { bindings::rvs_take_first_header(self.as_raw(), transport as u32) }
    }

    /// Whether each segment of a [`Skb::is_gso`] packet fits `mtu`.
    fn gso_fits(&self, mtu: u32) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::skb_gso_validate_network_len(self.as_raw(), mtu) }
    }

    /// Whether the packet, or each segment that it will be cut into, fits `mtu`.
    pub(crate) fn fits(&self, mtu: u32) -> bool {
        self.len() <= mtu || (self.is_gso() && self.gso_fits(mtu))
    }

    /// Has a TCP packet, whose header is at `transport` and writable, cut into segments of `size`
    /// bytes of payload on its way out. False when that cannot be: its checksum is wrong, or there
    /// is no memory.
    pub(crate) fn cut_into(&mut self, transport: usize, size: u32) -> bool {
        // SAFETY: By the invariant; the kernel checks that the header is in the linear part.
        unsafe { bindings::rvs_cut_into(self.as_raw(), transport as u32, size) }
    }

    /// Whether a device will add the payload's sum to the transport checksum.
    #[inline]
    pub(crate) fn is_checksum_partial(&self) -> bool {
        self.headers().ip_summed() == CHECKSUM_PARTIAL
    }

    /// Says of a program's datagrams that are one packet until they leave (`UDP_SEGMENT`) what the
    /// host leaves unsaid where the device makes no checksums: that theirs is none yet.
    pub(crate) fn tell_of_missing_sum(&mut self) {
        if self.is_gso() && self.headers().ip_summed() == CHECKSUM_NONE {
            self.headers_mut().set_ip_summed(CHECKSUM_PARTIAL);
        }
    }

    /// Forgets the device's sum of the payload, which writing to it makes wrong.
    #[inline(always)]
    pub(crate) fn forget_checksum(&mut self) {
        let headers = self.headers_mut();
        if headers.ip_summed() == CHECKSUM_COMPLETE {
            headers.set_ip_summed(CHECKSUM_NONE);
        }
    }

    /// Leaves the transport checksum to the device: `field` bytes behind the IP header of `ip_len`
    /// bytes, where `sum` of the pseudo header goes. None when that is not in the linear part.
    pub(crate) fn sum_later(&mut self, ip_len: usize, field: usize, sum: u16) -> Option<()> {
        let at = ip_len.checked_add(field)?;
        *self.head_mut().get_mut(at..)?.first_chunk_mut()? = sum.to_le_bytes();
        // SAFETY: By the invariant.
        unsafe { bindings::skb_partial_csum_set(self.as_raw(), ip_len as u16, field as u16) }
            .then_some(())
    }
}

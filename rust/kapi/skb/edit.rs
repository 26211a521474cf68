// SPDX-License-Identifier: GPL-2.0

//! Changes of headers.

use super::Skb;
use crate::{
    bindings,
    kapi::{editable::Editable, netns::Net},
};

impl Editable for Skb<'_> {
    #[inline(always)]
    fn head(&self) -> &[u8] {
        Skb::head(self)
    }

    #[inline(always)]
    fn head_mut(&mut self) -> &mut [u8] {
        Skb::head_mut(self)
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        Skb::len(self)
    }

    #[inline(always)]
    fn is_checksum_partial(&self) -> bool {
        Skb::is_checksum_partial(self)
    }
}

impl Skb<'_> {
    /// Puts a frame's header in front: the last `len` of the bytes.
    ///
    /// # Safety
    ///
    /// All of the bytes fit in front of the packet, and `len` is not more than they are.
    #[inline(always)]
    pub(in crate::kapi) unsafe fn push_stored(&mut self, header: [u64; 2], len: u32) {
        let skb = self.get_mut();
        // SAFETY: The caller vouches for the room; nothing says that it is aligned.
        unsafe {
            skb.data
                .sub(size_of_val(&header))
                .cast::<[u64; 2]>()
                .write_unaligned(header);
            skb.data = skb.data.sub(len as usize);
        }
        skb.len = skb.len.wrapping_add(len);
    }

    /// Puts an IPv4 header in front of the packet, which has the headroom for it and is writable.
    /// None on lack of memory, or for a packet that is in tunnels already whose segments nobody
    /// could tell.
    #[inline]
    pub(crate) fn push_ipip(&mut self, header: &[u8; 20]) -> Option<()> {
        // SAFETY: By the invariant; the header is of the right length.
        unsafe { bindings::rvs_push_ipip(self.as_raw(), header.as_ptr().cast()) }.then_some(())
    }

    /// Puts `outer`, an IP header without options, and that of a tunnel in front of the packet,
    /// which has the headroom for them and is writable; `inner` is the IANA number of the packet's
    /// IP version, `kind` and `sum` are the netlink family's numbers, `port` is in host order, `flow`
    /// the flow's hash. None as with [`Skb::push_ipip`], and for a packet whose checksum is no device's to fill in
    /// although it says so.
    pub(crate) fn push_tunnel(
        &mut self,
        net: &Net,
        outer: &[u8],
        inner: u8,
        (kind, sum, port): (u8, u8, u16),
        flow: u32,
    ) -> Option<()> {
        if outer.len() < 40 && !(outer.len() == 20 && outer.starts_with(&[0x45])) {
            return None;
        }
        let (net, outer) = (net.as_raw(), outer.as_ptr().cast());
        // SAFETY: By the invariant; the header is of the right length.
        unsafe {
            let port = port.to_be();
            bindings::rvs_push_tunnel(net, self.as_raw(), outer, inner, kind, sum, port, flow)
        }
        .then_some(())
    }

    /// Makes all of a packet linear and writable, and its transport checksum that of what it holds. False
    /// on lack of memory. Not of one that will be cut.
    pub(crate) fn make_plain(&mut self, transport: usize) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_make_plain(self.as_raw(), transport as u32) }
    }

    /// Gives a plain packet that length; what is new at its end holds anything. False on lack of memory.
    pub(crate) fn resize(&mut self, len: usize) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant; it fails where the packet is not linear.
        unsafe { bindings::rvs_resize(self.as_raw(), len) }
    }

    /// Makes room for `len` bytes at `offset`: what is before them moves into the headroom, which
    /// must be there. The transport header is then at `transport`. None, and nothing is done, when
    /// what is to move is not in the linear part.
    pub(crate) fn open_gap(&mut self, offset: usize, len: usize, transport: usize) -> Option<()> {
        let is_in_packet = transport <= self.head().len().checked_add(len)?;
        if offset > self.head().len() || !is_in_packet || self.headroom() < len {
            return None;
        }
        // SAFETY: By the invariant; `offset` bytes are linear and `len` are free in front of them.
        unsafe {
            bindings::rvs_open_gap(self.as_raw(), offset as u32, len as u32, transport as u32);
        }
        Some(())
    }

    /// Puts an IP header, perhaps of the other family, in the place of the first `old` bytes, which
    /// are linear. A longer one goes into the headroom, which must be there. None, and nothing is
    /// done, when it is not.
    pub(crate) fn swap_ip_header(&mut self, old: usize, header: &[u8]) -> Option<()> {
        let more = header.len().saturating_sub(old);
        if old > self.head().len() || self.headroom() < more {
            return None;
        }
        let (from, len) = (header.as_ptr().cast(), header.len() as u32);
        // SAFETY: By the invariant; the old header is linear, there is room for the new one, and
        // the pointer is to `len` bytes.
        unsafe { bindings::rvs_swap_ip_header(self.as_raw(), old as u32, from, len) };
        Some(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Packets on their way out: routes, devices, and packets that this host makes.

use core::{marker::PhantomData, ptr::NonNull};

use super::{Consumed, Skb};
use crate::{bindings, kapi::netns::Net};

/// Flag in `skb->_skb_refdst`: the route is borrowed under RCU.
const DST_NOREF: usize = bindings::SKB_DST_NOREF;

impl Skb<'_> {
    /// Routes a received IPv4 packet by its present addresses. False when that fails.
    pub(in crate::kapi) fn route_input(&mut self) -> bool {
        // SAFETY: The packet is live and ours; hooks run under RCU.
        unsafe { bindings::rvs_route_input(self.as_raw()) }
    }

    /// A packet of this host with these bytes, an IP header of `transport` bytes and what follows
    /// it, and `headroom` bytes in front. None when there is no memory.
    pub(crate) fn with_packet(bytes: &[u8], transport: usize, headroom: u32) -> Option<Self> {
        let len = u32::try_from(bytes.len()).ok()?;
        if transport > bytes.len() {
            return None;
        }
        let from = bytes.as_ptr().cast();
        // SAFETY: The pointer is to `len` bytes, which are copied.
        let skb = unsafe { bindings::rvs_new_packet(from, len, transport as u32, headroom) };
        // INVARIANT: It is new, so nobody else has it.
        Some(Self {
            skb: NonNull::new(skb)?,
            _hook: PhantomData,
        })
    }

    /// Has this host take in a packet that it made: where it has no route by that of `like`, or as if
    /// it came by the same device.
    pub(crate) fn take_in(self, net: &Net, like: Option<&Skb<'_>>) -> Consumed {
        let like = like.map_or(core::ptr::null_mut(), Skb::as_raw);
        // SAFETY: The packet is ours to give away; the other one and the namespace are live.
        unsafe {
            bindings::rvs_take_in(net.as_raw(), self.as_raw(), like);
            Consumed::new()
        }
    }

    /// Forgets what was found out about the packet on its way in, as forwarding does.
    #[inline(always)]
    pub(crate) fn forget_input(&mut self) {
        if self.get()._nfct != 0 {
            // SAFETY: By the invariant.
            unsafe { bindings::nf_reset_ct(self.as_raw()) };
        }
        self.forget_arrival();
    }

    /// The same, but for what connection tracking has found out.
    #[inline(always)]
    pub(crate) fn forget_arrival(&mut self) {
        self.forget_checksum();
        // A time of arrival would be taken for a time of departure.
        if self.headers().tstamp_type() == 0 {
            self.get_mut().__bindgen_anon_2.tstamp = 0;
        }
    }

    /// Whether the packet carries a route.
    #[inline(always)]
    fn has_route(&self) -> bool {
        // SAFETY: All members of the union are plain words.
        unsafe { self.get().__bindgen_anon_3.__bindgen_anon_1._skb_refdst & !DST_NOREF != 0 }
    }

    /// Gives the packet the route `dst`, borrowed under RCU.
    ///
    /// # Safety
    ///
    /// `dst` stays alive for an RCU grace period, and the read lock is held until the packet is
    /// sent or the route taken away again.
    #[inline(always)]
    pub(in crate::kapi) unsafe fn borrow_route(&mut self, dst: *const bindings::dst_entry) {
        self.drop_route();
        self.get_mut().__bindgen_anon_3.__bindgen_anon_1._skb_refdst = dst as usize | DST_NOREF;
    }

    /// Takes the packet's route away.
    #[inline(always)]
    pub(in crate::kapi) fn drop_route(&mut self) {
        if self.has_route() {
            // SAFETY: By the invariant.
            unsafe { bindings::skb_dst_drop(self.as_raw()) };
        }
    }

    /// Names the device that the packet leaves by.
    ///
    /// # Safety
    ///
    /// `device` is alive for as long as the packet refers to it: under RCU until it is sent.
    #[inline(always)]
    pub(in crate::kapi) unsafe fn set_device(&mut self, device: *mut bindings::net_device) {
        self.get_mut()
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev = device.cast();
    }
}

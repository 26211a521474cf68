// SPDX-License-Identifier: GPL-2.0

//! How packets leave on a way: straight to the neighbour, or by the kernel's own output.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{self, AtomicU32, Ordering},
};

use super::NextHop;
use crate::{
    bindings,
    kapi::{
        frame::{ETHERNET, IPV4, IPV6, TAGGED},
        netdev::Device,
        rcu::Rcu,
        skb::{Consumed, Skb},
    },
};

/// States of a neighbour whose stored header is good.
pub(super) const CONNECTED: u8 =
    (bindings::NUD_PERMANENT | bindings::NUD_NOARP | bindings::NUD_REACHABLE) as u8;

/// States of one that is being asked for again, with its header as before.
const ASKED: u8 = (bindings::NUD_DELAY | bindings::NUD_PROBE) as u8;

/// States in which frames are given the header: nothing but the stack's packets make a stale neighbour be
/// asked for; once it is, its header is as good as before.
pub(super) const FRAMED: u8 = CONNECTED | ASKED;

/// Bytes that a stored frame header of the usual kind takes, aligned to its end (`HH_DATA_MOD`).
const STORED: u32 = 16;

impl NextHop {
    /// Sends a packet out by the neighbour, past the hooks for output and forwarding.
    ///
    /// The packet has [`NextHop::headroom`] in front, and [`NextHop::straight`] is not 0. A neighbour that is not resolved yet keeps
    /// the packet while it asks.
    #[inline(always)]
    pub(crate) fn send(&self, mut skb: Skb<'_>, _rcu: Rcu<'_>) -> Consumed {
        let Some(neighbour) = self.neighbour else {
            return free(skb);
        };
        // SAFETY: This next hop, and so the route, lives for a grace period, and the read lock
        // is held. `is_good` was asked under it, so the device is not freed before it ends.
        unsafe {
            skb.borrow_route(self.dst());
            skb.set_device(self.device().0);
        }
        // SAFETY: By the invariant; the caller has seen to the headroom, and each device wants at
        // least that much. The packet is ours to give away.
        unsafe {
            if let Some((header, len)) = stored(neighbour, self.stored_in, is_short) {
                skb.push_stored(header, len);
                bindings::__dev_queue_xmit(skb.as_raw(), ptr::null_mut());
            } else {
                let skip_stored = self.stored_in == 0;
                bindings::neigh_output(neighbour.as_ptr(), skb.as_raw(), skip_stored);
            }
            Consumed::new()
        }
    }

    /// Where a frame goes that leaves by the neighbour: the device, and the header of Ethernet. None
    /// where that is no device of Ethernet, or the neighbour is not known.
    #[inline(always)]
    pub(crate) fn for_frames(&self, _rcu: Rcu<'_>) -> Option<(Device, [u8; ETHERNET])> {
        let is_right = |len| len == ETHERNET as u32;
        // SAFETY: By the invariant.
        let (header, _) = unsafe { stored(self.neighbour?, self.framed_in, is_right) }?;
        let [a, b] = header.map(u64::to_ne_bytes);
        let [_, _, rest @ ..] = a;
        let mut bytes = [0; ETHERNET];
        bytes.first_chunk_mut::<6>()?.copy_from_slice(&rest);
        bytes.last_chunk_mut::<8>()?.copy_from_slice(&b);
        Some((self.device(), bytes))
    }

    /// The same where it leads out by a VLAN's device, of which no neighbour has a header in store: the device
    /// below, and the header with the tag.
    pub(crate) fn for_tagged_frames(&self, _rcu: Rcu<'_>) -> Option<(Device, [u8; TAGGED])> {
        let kind = match self.version() {
            4 => IPV4,
            _ => IPV6,
        };
        let neighbour = self.neighbour?.as_ptr();
        let mut header = [0; TAGGED];
        // SAFETY: By the invariant; others write the state whole, C as many bytes as the header has.
        let below = unsafe {
            if ptr::read_volatile(ptr::addr_of!((*neighbour).nud_state)) & self.framed_in == 0 {
                return None;
            }
            let device = self.device().0.cast();
            bindings::rvs_frame_tagged(device, neighbour, kind, header.as_mut_ptr())
        };
        (!below.is_null()).then_some((Device(below.cast_mut()), header))
    }

    /// Routes a packet to this host, where this way leads, whatever its source: a host would take one
    /// of its own addresses, or a virtual one, for forged. Until the packet's hook has let it pass.
    pub(crate) fn take_home(&self, skb: &mut Skb<'_>) {
        // SAFETY: The packet is live and ours; it gets a reference on the route.
        unsafe { bindings::rvs_give_route(skb.as_raw(), self.dst()) };
    }

    /// Sends a packet through the kernel's own output: IPsec, rules, fragmentation. It is untracked
    /// there, unless it is to `keep` what it has. `refused` is called when one of these, or the device,
    /// drops it.
    pub(crate) fn send_slowly(
        &self,
        mut skb: Skb<'_>,
        _rcu: Rcu<'_>,
        keep: bool,
        refused: impl FnOnce(),
    ) -> Consumed {
        // SAFETY: As in `send`; the queue of a hook that keeps the packet takes a reference.
        let left = unsafe {
            skb.borrow_route(self.dst());
            skb.set_device(self.device().0);
            let net = self.net.as_raw();
            bindings::rvs_output(net, skb.as_raw(), self.version(), self.own, keep)
        };
        if !left {
            refused();
        }
        // SAFETY: The output has taken it.
        unsafe { Consumed::new() }
    }
}

/// Whether a stored header of so many bytes is there, and one of the usual kind.
#[inline(always)]
fn is_short(len: u32) -> bool {
    len != 0 && len <= STORED
}

/// The frame's header as a neighbour has it in store in some states: the last of the bytes, and how many.
/// None when it has none that is good and of the right length, or is just being changed: then `neigh_output`, whose
/// usual case this is, knows what to do.
///
/// # Safety
///
/// The neighbour is live.
#[inline(always)]
unsafe fn stored(
    neighbour: NonNull<bindings::neighbour>,
    stored_in: u8,
    is_right: impl FnOnce(u32) -> bool,
) -> Option<([u64; 2], u32)> {
    let neighbour = neighbour.as_ptr();
    // SAFETY: The neighbour is live; others write these fields whole, and the header's bytes
    // between two changes of the sequence, which comes first in the lock.
    unsafe {
        let state = ptr::read_volatile(ptr::addr_of!((*neighbour).nud_state));
        let cache = ptr::addr_of!((*neighbour).hh);
        let sequence = ptr::addr_of!((*cache).hh_lock).cast::<AtomicU32>();
        let begin = (*sequence).load(Ordering::Acquire);
        let len = ptr::read_volatile(ptr::addr_of!((*cache).hh_len));
        if state & stored_in == 0 || !is_right(len) || begin & 1 != 0 {
            return None;
        }
        let header = ptr::read_volatile(ptr::addr_of!((*cache).hh_data).cast::<[u64; 2]>());
        atomic::fence(Ordering::Acquire);
        ((*sequence).load(Ordering::Relaxed) == begin).then_some((header, len))
    }
}

/// Frees a packet that cannot be sent.
pub(crate) fn free(skb: Skb<'_>) -> Consumed {
    // SAFETY: The packet is ours.
    unsafe {
        bindings::sk_skb_reason_drop(
            ptr::null_mut(),
            skb.as_raw(),
            bindings::skb_drop_reason_SKB_DROP_REASON_NETFILTER_DROP,
        );
        Consumed::new()
    }
}

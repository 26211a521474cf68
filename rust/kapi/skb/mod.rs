// SPDX-License-Identifier: GPL-2.0

//! Packets.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod address;
mod edit;
mod leave;
mod offload;
mod origin;

pub(crate) use address::folded;

use core::{ffi::c_int, marker::PhantomData, ptr::NonNull, slice};

use crate::bindings;

/// The part of `sk_buff` that is copied as a whole, where most fields are.
type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// A packet that a hook owns, with its network header at `skb->data`.
///
/// # Invariants
///
/// `skb` is live and only used through this value until a verdict is returned for it.
pub(crate) struct Skb<'a> {
    skb: NonNull<bindings::sk_buff>,
    _hook: PhantomData<&'a mut bindings::sk_buff>,
}

/// Proof that a packet was sent or freed.
pub(crate) struct Consumed(());

impl Consumed {
    /// # Safety
    ///
    /// The packet that the proof is for has been given away.
    pub(in crate::kapi) unsafe fn new() -> Self {
        Self(())
    }
}

impl<'a> Skb<'a> {
    /// # Safety
    ///
    /// `skb` is a live packet of which the caller gives away the use for `'a`.
    #[inline]
    pub(in crate::kapi) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: The caller vouches for it.
        Self {
            // SAFETY: A live packet is not at null.
            skb: unsafe { NonNull::new_unchecked(skb) },
            _hook: PhantomData,
        }
    }

    /// Ends our use of the packet with a verdict for its owner.
    #[inline]
    pub(in crate::kapi) fn give_back(self, verdict: u32) -> u32 {
        verdict
    }

    /// The C object.
    #[inline]
    pub(in crate::kapi) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.skb.as_ptr()
    }

    #[inline]
    fn get(&self) -> &bindings::sk_buff {
        // SAFETY: By the invariant.
        unsafe { self.skb.as_ref() }
    }

    #[inline]
    pub(in crate::kapi) fn get_mut(&mut self) -> &mut bindings::sk_buff {
        // SAFETY: By the invariant.
        unsafe { self.skb.as_mut() }
    }

    #[inline]
    fn headers(&self) -> &Headers {
        // SAFETY: Both members of the union are the same fields.
        unsafe { self.get().__bindgen_anon_4.headers.as_ref() }
    }

    #[inline]
    fn headers_mut(&mut self) -> &mut Headers {
        // SAFETY: As above.
        unsafe { self.get_mut().__bindgen_anon_4.headers.as_mut() }
    }

    /// Bytes from the network header on, linear or not.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.get().len
    }

    /// The linear part from the network header on.
    #[inline]
    pub(crate) fn head(&self) -> &[u8] {
        let skb = self.get();
        // SAFETY: The first `len - data_len` bytes at `data` are the packet's linear part.
        unsafe { slice::from_raw_parts(skb.data, skb.len.wrapping_sub(skb.data_len) as usize) }
    }

    /// The linear part from the network header on, for writing. It must have been made writable.
    #[inline]
    pub(crate) fn head_mut(&mut self) -> &mut [u8] {
        let skb = self.get_mut();
        let len = skb.len.wrapping_sub(skb.data_len) as usize;
        // SAFETY: As in `head`, and the packet is ours alone.
        unsafe { slice::from_raw_parts_mut(skb.data, len) }
    }

    /// Makes at least `len` bytes linear. False when the packet has fewer, or on lack of memory.
    pub(crate) fn pull(&mut self, len: usize) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant the packet is live and ours.
        unsafe { bindings::pskb_may_pull(self.as_raw(), len) }
    }

    /// The packet's first bytes, linear or not: as many as it has and `to` has room for.
    pub(crate) fn copy<'b>(&self, to: &'b mut [u8]) -> &'b [u8] {
        let len = to.len().min(self.len() as usize);
        let Some(to) = to.get_mut(..len) else {
            return &[];
        };
        // SAFETY: `to` has room for that many bytes; they are read from a live packet.
        let error = unsafe {
            bindings::skb_copy_bits(self.as_raw(), 0, to.as_mut_ptr().cast(), len as c_int)
        };
        match error {
            0 => to,
            _ => &[],
        }
    }

    /// Bytes that are free in front of the network header.
    #[inline]
    fn headroom(&self) -> usize {
        let skb = self.get();
        (skb.data as usize).wrapping_sub(skb.head as usize)
    }

    /// Whether the header may be written and `headroom` bytes put in front of it, as it is.
    #[inline(always)]
    pub(in crate::kapi) fn is_header_private(&self, headroom: u32) -> bool {
        self.get().cloned() == 0 && self.headroom() >= headroom as usize
    }

    /// Makes it so that the first `len` bytes, which are linear, may be written and `headroom`
    /// bytes be put in front of them. False on lack of memory.
    #[inline(always)]
    pub(crate) fn make_writable(&mut self, len: usize, headroom: u32) -> bool {
        self.is_header_private(headroom) || self.make_private(len, headroom)
    }

    #[cold]
    fn make_private(&mut self, len: usize, headroom: u32) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant.
        unsafe {
            bindings::skb_cow_head(self.as_raw(), headroom) == 0
                && bindings::skb_ensure_writable(self.as_raw(), len) == 0
        }
    }
}

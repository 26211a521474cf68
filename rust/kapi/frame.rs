// SPDX-License-Identifier: GPL-2.0

//! Frames that a program for XDP has RVS look at, before the stack makes packets of them.
//!
//! C headers: [`include/net/xdp.h`](srctree/include/net/xdp.h), and our `helpers/frame.c`.

use core::{marker::PhantomData, slice};

use super::{editable::Editable, netdev::Device, netns::Net, rcu::Rcu};
use crate::bindings;

/// Bytes of a frame's header.
pub(crate) const ETHERNET: usize = 14;

/// A frame of one piece with an IP packet in it, for an address of the device that it came by.
///
/// # Invariants
///
/// `len` bytes from `ip` on, and `room` bytes ahead of them, are the frame's and nobody else's. Ahead of
/// these is its header, or what is to be overwritten by it.
pub(crate) struct Frame<'a> {
    frame: &'a mut bindings::rvs_frame,
    _bytes: PhantomData<&'a mut [u8]>,
}

/// What becomes of a frame.
pub(crate) enum Fate {
    /// The stack gets it, as it is.
    Pass,
    /// It is dropped.
    Drop,
    /// It was edited, and leaves by the device of that index.
    Leave(u32),
}

/// Who looks at frames.
pub(crate) trait Taker {
    /// A frame that came by a device of `net`.
    fn frame(net: &Net, frame: Frame<'_>, rcu: Rcu<'_>) -> Fate;
}

/// What C calls for a frame: the index of the device that it leaves by, 0 if it is the stack's, less if it
/// is dropped.
///
/// # Safety
///
/// In NAPI, which is a read-side section of RCU. The namespace is alive, the frame the caller's.
#[inline(always)]
pub(crate) unsafe fn fate<T: Taker>(
    net: *const bindings::net,
    frame: *mut bindings::rvs_frame,
) -> core::ffi::c_int {
    // SAFETY: The caller vouches for all of it.
    let (net, rcu, frame) = unsafe { (Net::from_raw(net), Rcu::assume_held(), &mut *frame) };
    // INVARIANT: As C has measured it.
    let frame = Frame {
        frame,
        _bytes: PhantomData,
    };
    match T::frame(net, frame, rcu) {
        Fate::Pass => 0,
        Fate::Drop => -1,
        Fate::Leave(index) => index as core::ffi::c_int,
    }
}

/// Makes `$taker` the one whom C asks.
macro_rules! takes_frames {
    ($taker:ty) => {
        /// See [`fate`](crate::kapi::frame::fate).
        ///
        /// # Safety
        ///
        /// As there.
        #[no_mangle]
        unsafe extern "C" fn rvs_frame_fate(
            net: *const $crate::bindings::net,
            frame: *mut $crate::bindings::rvs_frame,
        ) -> core::ffi::c_int {
            // SAFETY: The caller vouches for it.
            unsafe { $crate::kapi::frame::fate::<$taker>(net, frame) }
        }
    };
}
pub(crate) use takes_frames;

/// Lets programs ask for frames. Without it the module does all else; C says why in the log, as where the
/// module has no BTF.
pub(crate) fn begin() {
    // SAFETY: Once, from the module's init; the kernel lets go of it with the module.
    let error = unsafe { bindings::rvs_frames_begin() };
    if error != 0 {
        kernel::pr_notice!("no frames are taken for programs of XDP: error {}\n", error);
    }
}

impl Frame<'_> {
    /// The version of IP in it, as its header says.
    #[inline(always)]
    pub(crate) fn version(&self) -> u8 {
        self.frame.version
    }

    /// Cuts what is behind the packet: short ones are filled up on the wire.
    #[inline(always)]
    pub(crate) fn trim(&mut self, len: u32) {
        self.frame.len = self.frame.len.min(len);
    }

    /// Whether `len` bytes are free in front of it, apart from those of its header.
    #[inline(always)]
    pub(crate) fn has_room(&self, len: u32) -> bool {
        self.frame.room >= len
    }

    /// Puts bytes in front of the packet. None, and nothing is done, where there is no room.
    #[inline(always)]
    pub(crate) fn push<const LEN: usize>(&mut self, bytes: &[u8; LEN]) -> Option<()> {
        let room = self.frame.room.checked_sub(LEN as u32)?;
        // INVARIANT: So many bytes of the room are the packet's now.
        self.frame.room = room;
        self.frame.len = self.frame.len.wrapping_add(LEN as u32);
        // SAFETY: By the invariant these bytes are free.
        unsafe {
            self.frame.ip = self.frame.ip.sub(LEN);
            self.frame.ip.cast::<[u8; LEN]>().write_unaligned(*bytes);
        }
        Some(())
    }

    /// Gives it another header.
    #[inline(always)]
    pub(crate) fn put_header(&mut self, header: [u8; ETHERNET]) {
        // SAFETY: By the invariant the bytes ahead of the packet are for it.
        unsafe {
            let at = self.frame.ip.sub(ETHERNET);
            at.cast::<[u8; ETHERNET]>().write_unaligned(header);
        }
    }

    /// The index of `device`, if frames that came by this one's may leave there.
    #[inline(always)]
    pub(crate) fn may_leave_by(&self, device: Device) -> Option<u32> {
        // SAFETY: Both devices are alive until the end of the read-side section.
        let index = unsafe { bindings::rvs_frame_exit(self.frame, device.0.cast()) };
        (index != 0).then_some(index)
    }
}

impl Editable for Frame<'_> {
    #[inline(always)]
    fn head(&self) -> &[u8] {
        // SAFETY: By the invariant.
        unsafe { slice::from_raw_parts(self.frame.ip, self.frame.len as usize) }
    }

    #[inline(always)]
    fn head_mut(&mut self) -> &mut [u8] {
        // SAFETY: By the invariant.
        unsafe { slice::from_raw_parts_mut(self.frame.ip, self.frame.len as usize) }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        self.frame.len
    }

    /// A frame has what is on the wire.
    #[inline(always)]
    fn is_checksum_partial(&self) -> bool {
        false
    }
}

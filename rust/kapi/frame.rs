// SPDX-License-Identifier: GPL-2.0

//! Frames that a program for XDP has RVS look at, before the stack makes packets of them.
//!
//! C headers: [`include/net/xdp.h`](srctree/include/net/xdp.h), and our `helpers/frame.c`.

use core::{ffi::c_int, marker::PhantomData, ptr, slice};

use super::{editable::Editable, netdev::Device, netns::Net, rcu::Rcu};
use crate::bindings;

/// Bytes of a frame's header.
pub(crate) const ETHERNET: usize = 14;

/// Bytes of one with the tag of a VLAN.
pub(crate) const TAGGED: usize = ETHERNET + 4;

/// Bytes of the shortest packet.
const SHORTEST: usize = 20;

/// Bytes ahead of a frame that the kernel keeps for itself when it is redirected.
const KEPT: usize = bindings::XDP_FRAME_BYTES;

/// Types of Ethernet, as they stand in a frame's header.
pub(super) const IPV4: u16 = 0x0800_u16.to_be();
pub(super) const IPV6: u16 = 0x86dd_u16.to_be();
/// A tag of IEEE 802.1Q.
const TAG: u16 = 0x8100_u16.to_be();

/// What stands for a frame of several pieces, where a type is expected.
const PIECES: u16 = 1;

/// The number of a tag's VLAN.
const VLAN: u16 = 0x0fff;

/// A frame of one piece with an IP packet in it, for an address of the device that it came by, or of its VLAN's
/// on top of that.
///
/// # Invariants
///
/// `len` bytes from `ip` on, and what is ahead of them up to `data_hard_start` of `xdp`, are the frame's and
/// nobody else's; `len` is at least that of a header of IPv4. `ip` has its header in front, or what is to
/// be overwritten by it. `device`, that it came by, is alive.
pub(crate) struct Frame<'a> {
    xdp: *mut bindings::xdp_buff,
    device: In,
    ip: *mut u8,
    len: u32,
    version: u8,
    is_generic: bool,
    _bytes: PhantomData<&'a mut [u8]>,
}

/// What becomes of a frame: the index of the device that it leaves by, or less an action of XDP.
pub(crate) struct Fate(c_int);

impl Fate {
    /// The stack gets it, as it is.
    pub(crate) const PASS: Self = Self::action(bindings::xdp_action_XDP_PASS);

    /// It is dropped.
    pub(crate) const DROP: Self = Self::action(bindings::xdp_action_XDP_DROP);

    const fn action(action: bindings::xdp_action) -> Self {
        Self((action as c_int).wrapping_neg())
    }
}

/// How a frame may leave.
pub(crate) struct Exit(Fate);

/// Who looks at frames.
pub(crate) trait Taker {
    /// A frame that came by a device of `net`; `TAGS`: it may have come or may leave with a tag.
    fn frame<const TAGS: bool>(net: &Net, frame: Frame<'_>, rcu: Rcu<'_>) -> Fate;

    /// One of several pieces has come by a device of `net`, and is the stack's: the first piece.
    fn pieces(net: &Net, frame: Frame<'_>, rcu: Rcu<'_>);
}

/// A device, of which C shows a few fields.
///
/// # Invariants
///
/// It is alive.
#[derive(Clone, Copy, PartialEq, Eq)]
struct In(*const u8);

impl In {
    /// # Safety
    ///
    /// `at` is where its C type has a field of type `T`, which others write whole.
    #[inline(always)]
    unsafe fn field<T: Copy>(self, at: usize) -> T {
        // SAFETY: The device is alive; the caller vouches for the rest.
        unsafe { ptr::read_volatile(self.0.add(at).cast()) }
    }

    #[inline(always)]
    fn index(self) -> u32 {
        // SAFETY: An int of C.
        unsafe { self.field(bindings::DEVICE_INDEX_AT) }
    }

    /// Whether it takes frames that others redirect to it.
    #[inline(always)]
    fn takes_frames(self) -> bool {
        // SAFETY: A u32 of C.
        let features: u32 = unsafe { self.field(bindings::DEVICE_XDP_FEATURES_AT) };
        features & bindings::NETDEV_XDP_ACT_NDO_XMIT != 0
    }
}

/// What C calls for a frame: see `rvs_frame_fate`.
///
/// # Safety
///
/// In NAPI, which is a read-side section of RCU; the frame is the caller's, as a program for XDP has it.
#[inline(always)]
pub(crate) unsafe fn fate<T: Taker>(xdp: *mut bindings::xdp_buff, is_generic: bool) -> c_int {
    // SAFETY: The caller vouches for it.
    unsafe {
        match read(xdp, is_generic, ETHERNET, |below| below, false) {
            Ok(frame) => ask::<T, false>(frame),
            Err(TAG | PIECES) => tagged::<T>(xdp, is_generic),
            Err(_) => Fate::PASS.0,
        }
    }
}

/// As [`fate`], for one that has a tag, or may leave with one, or is of several pieces.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe fn tagged<T: Taker>(xdp: *mut bindings::xdp_buff, is_generic: bool) -> c_int {
    // SAFETY: The caller vouches for the frame. Its tag is behind the header, where `read` has seen to
    // more bytes.
    let frame = unsafe {
        match read(xdp, is_generic, ETHERNET, |below| below, false) {
            Err(TAG) => {
                let tag = (*xdp).data.byte_add(ETHERNET).cast::<u16>();
                let number = u16::from_be(tag.read_unaligned()) & VLAN;
                let vlan = bindings::rvs_frame_vlan((*(*xdp).rxq).dev, number);
                if vlan.is_null() {
                    return Fate::PASS.0;
                }
                // It lives until the read-side section ends.
                read(xdp, is_generic, TAGGED, |_| In(vlan.cast()), false)
            }
            frame => frame,
        }
    };
    match frame {
        // SAFETY: The caller vouches for it.
        Ok(frame) => unsafe { ask::<T, true>(frame) },
        // SAFETY: As above.
        Err(PIECES) => unsafe {
            if let Ok(frame) = read(xdp, is_generic, ETHERNET, |below| below, true) {
                let (net, rcu) = around(&frame);
                T::pieces(net, frame, rcu);
            }
            Fate::PASS.0
        },
        Err(_) => Fate::PASS.0,
    }
}

/// # Safety
///
/// As of [`fate`].
#[inline(always)]
unsafe fn ask<T: Taker, const TAGS: bool>(frame: Frame<'_>) -> c_int {
    // SAFETY: The caller vouches for it.
    let (net, rcu) = unsafe { around(&frame) };
    T::frame::<TAGS>(net, frame, rcu).0
}

/// # Safety
///
/// As of [`fate`].
#[inline(always)]
unsafe fn around<'a>(frame: &Frame<'a>) -> (&'a Net, Rcu<'a>) {
    // SAFETY: The device's namespace lives as long as frames come by it.
    unsafe {
        let net: *const bindings::net = frame.device.field(bindings::DEVICE_NET_AT);
        (Net::from_raw(net), Rcu::assume_held())
    }
}

/// The frame, if it is for the device `to`, which may be on top of the one that it came by, of one piece, and
/// has a packet of IP behind a header of so many bytes. Else what it has, as of [`IPV4`], or [`PIECES`]; 0 where
/// that is not why. Of a frame of several pieces no more than the `first` may be asked for.
///
/// # Safety
///
/// As of [`fate`]; `to` gives a device that is alive.
#[inline(always)]
unsafe fn read<'a>(
    xdp: *mut bindings::xdp_buff,
    is_generic: bool,
    header: usize,
    to: impl FnOnce(In) -> In,
    first: bool,
) -> Result<Frame<'a>, u16> {
    // SAFETY: The caller vouches for the frame. Its header is read once it is known to be there, and it
    // has a device, whose address is 8 bytes or more.
    unsafe {
        let (data, end) = ((*xdp).data.cast::<u8>(), (*xdp).data_end.cast::<u8>());
        let ip = data.add(header);
        if ip.add(SHORTEST) > end {
            return Err(0);
        }
        let kind = ip.sub(2).cast::<u16>().read_unaligned();
        if kind != IPV4 && kind != IPV6 {
            return Err(kind);
        }
        let device = In((*(*xdp).rxq).dev.cast());
        let own: *const u8 = to(device).field(bindings::DEVICE_ADDRESS_AT);
        let is_own = data.cast::<u32>().read_unaligned() == own.cast::<u32>().read_unaligned()
            && data.add(4).cast::<u16>().read_unaligned()
                == own.add(4).cast::<u16>().read_unaligned();
        let flags = xdp.byte_add(bindings::XDP_FLAGS_AT).cast::<u32>().read();
        if !is_own {
            return Err(0);
        }
        if !first && flags & bindings::XDP_FLAGS_HAS_FRAGS != 0 {
            return Err(PIECES);
        }
        // INVARIANT: As C has it, and as was just compared.
        Ok(Frame {
            xdp,
            device,
            ip,
            len: end.offset_from(ip) as u32,
            version: if kind == IPV4 { 4 } else { 6 },
            is_generic,
            _bytes: PhantomData,
        })
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
            xdp: *mut $crate::bindings::xdp_buff,
            generic: u32,
        ) -> core::ffi::c_int {
            // SAFETY: The caller vouches for it.
            unsafe { $crate::kapi::frame::fate::<$taker>(xdp, generic != 0) }
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
        self.version
    }

    /// The same, elsewhere: to be given to a function that is not inlined. What is known of it so far can
    /// stay in registers.
    #[inline(always)]
    pub(crate) fn put_down(self) -> Self {
        // INVARIANT: It is the same.
        Self {
            xdp: self.xdp,
            device: self.device,
            ip: self.ip,
            len: self.len,
            version: self.version,
            is_generic: self.is_generic,
            _bytes: PhantomData,
        }
    }

    /// Has it looked at anew, as one that may leave with a tag. Nothing has been done to it.
    #[inline(always)]
    pub(crate) fn look_again<T: Taker>(self) -> Fate {
        // SAFETY: Whose the frame is has lent it to us, and it is as it was.
        Fate(unsafe { tagged::<T>(self.xdp, self.is_generic) })
    }

    /// Cuts what is behind the packet: short ones are filled up on the wire.
    #[inline(always)]
    pub(crate) fn trim(&mut self, len: u32) {
        self.len = self.len.min(len);
    }

    /// Whether `len` bytes are free in front of it, apart from those of its header.
    #[inline(always)]
    pub(crate) fn has_room(&self, len: u32) -> bool {
        // SAFETY: Whose the frame is has lent it to us.
        let begin = unsafe { (*self.xdp).data_hard_start } as usize;
        let room = (self.ip as usize).wrapping_sub(begin);
        room >= (len as usize).saturating_add(KEPT + ETHERNET)
    }

    /// Puts bytes in front of the packet. None, and nothing is done, where there is no room.
    #[inline(always)]
    pub(crate) fn push<const LEN: usize>(&mut self, bytes: &[u8; LEN]) -> Option<()> {
        if !self.has_room(LEN as u32) {
            return None;
        }
        // INVARIANT: So many bytes of the room are the packet's now.
        self.len = self.len.wrapping_add(LEN as u32);
        // SAFETY: They were free.
        unsafe {
            self.ip = self.ip.sub(LEN);
            self.ip.cast::<[u8; LEN]>().write_unaligned(*bytes);
        }
        Some(())
    }

    /// How it may leave by `device`, if that takes frames that came by this one's.
    #[inline(always)]
    pub(crate) fn exit(&self, device: Device) -> Option<Exit> {
        // INVARIANT: It is alive until the end of the read-side section.
        let out = In(device.0.cast());
        if out == self.device {
            return Some(Exit(Fate::action(bindings::xdp_action_XDP_TX)));
        }
        (self.is_generic || out.takes_frames()).then(|| Exit(Fate(out.index() as c_int)))
    }

    /// Sends it, with that header: a longer one than it came with takes room, or it is dropped.
    #[inline(always)]
    pub(crate) fn leave<const LEN: usize>(self, exit: Exit, header: [u8; LEN]) -> Fate {
        if LEN > ETHERNET && !self.has_room((LEN - ETHERNET) as u32) {
            return Fate::DROP;
        }
        // SAFETY: By the invariant the bytes ahead of the packet are for its header, and the frame is
        // from there to the packet's end.
        unsafe {
            let data = self.ip.sub(LEN);
            data.cast::<[u8; LEN]>().write_unaligned(header);
            if (*self.xdp).data != data.cast() {
                (*self.xdp).data = data.cast();
                // What a driver has put in front of the frame is overwritten.
                (*self.xdp).data_meta = data.cast();
            }
            (*self.xdp).data_end = self.ip.add(self.len as usize).cast();
        }
        exit.0
    }
}

impl Editable for Frame<'_> {
    #[inline(always)]
    fn head(&self) -> &[u8] {
        // SAFETY: By the invariant.
        unsafe { slice::from_raw_parts(self.ip, self.len as usize) }
    }

    #[inline(always)]
    fn head_mut(&mut self) -> &mut [u8] {
        // SAFETY: By the invariant.
        unsafe { slice::from_raw_parts_mut(self.ip, self.len as usize) }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        self.len
    }

    /// A frame has what is on the wire.
    #[inline(always)]
    fn is_checksum_partial(&self) -> bool {
        false
    }
}

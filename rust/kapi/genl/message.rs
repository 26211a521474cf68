// SPDX-License-Identifier: GPL-2.0

//! Building messages.
//!
//! C headers: [`include/net/genetlink.h`](srctree/include/net/genetlink.h),
//! [`include/net/netlink.h`](srctree/include/net/netlink.h)

use core::ffi::{c_int, c_void};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use kernel::error::{code::ENOMEM, to_result, Error, Result};

use crate::bindings;

/// The message has no room for what was to be put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl From<Full> for Error {
    fn from(_: Full) -> Self {
        kernel::error::code::EMSGSIZE
    }
}

/// Bytes that an attribute with `payload` bytes takes in a message.
pub(crate) const fn attr_size(payload: usize) -> usize {
    (payload + 4).next_multiple_of(4)
}

/// What a message's headers say.
#[derive(Clone, Copy)]
pub(super) struct Header {
    /// Port id of the receiver; 0 for events.
    pub(super) portid: u32,
    /// Sequence number of the request; 0 for events.
    pub(super) seq: u32,
    /// Command number.
    pub(super) cmd: u8,
    /// `NLM_F_…`
    pub(super) flags: u32,
}

/// Puts attributes into a message.
///
/// # Invariants
///
/// `skb` is valid for `'a`, a message was begun in it, and nobody else changes it meanwhile.
pub(crate) struct Writer<'a> {
    skb: NonNull<bindings::sk_buff>,
    _skb: PhantomData<&'a mut bindings::sk_buff>,
}

impl Writer<'_> {
    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, kind: u16, bytes: &[u8]) -> Result<(), Full> {
        let len = c_int::try_from(bytes.len()).map_err(|_| Full)?;
        if bytes.len() > usize::from(u16::MAX - 4) {
            return Err(Full);
        }
        // SAFETY: `skb` is valid by the invariants, `bytes` can be read for their length, and the
        // attribute's 16-bit length does not overflow.
        let error = unsafe {
            bindings::nla_put(
                self.skb.as_ptr(),
                c_int::from(kind),
                len,
                bytes.as_ptr().cast(),
            )
        };
        room(error)
    }

    /// An 8-bit number.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> Result<(), Full> {
        self.bytes(kind, &[value])
    }

    /// A 16-bit number, sent in network order.
    pub(crate) fn u16_be(&mut self, kind: u16, value: u16) -> Result<(), Full> {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A 16-bit number in host order.
    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> Result<(), Full> {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A 64-bit number in host order, behind an attribute `pad` where the machine wants it aligned.
    pub(crate) fn u64(&mut self, kind: u16, value: u64, pad: u16) -> Result<(), Full> {
        let (skb, kind, pad) = (self.skb.as_ptr(), c_int::from(kind), c_int::from(pad));
        // SAFETY: `skb` is valid by the invariants.
        room(unsafe { bindings::nla_put_u64_64bit(skb, kind, value, pad) })
    }

    /// A 32-bit number in host order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> Result<(), Full> {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number that takes 64 bits only when it has to (`NLA_UINT`), in host order.
    pub(crate) fn uint(&mut self, kind: u16, value: u64) -> Result<(), Full> {
        match u32::try_from(value) {
            Ok(short) => self.u32(kind, short),
            Err(_) => self.bytes(kind, &value.to_ne_bytes()),
        }
    }

    /// Text, sent with a terminating zero byte.
    pub(crate) fn str(&mut self, kind: u16, text: &str) -> Result<(), Full> {
        let len = text.len().checked_add(1).ok_or(Full)?;
        if len > usize::from(u16::MAX - 4) {
            return Err(Full);
        }
        let len = c_int::try_from(len).map_err(|_| Full)?;
        // SAFETY: `skb` is valid by the invariants, and the attribute's 16-bit length does not
        // overflow.
        let attr = unsafe { bindings::nla_reserve(self.skb.as_ptr(), c_int::from(kind), len) };
        let attr = NonNull::new(attr).ok_or(Full)?;
        // SAFETY: `nla_reserve` made room for `text` and one byte behind the header of 4 bytes,
        // which is the size of `nlattr`; the skb's data and `text` do not overlap.
        unsafe {
            let payload: *mut u8 = attr.as_ptr().add(1).cast();
            payload.copy_from_nonoverlapping(text.as_ptr(), text.len());
            payload.add(text.len()).write(0);
        }
        Ok(())
    }

    /// A nest, filled by `fill`. When that fails, the nest is taken back.
    pub(crate) fn nest(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        // `NLA_F_NESTED` is the highest bit.
        self.old_nest(kind | 0x8000, fill)
    }

    /// A nest without `NLA_F_NESTED`, as the families of old have them.
    pub(crate) fn old_nest(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let (skb, number) = (self.skb.as_ptr(), c_int::from(kind));
        // SAFETY: `skb` is valid by the invariants.
        let start = unsafe { bindings::nla_nest_start_noflag(skb, number) };
        let start = NonNull::new(start).ok_or(Full)?;
        let filled = fill(self);
        // SAFETY: `start` is the nest begun last in this skb that is still open: `fill` closed or
        // cancelled those it began, and an skb's data does not move while it is written here.
        unsafe {
            match filled {
                Ok(()) => {
                    bindings::nla_nest_end(self.skb.as_ptr(), start.as_ptr());
                }
                Err(Full) => bindings::nla_nest_cancel(self.skb.as_ptr(), start.as_ptr()),
            }
        }
        filled
    }
}

fn room(error: c_int) -> Result<(), Full> {
    if error == 0 {
        Ok(())
    } else {
        // `nla_put` knows one error, -EMSGSIZE.
        Err(Full)
    }
}

/// Puts one message into `skb`; when it does not fit, `skb` is as before. `begun` sees the
/// message's generic netlink payload before it is filled.
///
/// # Safety
///
/// `skb` is a valid buffer for netlink messages that nobody else changes; `family` is registered.
pub(super) unsafe fn put(
    skb: NonNull<bindings::sk_buff>,
    family: *const bindings::genl_family,
    header: Header,
    begun: impl FnOnce(NonNull<c_void>),
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    // SAFETY: By the caller's promise.
    let payload = unsafe {
        bindings::genlmsg_put(
            skb.as_ptr(),
            header.portid,
            header.seq,
            family,
            // Flags are 16 bits.
            header.flags as c_int,
            header.cmd,
        )
    };
    let payload = NonNull::new(payload).ok_or(Full)?;
    begun(payload);
    // INVARIANT: The caller lends `skb` for this call, and its message was just begun.
    let mut writer = Writer {
        skb,
        _skb: PhantomData,
    };
    let filled = fill(&mut writer);
    // SAFETY: `payload` is what `genlmsg_put` gave for the last message of this skb.
    unsafe {
        match filled {
            Ok(()) => bindings::genlmsg_end(skb.as_ptr(), payload.as_ptr()),
            Err(Full) => bindings::genlmsg_cancel(skb.as_ptr(), payload.as_ptr()),
        }
    }
    filled
}

/// A buffer with one complete message.
///
/// # Invariants
///
/// `skb` is valid and owned.
pub(super) struct Message {
    skb: NonNull<bindings::sk_buff>,
}

impl Message {
    /// Builds a message of at most `size` bytes of attributes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and `EMSGSIZE` when `fill` puts more than `size` bytes.
    ///
    /// # Safety
    ///
    /// `family` is registered.
    pub(super) unsafe fn new(
        family: *const bindings::genl_family,
        header: Header,
        size: usize,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<Self> {
        // SAFETY: Takes plain numbers; process context.
        let skb = unsafe { bindings::genlmsg_new(size, bindings::GFP_KERNEL) };
        let skb = NonNull::new(skb).ok_or(ENOMEM)?;
        // INVARIANT: Just allocated, and given to nobody.
        let this = Self { skb };
        // SAFETY: `skb` is ours; the caller promises the family.
        unsafe { put(skb, family, header, |_| (), fill)? };
        Ok(this)
    }

    /// Sends it to the sender of a request.
    ///
    /// # Safety
    ///
    /// `info` is a valid request's.
    pub(super) unsafe fn reply(self, info: *mut bindings::genl_info) -> Result {
        let this = ManuallyDrop::new(self);
        // SAFETY: The skb is given away, so it must not be dropped here. The caller promises
        // `info`.
        to_result(unsafe { bindings::genlmsg_reply(this.skb.as_ptr(), info) })
    }

    /// Sends it to the listeners of a group.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there are none. A listener whose queue is full learns it from its socket.
    ///
    /// # Safety
    ///
    /// `family` is registered and has the group, `net` is valid.
    pub(super) unsafe fn multicast(
        self,
        family: *const bindings::genl_family,
        net: *mut bindings::net,
        group: u32,
    ) -> Result {
        let this = ManuallyDrop::new(self);
        // SAFETY: The skb is given away, so it must not be dropped here. The caller promises the
        // rest.
        to_result(unsafe {
            bindings::genlmsg_multicast_netns(
                family,
                net,
                this.skb.as_ptr(),
                0,
                group,
                bindings::GFP_KERNEL,
            )
        })
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: Owned by the invariants, and not used after.
        unsafe { bindings::nlmsg_free(self.skb.as_ptr()) };
    }
}

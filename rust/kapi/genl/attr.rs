// SPDX-License-Identifier: GPL-2.0

//! Reading the attributes of a request.
//!
//! It trusts no length, so it does not depend on what the core has validated before.

use core::{
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr::NonNull,
    slice,
};

/// Length of an attribute's header (`NLA_HDRLEN`).
const HEADER: usize = 4;

/// The bits of the type field that hold the number (`NLA_TYPE_MASK`).
const KIND_MASK: u16 = 0x3fff;

/// One attribute of a message. One word, as tables of them are on the stack.
///
/// # Invariants
///
/// `start` is where the whole attribute is in its message, which lives for `'a` and does not change:
/// header first, and as long as that says.
#[derive(Clone, Copy)]
pub(crate) struct Attr<'a> {
    start: NonNull<u8>,
    _message: PhantomData<&'a [u8]>,
}

impl<'a> Attr<'a> {
    /// All of it, without padding.
    fn bytes(&self) -> &'a [u8] {
        // SAFETY: By the invariant.
        let len = unsafe { self.start.cast::<[u8; 2]>().read() };
        // SAFETY: By the invariant it is that long.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), u16::from_ne_bytes(len).into()) }
    }

    /// Its number, without the flags.
    pub(crate) fn kind(&self) -> u16 {
        self.half(2) & KIND_MASK
    }

    /// What follows its header.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.bytes().get(HEADER..).unwrap_or(&[])
    }

    /// An 8-bit number.
    pub(crate) fn u8(&self) -> Option<u8> {
        <[u8; 1]>::try_from(self.payload())
            .ok()
            .map(u8::from_ne_bytes)
    }

    /// A 16-bit number in network order.
    pub(crate) fn u16_be(&self) -> Option<u16> {
        let bytes = <[u8; 2]>::try_from(self.payload()).ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// A 32-bit number in host order.
    pub(crate) fn u32(&self) -> Option<u32> {
        let bytes = <[u8; 4]>::try_from(self.payload()).ok()?;
        Some(u32::from_ne_bytes(bytes))
    }

    /// A number of 32 or 64 bits in host order (`NLA_UINT`).
    pub(crate) fn uint(&self) -> Option<u64> {
        match <[u8; 8]>::try_from(self.payload()) {
            Ok(bytes) => Some(u64::from_ne_bytes(bytes)),
            Err(_) => self.u32().map(u64::from),
        }
    }

    /// Text up to its first zero byte (`NLA_NUL_STRING`); `None` when there is no zero byte or it
    /// is not UTF-8.
    pub(crate) fn str(&self) -> Option<&'a str> {
        let text = core::ffi::CStr::from_bytes_until_nul(self.payload()).ok()?;
        text.to_str().ok()
    }

    /// An address of 4 or 16 bytes in network order.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        if let Ok(bytes) = <[u8; 4]>::try_from(self.payload()) {
            return Some(IpAddr::V4(Ipv4Addr::from(bytes)));
        }
        let bytes = <[u8; 16]>::try_from(self.payload()).ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(bytes)))
    }

    /// The attributes in it.
    pub(crate) fn nested(&self) -> AttrIter<'a> {
        AttrIter::new(self.payload())
    }

    /// Where it is, for [`Extack`](super::Extack).
    pub(super) fn as_ptr(&self) -> *const crate::bindings::nlattr {
        self.start.as_ptr().cast()
    }

    fn half(&self, at: usize) -> u16 {
        let bytes = self.bytes().get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u16::from_ne_bytes(*bytes))
    }
}

/// The attributes in a stream of bytes, in order. It ends at the first that does not fit.
#[derive(Clone)]
pub(crate) struct AttrIter<'a> {
    rest: &'a [u8],
}

impl<'a> AttrIter<'a> {
    /// Reads `bytes`, which begin with an attribute's header.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for AttrIter<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let len = usize::from(u16::from_ne_bytes(*self.rest.first_chunk()?));
        if len < HEADER {
            return None;
        }
        let bytes = self.rest.get(..len)?;
        self.rest = self.rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        // INVARIANT: Cut to the length in its header, from a message.
        Some(Attr {
            start: NonNull::from(bytes).cast(),
            _message: PhantomData,
        })
    }
}

/// The attributes of a message or a nest by number; `N` is the highest number plus one.
pub(crate) struct Attrs<'a, const N: usize> {
    slots: [Option<Attr<'a>>; N],
}

impl<'a, const N: usize> Attrs<'a, N> {
    /// Sorts them; numbers of `N` and more are left out.
    ///
    /// # Errors
    ///
    /// The second of two attributes that have the same number.
    pub(crate) fn new(attrs: AttrIter<'a>) -> Result<Self, Attr<'a>> {
        let mut slots = [None; N];
        for attr in attrs {
            if let Some(slot) = slots.get_mut(usize::from(attr.kind())) {
                if slot.replace(attr).is_some() {
                    return Err(attr);
                }
            }
        }
        Ok(Self { slots })
    }

    /// Sorts them as the families of old do: of two that have the same number the last one counts,
    /// numbers of `N` and more are left out, and so is 0.
    pub(crate) fn last_of_each(attrs: AttrIter<'a>) -> Self {
        let mut slots = [None; N];
        for attr in attrs.filter(|attr| attr.kind() != 0) {
            if let Some(slot) = slots.get_mut(usize::from(attr.kind())) {
                *slot = Some(attr);
            }
        }
        Self { slots }
    }

    /// The attribute with that number.
    pub(crate) fn get(&self, kind: u16) -> Option<Attr<'a>> {
        self.slots.get(usize::from(kind)).copied().flatten()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Extended acknowledgements: what a client is told about a refusal besides the error number.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use core::fmt::{self, Write};
use core::marker::PhantomData;
use core::ptr;

use kernel::error::Error;

use super::Attr;
use crate::bindings;

/// Longest text, in bytes (`NETLINK_MAX_FMTMSG_LEN` less the terminating zero).
pub(crate) const TEXT_MAX: usize = bindings::NETLINK_MAX_FMTMSG_LEN as usize - 1;

/// The part of a request that a refusal is about.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// No part in particular.
    Message,
    /// This attribute.
    Attr(Attr<'a>),
    /// An attribute that is not there.
    Missing {
        /// The nest it is missing in; `None` is the message itself.
        nest: Option<Attr<'a>>,
        /// Its number.
        kind: u16,
    },
}

/// Where the extended ack of a request is written.
///
/// # Invariants
///
/// `raw` is null or points to the ack of the request that is being handled; it stays valid for
/// `'a`, and nobody else uses it meanwhile but through copies of this pointer on this thread.
#[derive(Clone, Copy)]
pub(crate) struct Extack<'a> {
    raw: *mut bindings::netlink_ext_ack,
    _request: PhantomData<&'a ()>,
}

impl<'a> Extack<'a> {
    /// Wraps the ack of a request.
    ///
    /// # Safety
    ///
    /// `raw` meets the type's invariants for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::netlink_ext_ack) -> Self {
        // INVARIANT: The caller's promise.
        Self {
            raw,
            _request: PhantomData,
        }
    }

    /// Tells the client something although its request is granted.
    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        // What is granted has no error to pass on.
        let _ = self.refuse(kernel::error::code::EINVAL, Place::Message, text);
    }

    /// Notes why the request is refused and gives `error` back. A text longer than [`TEXT_MAX`]
    /// is cut; a later refusal replaces an earlier one.
    pub(crate) fn refuse(&self, error: Error, place: Place<'a>, text: fmt::Arguments<'_>) -> Error {
        if self.raw.is_null() {
            return error;
        }
        let (bad, nest, kind) = match place {
            Place::Message => (ptr::null(), ptr::null(), 0),
            Place::Attr(attr) => (attr.as_ptr(), ptr::null(), 0),
            Place::Missing { nest, kind } => {
                (ptr::null(), nest.map_or(ptr::null(), |n| n.as_ptr()), kind)
            }
        };
        // SAFETY: Not null, so by the invariants valid and ours alone for now; the reference ends
        // with this function. All bit patterns are valid for its fields.
        let ack = unsafe { &mut *self.raw };
        let mut out = Cut {
            out: &mut ack._msg_buf,
            len: 0,
        };
        // `Cut` never fails, and the texts' own `Display` does not either.
        let _ = out.write_fmt(text);
        out.terminate();
        ack._msg = ack._msg_buf.as_ptr();
        ack.bad_attr = bad;
        ack.policy = ptr::null();
        ack.miss_nest = nest;
        ack.miss_type = kind;
        error
    }
}

/// Writes text to a buffer and leaves out what does not fit, keeping room for a zero byte.
struct Cut<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Cut<'_> {
    fn terminate(self) {
        if let Some(end) = self.out.get_mut(self.len) {
            *end = 0;
        }
    }
}

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.out.len().saturating_sub(1).saturating_sub(self.len);
        let mut fits = text.len().min(room);
        while !text.is_char_boundary(fits) {
            fits = fits.saturating_sub(1);
        }
        let end = self.len.saturating_add(fits);
        if let (Some(to), Some(from)) =
            (self.out.get_mut(self.len..end), text.as_bytes().get(..fits))
        {
            to.copy_from_slice(from);
            self.len = end;
        }
        Ok(())
    }
}

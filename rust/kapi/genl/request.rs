// SPDX-License-Identifier: GPL-2.0

//! Requests and the operations that answer them once (`do`).
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

use core::ffi::c_int;
use core::marker::PhantomData;
use core::ptr::NonNull;

use kernel::error::Result;

use super::message::{Header, Message};
use super::{AttrIter, AttrPolicy, Extack, Full, Writer};
use crate::bindings;
use crate::kapi::netns::Net;

/// Length of the headers before the attributes: `nlmsghdr` and `genlmsghdr`, no family header.
const HEADERS: usize = size_of::<bindings::nlmsghdr>() + size_of::<bindings::genlmsghdr>();

/// An operation that handles a request and acknowledges it.
pub(crate) trait Doit {
    /// Command number.
    const CMD: u8;
    /// What the request's attributes must be; empty: it has none.
    const POLICY: &'static [AttrPolicy];

    /// Handles a request that meets the policy and whose sender has `CAP_NET_ADMIN` in the
    /// namespace's user namespace. May sleep; several may run at once.
    fn doit(request: &Request<'_>) -> Result;
}

/// A request that is being handled.
///
/// # Invariants
///
/// `info` is valid for `'a`, its message has been validated by the core for a family without own
/// header, and its namespace stays for `'a`.
pub(crate) struct Request<'a> {
    info: NonNull<bindings::genl_info>,
    _info: PhantomData<&'a bindings::genl_info>,
}

impl<'a> Request<'a> {
    /// Wraps what the core hands a handler.
    ///
    /// # Safety
    ///
    /// `info` meets the type's invariants for `'a`.
    pub(super) unsafe fn from_raw(info: NonNull<bindings::genl_info>) -> Self {
        // INVARIANT: The caller's promise.
        Self {
            info,
            _info: PhantomData,
        }
    }

    /// The namespace it was sent in.
    pub(crate) fn net(&self) -> &'a Net {
        // SAFETY: The sender's socket holds its namespace while the request is handled.
        unsafe { Net::from_raw(self.info()._net.net) }
    }

    /// Its attributes, in order.
    pub(crate) fn attrs(&self) -> AttrIter<'a> {
        let message = self.info().nlhdr;
        // SAFETY: The message is valid by the invariants, and as long as its header says; the
        // core has checked both before it called the handler.
        let bytes: &'a [u8] = unsafe {
            let len = (*message).nlmsg_len as usize;
            core::slice::from_raw_parts(message.cast(), len)
        };
        AttrIter::new(bytes.get(HEADERS..).unwrap_or(&[]))
    }

    /// Where to say why it is refused.
    pub(crate) fn extack(&self) -> Extack<'a> {
        // SAFETY: The core made it for this request and leaves it to the handler.
        unsafe { Extack::from_raw(self.info().extack) }
    }

    /// Answers with one message, `size` bytes of attributes at most.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EMSGSIZE` when `fill` puts more; what sending it gives.
    pub(crate) fn reply(
        &self,
        cmd: u8,
        size: usize,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result {
        // SAFETY: A family that has a request is registered; `info` is valid.
        unsafe {
            Message::new(self.family(), self.header(cmd, 0), size, fill)?.reply(self.info.as_ptr())
        }
    }

    /// The headers of an answer.
    pub(super) fn header(&self, cmd: u8, flags: u32) -> Header {
        let info = self.info();
        Header {
            portid: info.snd_portid,
            seq: info.snd_seq,
            cmd,
            flags,
        }
    }

    /// The family it was sent to, which is registered.
    pub(super) fn family(&self) -> *const bindings::genl_family {
        self.info().family
    }

    fn info(&self) -> &bindings::genl_info {
        // SAFETY: Valid by the invariants, and the core does not write to it meanwhile.
        unsafe { self.info.as_ref() }
    }
}

/// The C side of [`Doit::doit`].
///
/// # Safety
///
/// Only for the core, as `doit` of an operation.
pub(super) unsafe extern "C" fn doit<T: Doit>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    let Some(info) = NonNull::new(info) else {
        return kernel::error::code::EINVAL.to_errno();
    };
    // SAFETY: The core passes a validated request that lives until this function returns.
    let request = unsafe { Request::from_raw(info) };
    match T::doit(&request) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

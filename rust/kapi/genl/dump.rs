// SPDX-License-Identifier: GPL-2.0

//! Dumps: operations that answer with many messages, a buffer at a time.
//!
//! C headers: [`include/net/genetlink.h`](srctree/include/net/genetlink.h),
//! [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use core::ffi::c_int;
use core::ptr::NonNull;

use kernel::error::{code::EINVAL, code::EMSGSIZE, Result};

use super::{message, AttrPolicy, Full, Request, Writer};
use crate::bindings;

/// Whether a dump has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The buffer is full; call again with the state as it is.
    More,
    /// Everything was sent.
    Done,
}

/// An operation that answers with many messages.
pub(crate) trait Dumpit {
    /// Command number.
    const CMD: u8;
    /// What the request's attributes must be; empty: it has none.
    const POLICY: &'static [AttrPolicy];
    /// Where the dump is, kept between buffers. At most 48 bytes (`NETLINK_CTX_SIZE`).
    type State: Copy + 'static;

    /// Checks the request. May sleep.
    fn start(request: &Request<'_>) -> Result<Self::State>;

    /// Fills one buffer, going on from `state`. May sleep; a lock is to be held no longer than
    /// one call, since userspace decides when the next comes.
    fn dump(
        request: &Request<'_>,
        state: &mut Self::State,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress>;
}

/// The buffer a dump fills.
///
/// # Invariants
///
/// `skb` and `callback` are those of a running dump, and its handler alone uses them.
pub(crate) struct DumpWriter<'a> {
    skb: NonNull<bindings::sk_buff>,
    callback: NonNull<bindings::netlink_callback>,
    request: &'a Request<'a>,
}

impl DumpWriter<'_> {
    /// Says what state of affairs the following messages show. When it is another than in the
    /// buffer before, they carry `NLM_F_DUMP_INTR` and the client starts over.
    pub(crate) fn set_generation(&mut self, generation: u32) {
        // 0 says there is none; after 2^32 changes one change in between goes unnoticed.
        let seq = generation.wrapping_add(1).max(1);
        // SAFETY: Valid and ours by the invariants.
        unsafe { (*self.callback.as_ptr()).seq = seq };
    }

    /// Adds one message; when it does not fit, the buffer is as before.
    pub(crate) fn message(
        &mut self,
        cmd: u8,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let callback = self.callback.as_ptr();
        let header = self.request.header(cmd, bindings::NLM_F_MULTI);
        // SAFETY: `skb` is ours by the invariants, the family of a running dump is registered.
        // `payload` is what `genlmsg_put` gave.
        unsafe {
            message::put(
                self.skb,
                self.request.family(),
                header,
                |payload| bindings::genl_dump_check_consistent(callback, payload.as_ptr()),
                fill,
            )
        }
    }
}

/// Checks at compile time that a dump's state fits the callback.
const fn check_state<T: Dumpit>() {
    assert!(size_of::<T::State>() <= bindings::NETLINK_CTX_BYTES);
    assert!(align_of::<T::State>() <= align_of::<bindings::netlink_callback__bindgen_ty_1>());
}

/// The request of a dump.
///
/// # Safety
///
/// `callback` is that of a dump of a generic netlink family that has begun, valid for `'a`.
unsafe fn request<'a>(callback: NonNull<bindings::netlink_callback>) -> Option<Request<'a>> {
    // SAFETY: While a dump runs, `data` points to its `genl_dumpit_info`.
    let info = unsafe {
        let dump: *mut bindings::genl_dumpit_info = (*callback.as_ptr()).data.cast();
        &raw mut (*dump).info
    };
    // SAFETY: The message is kept, and so is the socket with its namespace, until the dump ends.
    NonNull::new(info).map(|info| unsafe { Request::from_raw(info) })
}

/// The C side of [`Dumpit::start`].
///
/// # Safety
///
/// Only for the core, as `start` of an operation.
pub(super) unsafe extern "C" fn start<T: Dumpit>(
    callback: *mut bindings::netlink_callback,
) -> c_int {
    const { check_state::<T>() };
    let Some(callback) = NonNull::new(callback) else {
        return EINVAL.to_errno();
    };
    // SAFETY: The core has set it up for this dump.
    let Some(request) = (unsafe { request(callback) }) else {
        return EINVAL.to_errno();
    };
    match T::start(&request) {
        Ok(state) => {
            // SAFETY: `ctx` is for the handler's use, large and aligned enough as checked above.
            unsafe {
                let ctx = &raw mut (*callback.as_ptr()).__bindgen_anon_1;
                ctx.cast::<T::State>().write(state);
            }
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// The C side of [`Dumpit::dump`].
///
/// # Safety
///
/// Only for the core, as `dumpit` of an operation whose `start` is [`start`] of the same type.
pub(super) unsafe extern "C" fn dumpit<T: Dumpit>(
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
) -> c_int {
    let (Some(skb), Some(callback)) = (NonNull::new(skb), NonNull::new(callback)) else {
        return EINVAL.to_errno();
    };
    // SAFETY: The core has set it up for this dump.
    let Some(request) = (unsafe { request(callback) }) else {
        return EINVAL.to_errno();
    };
    // SAFETY: `start` has put the state there, and calls for one dump exclude each other
    // (`nl_cb_mutex`).
    let mut state = unsafe {
        let ctx = &raw const (*callback.as_ptr()).__bindgen_anon_1;
        ctx.cast::<T::State>().read()
    };
    // INVARIANT: What the core passed for this call.
    let mut out = DumpWriter {
        skb,
        callback,
        request: &request,
    };
    let progress = T::dump(&request, &mut state, &mut out);
    // SAFETY: As above.
    unsafe {
        let ctx = &raw mut (*callback.as_ptr()).__bindgen_anon_1;
        ctx.cast::<T::State>().write(state);
    }
    match progress {
        Ok(Progress::Done) => 0,
        Ok(Progress::More) => {
            // SAFETY: The core's buffer for this call.
            let len = unsafe { (*skb.as_ptr()).len };
            match c_int::try_from(len) {
                Ok(len) if len > 0 => len,
                // Not even one message fits.
                _ => EMSGSIZE.to_errno(),
            }
        }
        Err(error) => error.to_errno(),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `getsockopt` and `setsockopt` at the level of IP.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use core::{
    ffi::{c_int, c_void},
    marker::PhantomData,
};

use kernel::{error::to_result, prelude::*};

use super::netns::Net;
use crate::bindings;

/// Who answers for a range of options. An administrator of the namespace asks.
pub(crate) trait Answer: 'static {
    /// The first option and the last.
    const OPTIONS: (c_int, c_int);

    /// Answers for one; how many bytes the answer has. May sleep.
    fn answer(option: c_int, net: &Net, asked: &Asked<'_>) -> Result<usize>;

    /// The last option that sets something, from the first one on.
    const SETS: c_int;

    /// Does what one of them says. May sleep.
    fn change(option: c_int, net: &Net, said: &[u8]) -> Result;
}

/// The memory of the program that asks: what it gives, and room for the answer.
pub(crate) struct Asked<'a> {
    user: *mut c_void,
    len: usize,
    _user: PhantomData<&'a mut [u8]>,
}

impl Asked<'_> {
    /// Bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The first bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are fewer, `EFAULT`.
    pub(crate) fn head<const N: usize>(&self) -> Result<[u8; N]> {
        let mut head = [0; N];
        if self.len < N {
            return Err(EINVAL);
        }
        // SAFETY: The helper copes with any address of user space; `head` has `N` bytes.
        let copied = unsafe { bindings::rvs_from_user(head.as_mut_ptr().cast(), self.user, N) };
        if copied {
            Ok(head)
        } else {
            Err(EFAULT)
        }
    }

    /// Writes bytes from `at` on, as far as there is room.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> Result {
        let room = self.len.saturating_sub(at);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        let to = self.user.wrapping_byte_add(at);
        // SAFETY: The helper copes with any address of user space; `bytes` can be read for its length.
        let copied = unsafe { bindings::rvs_to_user(to, bytes.as_ptr().cast(), bytes.len()) };
        if copied {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

/// Keeps options registered.
pub(crate) struct Options<A>(PhantomData<fn(A)>);

impl<A: Answer> Options<A> {
    /// Registers them. Once at a time, and for one `A` in all.
    ///
    /// # Errors
    ///
    /// `EBUSY` when somebody else has some of them.
    pub(crate) fn register() -> Result<Self> {
        let (first, last) = A::OPTIONS;
        // SAFETY: The functions are what the helper expects; they stay until `drop`.
        to_result(unsafe {
            bindings::rvs_sockopt_register(
                first,
                last,
                A::SETS,
                Some(answer::<A>),
                Some(change::<A>),
            )
        })?;
        Ok(Self(PhantomData))
    }
}

impl<A> Drop for Options<A> {
    fn drop(&mut self) {
        // SAFETY: Registered. Whoever is in the function holds the module.
        unsafe { bindings::rvs_sockopt_unregister() };
    }
}

/// The C side of [`Answer::answer`].
///
/// # Safety
///
/// Only for the helper: `net` is the namespace of a live socket, `user` is an address of the program
/// that asks.
unsafe extern "C" fn answer<A: Answer>(
    net: *mut bindings::net,
    option: c_int,
    user: *mut c_void,
    len: c_int,
) -> c_int {
    // SAFETY: The socket keeps it alive during the call.
    let net = unsafe { Net::from_raw(net) };
    let asked = Asked {
        user,
        len: usize::try_from(len).unwrap_or(0),
        _user: PhantomData,
    };
    match A::answer(option, net, &asked) {
        Ok(len) => c_int::try_from(len).unwrap_or(c_int::MAX),
        Err(error) => error.to_errno(),
    }
}

/// The C side of [`Answer::change`].
///
/// # Safety
///
/// Only for the helper: `net` is the namespace of a live socket, `said` has `len` bytes.
unsafe extern "C" fn change<A: Answer>(
    net: *mut bindings::net,
    option: c_int,
    said: *const c_void,
    len: c_int,
) -> c_int {
    // SAFETY: The socket keeps it alive during the call.
    let net = unsafe { Net::from_raw(net) };
    let len = usize::try_from(len).unwrap_or(0);
    // SAFETY: The caller's promise.
    let said = unsafe { core::slice::from_raw_parts(said.cast(), len) };
    A::change(option, net, said).map_or_else(|error| error.to_errno(), |()| 0)
}

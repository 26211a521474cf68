// SPDX-License-Identifier: GPL-2.0

//! Chains of callbacks on which the kernel tells news.
//!
//! C header: [`include/linux/notifier.h`](srctree/include/linux/notifier.h)

use core::ptr;

use kernel::{error::to_result, ffi::c_int, prelude::*, types::Opaque};

use crate::bindings;

/// What puts a block into a chain, or takes it out.
type Change = unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int;

/// The static part of a listener.
pub(crate) struct Registration(Opaque<bindings::notifier_block>);

// SAFETY: Written only while registering, which modules do once.
unsafe impl Sync for Registration {}

impl Registration {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self(Opaque::uninit())
    }

    /// Calls `call` with the news of a chain from now on. May sleep.
    ///
    /// # Safety
    ///
    /// `join` and `leave` are those of one chain, whose news `call` takes. A registration is used
    /// once while the module is loaded.
    pub(super) unsafe fn listen(
        &'static self,
        call: bindings::notifier_fn_t,
        join: Change,
        leave: Change,
    ) -> Result<Listening> {
        let block = bindings::notifier_block {
            notifier_call: call,
            ..Default::default()
        };
        // SAFETY: Nobody else uses the block before it is in a chain, says the caller.
        unsafe { ptr::write(self.0.get(), block) };
        // SAFETY: The block is filled in and static.
        to_result(unsafe { join(self.0.get()) })?;
        Ok(Listening {
            registration: self,
            leave,
        })
    }
}

/// Keeps a listener registered.
pub(crate) struct Listening {
    registration: &'static Registration,
    leave: Change,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // SAFETY: Registered by `Registration::listen`, in the chain that this leaves.
        unsafe { (self.leave)(self.registration.0.get()) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Modules: others that are about to be loaded, and how long this one stays.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::{
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use kernel::{
    error::{
        code::{EBUSY, ENODEV},
        Result,
    },
    ffi::{c_int, c_ulong, c_void},
    str::CStrExt,
};

use super::notifier::{Listening, Registration};
use crate::bindings;

/// Who keeps modules from being loaded.
pub(crate) trait Gate: 'static {
    /// Whether the module of that name may be loaded now. May sleep.
    fn admits(name: &[u8]) -> bool;

    /// The registration of this gate.
    fn registration() -> &'static Registration;
}

/// Asks `G` about each module from now on, once. May sleep.
pub(crate) fn guard<G: Gate>() -> Result<Listening> {
    // SAFETY: Both are of the chain of modules, whose news `callback` takes.
    unsafe {
        G::registration().listen(
            Some(callback::<G>),
            bindings::register_module_notifier,
            bindings::unregister_module_notifier,
        )
    }
}

extern "C" fn callback<G: Gate>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    module: *mut c_void,
) -> c_int {
    if event as u32 != bindings::module_state_MODULE_STATE_COMING {
        return bindings::NOTIFY_DONE as c_int;
    }
    // SAFETY: Module notifiers get a module, which is there for the call, with a name that ends.
    let name = unsafe { CStr::from_char_ptr(module.byte_add(bindings::MODULE_NAME_AT).cast()) };
    if G::admits(name.to_bytes()) {
        return bindings::NOTIFY_DONE as c_int;
    }
    // SAFETY: No requirements.
    unsafe { bindings::rvs_notifier_refuse(EBUSY.to_errno()) }
}

/// Holds of this module that count, each a reference on it.
static HOLDS: AtomicU32 = AtomicU32::new(0);

/// Whether it was released: holds count no more.
static RELEASED: AtomicBool = AtomicBool::new(false);

/// Keeps this module from being unloaded, until it is dropped or [`release`] is called.
pub(crate) struct Hold(());

impl Hold {
    /// Takes hold of it.
    ///
    /// # Errors
    ///
    /// `ENODEV` when it is being unloaded.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: It is this module, whose code runs.
        if !unsafe { bindings::try_module_get(bindings::this_module()) } {
            // Whoever was told to unload it goes on.
            return if RELEASED.load(Ordering::SeqCst) {
                Ok(Self(()))
            } else {
                Err(ENODEV)
            };
        }
        HOLDS.fetch_add(1, Ordering::SeqCst);
        let hold = Self(());
        if RELEASED.load(Ordering::SeqCst) {
            give_back();
        }
        Ok(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives one reference back, if there is one left that counts.
fn give_back() {
    let taken = HOLDS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    if taken.is_ok() {
        // SAFETY: The reference was taken by `Hold::new`, and counted until now.
        unsafe { bindings::module_put(bindings::this_module()) };
    }
}

/// Lets go of this module, whoever holds it now or later.
pub(crate) fn release() {
    RELEASED.store(true, Ordering::SeqCst);
    while HOLDS.load(Ordering::SeqCst) > 0 {
        give_back();
    }
}

/// Whether the calling process may unload modules.
pub(crate) fn may_unload() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::capable(bindings::CAP_SYS_MODULE as c_int) }
}

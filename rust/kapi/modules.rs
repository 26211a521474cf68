// SPDX-License-Identifier: GPL-2.0

//! Other modules that are about to be loaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::{ffi::CStr, ptr};

use kernel::{
    error::{code::EBUSY, Result},
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
    let name = unsafe {
        let name = ptr::addr_of!((*module.cast::<bindings::module>()).name);
        CStr::from_char_ptr(name.cast())
    };
    if G::admits(name.to_bytes()) {
        return bindings::NOTIFY_DONE as c_int;
    }
    // SAFETY: No requirements.
    unsafe { bindings::rvs_notifier_refuse(EBUSY.to_errno()) }
}

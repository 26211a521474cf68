// SPDX-License-Identifier: GPL-2.0

//! Other modules that are about to be loaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::{ffi::CStr, ptr};

use kernel::{
    error::{code::EBUSY, to_result, Result},
    ffi::{c_int, c_ulong, c_void},
    str::CStrExt,
    types::Opaque,
};

use crate::bindings;

/// Who keeps modules from being loaded.
pub(crate) trait Gate: 'static {
    /// Whether the module of that name may be loaded now. May sleep.
    fn admits(name: &[u8]) -> bool;

    /// The registration of this gate.
    fn registration() -> &'static Registration;
}

/// The static part of a gate.
pub(crate) struct Registration(Opaque<bindings::notifier_block>);

// SAFETY: Written only while registering, which modules do once.
unsafe impl Sync for Registration {}

impl Registration {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self(Opaque::uninit())
    }
}

/// Keeps a gate registered.
pub(crate) struct Guarding(&'static Registration);

/// Asks `G` about each module from now on. May sleep.
pub(crate) fn guard<G: Gate>() -> Result<Guarding> {
    let block = bindings::notifier_block {
        notifier_call: Some(callback::<G>),
        ..Default::default()
    };
    let registration = G::registration();
    // SAFETY: Called once by the module's init.
    unsafe { ptr::write(registration.0.get(), block) };
    // SAFETY: The block is filled in and static.
    to_result(unsafe { bindings::register_module_notifier(registration.0.get()) })?;
    Ok(Guarding(registration))
}

impl Drop for Guarding {
    fn drop(&mut self) {
        // SAFETY: Registered by `guard`.
        unsafe { bindings::unregister_module_notifier(self.0 .0.get()) };
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

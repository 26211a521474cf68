// SPDX-License-Identifier: GPL-2.0

//! Probes at the entry of kernel functions, and where they return.
//!
//! C header: [`include/linux/fprobe.h`](srctree/include/linux/fprobe.h)

use core::{mem, ptr};

use kernel::{
    error::to_result,
    ffi::{c_char, c_int, c_ulong, c_void},
    prelude::*,
    str::{CStr, CStrExt},
    types::Opaque,
};

use super::rcu::Rcu;
use crate::bindings;

/// Most bytes that the kernel keeps for a call (`MAX_FPROBE_DATA_SIZE`).
const DATA_MAX: usize = 15 * mem::size_of::<c_ulong>();

/// What is done at a kernel function.
pub(crate) trait Probe: 'static {
    /// The function's name.
    const FUNCTION: &'static CStr;
    /// Whether [`Probe::exit`] is ever of use.
    const HAS_EXIT: bool;
    /// What is kept from a call's entry to its return.
    type Data: Copy + 'static;

    /// The function was called. `Some`: [`Probe::exit`] is to be called when it returns.
    ///
    /// Runs with preemption off.
    fn entry(call: &Call<'_>, rcu: Rcu<'_>) -> Option<Self::Data>;

    /// The function returns `value`. Runs with preemption off.
    fn exit(value: usize, data: Self::Data, rcu: Rcu<'_>);

    /// The registration of this probe.
    fn registration() -> &'static Registration;
}

/// A call of a probed function, at its entry.
pub(crate) struct Call<'a>(&'a Opaque<bindings::ftrace_regs>);

impl Call<'_> {
    /// An argument, from 0 on; the first six of a function are in registers.
    #[inline]
    pub(crate) fn argument<const N: u32>(&self) -> usize {
        const { assert!(N < 6) };
        // SAFETY: The registers are those of a function's entry.
        unsafe { bindings::toa_argument(self.0.get().cast(), N) }
    }
}

/// The static part of a probe.
pub(crate) struct Registration(Opaque<bindings::fprobe>);

// SAFETY: Written only by registering, which modules do once, and by the kernel.
unsafe impl Sync for Registration {}

impl Registration {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self(Opaque::uninit())
    }
}

/// Keeps a probe registered. When it is dropped, handlers that run are waited for, and calls that
/// have not returned yet will return without one.
pub(crate) struct Probing(&'static Registration);

/// Starts probing. May sleep.
///
/// # Errors
///
/// `ENOENT` when the kernel has no such function; `EOPNOTSUPP` when it has no fprobes.
pub(crate) fn probe<P: Probe>() -> Result<Probing> {
    const {
        assert!(mem::size_of::<P::Data>() <= DATA_MAX);
        assert!(mem::align_of::<P::Data>() <= mem::align_of::<c_ulong>());
    }
    let mut fprobe = bindings::fprobe {
        entry_handler: Some(entry::<P>),
        ..Default::default()
    };
    if P::HAS_EXIT {
        fprobe.exit_handler = Some(exit::<P>);
        fprobe.entry_data_size = mem::size_of::<P::Data>();
    }
    let registration = P::registration();
    // SAFETY: Called once by the module's init.
    unsafe { ptr::write(registration.0.get(), fprobe) };
    let mut name: *const c_char = P::FUNCTION.as_char_ptr();
    // SAFETY: The probe is filled in and static; one name is passed.
    to_result(unsafe { bindings::register_fprobe_syms(registration.0.get(), &raw mut name, 1) })?;
    Ok(Probing(registration))
}

impl Drop for Probing {
    fn drop(&mut self) {
        // SAFETY: Registered by `probe`. It waits for a grace period, so for running handlers.
        unsafe { bindings::unregister_fprobe(self.0 .0.get()) };
    }
}

/// The C side of [`Probe::entry`].
///
/// # Safety
///
/// Only for the kernel, as a handler of a probe of the same type.
unsafe extern "C" fn entry<P: Probe>(
    _fprobe: *mut bindings::fprobe,
    _entry: c_ulong,
    _return: c_ulong,
    regs: *mut bindings::ftrace_regs,
    data: *mut c_void,
) -> c_int {
    let guard = kernel::sync::rcu::read_lock();
    // SAFETY: The kernel passes the registers of the call, valid until we return.
    let call = Call(unsafe { &*regs.cast() });
    match P::entry(&call, Rcu::of(&guard)) {
        Some(kept) if P::HAS_EXIT => {
            // SAFETY: The kernel keeps the size that we asked for, aligned like a word.
            unsafe { data.cast::<P::Data>().write(kept) };
            0
        }
        _ => 1,
    }
}

/// The C side of [`Probe::exit`].
///
/// # Safety
///
/// Only for the kernel, as a handler of a probe of the same type.
unsafe extern "C" fn exit<P: Probe>(
    _fprobe: *mut bindings::fprobe,
    _entry: c_ulong,
    _return: c_ulong,
    regs: *mut bindings::ftrace_regs,
    data: *mut c_void,
) {
    let guard = kernel::sync::rcu::read_lock();
    // SAFETY: `entry` of the same probe has written it.
    let data = unsafe { data.cast::<P::Data>().read() };
    // SAFETY: The registers are those of a function's return.
    let value = unsafe { bindings::toa_return_value(regs.cast()) };
    P::exit(value, data, Rcu::of(&guard));
}

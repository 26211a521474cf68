// SPDX-License-Identifier: GPL-2.0

//! Probes at the entry of kernel functions, and where they return.
//!
//! By fprobes, or by kretprobes where the kernel has no fprobes or the administrator says so.
//!
//! C headers: [`include/linux/fprobe.h`](srctree/include/linux/fprobe.h),
//! [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h)

use core::{marker::PhantomData, mem, ptr};

use kernel::{
    error::to_result,
    ffi::{c_char, c_int, c_ulong, c_void},
    prelude::*,
    str::{CStr, CStrExt},
    types::Opaque,
};

use super::{
    errno::EOPNOTSUPP,
    rcu::Rcu,
    registers::{Kind, Registers},
};
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
pub(crate) struct Call<'a> {
    registers: Registers,
    // As long as the handler runs.
    _life: PhantomData<&'a ()>,
}

impl Call<'_> {
    /// An argument, from 0 on; the first six of a function are in registers.
    #[inline(always)]
    pub(crate) fn argument<const N: u32>(&self) -> usize {
        const { assert!(N < 6) };
        // SAFETY: The registers are those of a function's entry.
        unsafe { self.registers.argument(N) }
    }
}

/// What the kernel calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// Fprobes, or kretprobes where there are none.
    Best,
    /// Kretprobes.
    Kretprobes,
}

/// The static part of a probe; one of the two is used.
pub(crate) struct Registration {
    fprobe: Opaque<bindings::fprobe>,
    kretprobe: Opaque<bindings::toa_kretprobe>,
}

// SAFETY: Written only by registering, which modules do once, and by the kernel.
unsafe impl Sync for Registration {}

impl Registration {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self {
            fprobe: Opaque::uninit(),
            kretprobe: Opaque::uninit(),
        }
    }
}

/// Keeps a probe registered. When it is dropped, handlers that run are waited for, and calls that
/// have not returned yet will return without one.
pub(crate) enum Probing {
    Fprobe(&'static Registration),
    Kretprobe(&'static Registration),
}

/// Starts probing. May sleep.
///
/// # Errors
///
/// `ENOENT` when the kernel has no such function; `EOPNOTSUPP` when it has no probes.
pub(crate) fn probe<P: Probe>(how: Mechanism) -> Result<Probing> {
    const {
        assert!(mem::size_of::<P::Data>() <= DATA_MAX);
        assert!(mem::align_of::<P::Data>() <= mem::align_of::<c_ulong>());
    }
    let registration = P::registration();
    if how == Mechanism::Best {
        match fprobe::<P>(registration) {
            Err(error) if error == EOPNOTSUPP => {}
            result => return result.map(|()| Probing::Fprobe(registration)),
        }
    }
    kretprobe::<P>(registration)?;
    Ok(Probing::Kretprobe(registration))
}

fn fprobe<P: Probe>(registration: &'static Registration) -> Result {
    let mut fprobe = bindings::fprobe {
        entry_handler: Some(entry::<P>),
        ..Default::default()
    };
    // SAFETY: It is ours, and registered later.
    unsafe { bindings::toa_fprobe_prepare(&mut fprobe) };
    if P::HAS_EXIT {
        fprobe.exit_handler = Some(exit::<P>);
        fprobe.entry_data_size = mem::size_of::<P::Data>();
    }
    let registered = registration.fprobe.get();
    // SAFETY: Called once by the module's init.
    unsafe { ptr::write(registered, fprobe) };
    let mut name: *const c_char = P::FUNCTION.as_char_ptr();
    // SAFETY: The probe is filled in and static; one name is passed.
    to_result(unsafe { bindings::register_fprobe_syms(registered, &raw mut name, 1) })
}

fn kretprobe<P: Probe>(registration: &'static Registration) -> Result {
    let exit: bindings::kretprobe_handler_t = if P::HAS_EXIT {
        Some(kretprobe_exit::<P>)
    } else {
        None
    };
    // SAFETY: The probe is static and called once by the module's init, the name is static.
    to_result(unsafe {
        bindings::toa_kretprobe_register(
            registration.kretprobe.get(),
            P::FUNCTION.as_char_ptr(),
            Some(kretprobe_entry::<P>),
            exit,
            mem::size_of::<P::Data>(),
        )
    })
}

impl Drop for Probing {
    fn drop(&mut self) {
        // SAFETY: Registered by `probe`. Both wait for a grace period, so for running handlers.
        unsafe {
            match self {
                Self::Fprobe(probe) => {
                    bindings::unregister_fprobe(probe.fprobe.get());
                }
                Self::Kretprobe(probe) => {
                    bindings::toa_kretprobe_unregister(probe.kretprobe.get());
                }
            }
        }
    }
}

/// A call begins: whether it is to be told of when it returns. What is kept goes to `data`.
///
/// # Safety
///
/// Preemption is off. `data` is valid for writes of [`Probe::Data`], aligned like a word, if the probe has an exit.
#[inline(always)]
unsafe fn begin<P: Probe>(call: &Call<'_>, data: *mut c_void) -> bool {
    // SAFETY: Preemption is off in handlers, which is a critical section of RCU as well.
    let rcu = unsafe { Rcu::assume_held() };
    match P::entry(call, rcu) {
        Some(kept) if P::HAS_EXIT => {
            // SAFETY: As the caller promises.
            unsafe { data.cast::<P::Data>().write(kept) };
            true
        }
        _ => false,
    }
}

/// A call that [`begin`] has kept something of returns `value`.
///
/// # Safety
///
/// Preemption is off. `data` is what `begin` of the same probe has written.
#[inline(always)]
unsafe fn finish<P: Probe>(value: usize, data: *mut c_void) {
    // SAFETY: As the caller promises; preemption is off, as in `begin`.
    let (data, rcu) = unsafe { (data.cast::<P::Data>().read(), Rcu::assume_held()) };
    P::exit(value, data, rcu);
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
    regs: *mut bindings::rvs_probe_regs,
    data: *mut c_void,
) -> c_int {
    // The kernel passes the registers of the call, valid until we return.
    let call = Call {
        registers: Registers::new(regs.cast(), Kind::Fprobe),
        _life: PhantomData,
    };
    // SAFETY: The kernel keeps the size that we asked for, aligned like a word.
    c_int::from(!unsafe { begin::<P>(&call, data) })
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
    regs: *mut bindings::rvs_probe_regs,
    data: *mut c_void,
) {
    // SAFETY: The registers are those of a function's return.
    let value = unsafe { Registers::new(regs.cast(), Kind::Fprobe).value() };
    // SAFETY: `entry` of the same probe has written it.
    unsafe { finish::<P>(value, data) };
}

/// As [`entry`], of a kretprobe.
///
/// # Safety
///
/// Only for the kernel, as a handler of a probe of the same type.
unsafe extern "C" fn kretprobe_entry<P: Probe>(
    instance: *mut bindings::kretprobe_instance,
    regs: *mut bindings::pt_regs,
) -> c_int {
    let call = Call {
        registers: Registers::new(regs.cast(), Kind::Kretprobe),
        _life: PhantomData,
    };
    // SAFETY: The instance is valid and has the size that we asked for, aligned like a word.
    c_int::from(!unsafe { begin::<P>(&call, bindings::toa_kretprobe_data(instance.cast())) })
}

/// As [`exit`], of a kretprobe.
///
/// # Safety
///
/// Only for the kernel, as a handler of a probe of the same type.
unsafe extern "C" fn kretprobe_exit<P: Probe>(
    instance: *mut bindings::kretprobe_instance,
    regs: *mut bindings::pt_regs,
) -> c_int {
    // SAFETY: The registers are those of a function's return.
    let value = unsafe { Registers::new(regs.cast(), Kind::Kretprobe).value() };
    // SAFETY: `kretprobe_entry` of the same probe has written to the same instance.
    unsafe { finish::<P>(value, bindings::toa_kretprobe_data(instance.cast())) };
    0
}

// SPDX-License-Identifier: GPL-2.0

//! Arguments and values of probed functions.
//!
//! C headers: [`include/linux/ftrace_regs.h`](srctree/include/linux/ftrace_regs.h),
//! [`arch/x86/include/asm/ptrace.h`](srctree/arch/x86/include/asm/ptrace.h)

use kernel::ffi::c_void;

use crate::bindings;

/// What passes them.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// An fprobe: `struct ftrace_regs`.
    Fprobe,
    /// A kretprobe: `struct pt_regs`.
    Kretprobe,
}

/// The registers at a function's entry, or where it returns.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    raw: *mut c_void,
    kind: Kind,
}

impl Registers {
    /// Those that a probe has passed.
    #[inline(always)]
    pub(super) fn new(raw: *mut c_void, kind: Kind) -> Self {
        Self { raw, kind }
    }

    /// An argument, from 0 to 5.
    ///
    /// # Safety
    ///
    /// They are those of a function's entry, of the given kind.
    #[inline(always)]
    pub(super) unsafe fn argument(self, number: u32) -> usize {
        // SAFETY: As the caller promises.
        unsafe { arch::argument(self, number) }
    }

    /// What the function returns.
    ///
    /// # Safety
    ///
    /// They are those of a function's return, of the given kind.
    #[inline(always)]
    pub(super) unsafe fn value(self) -> usize {
        // SAFETY: As the caller promises.
        unsafe { arch::value(self) }
    }

    /// [`Registers::argument`] on any architecture: a call of C.
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn argument_by_call(self, number: u32) -> usize {
        // SAFETY: As the caller promises.
        unsafe {
            match self.kind {
                Kind::Fprobe => bindings::toa_argument(self.raw, number),
                Kind::Kretprobe => bindings::toa_kretprobe_argument(self.raw, number),
            }
        }
    }
}

/// Without a call for each, where both kinds of probe have the processor's registers.
#[cfg(target_arch = "x86_64")]
mod arch {
    use super::Registers;
    use crate::bindings::pt_regs;

    /// An argument.
    ///
    /// # Safety
    ///
    /// As of [`Registers::argument`].
    #[inline(always)]
    pub(super) unsafe fn argument(registers: Registers, number: u32) -> usize {
        let raw = registers.raw.cast::<pt_regs>();
        // SAFETY: At a function's entry both kinds have its arguments.
        unsafe {
            match number {
                0 => (*raw).di,
                1 => (*raw).si,
                2 => (*raw).dx,
                _ => registers.argument_by_call(number),
            }
        }
    }

    /// What the function returns.
    ///
    /// # Safety
    ///
    /// As of [`Registers::value`].
    #[inline(always)]
    pub(super) unsafe fn value(registers: Registers) -> usize {
        // SAFETY: At a function's return both kinds have what it returns.
        unsafe { (*registers.raw.cast::<pt_regs>()).ax }
    }
}

/// By calls of C.
#[cfg(not(target_arch = "x86_64"))]
mod arch {
    use super::{Kind, Registers};
    use crate::bindings;

    /// An argument.
    ///
    /// # Safety
    ///
    /// As of [`Registers::argument`].
    pub(super) unsafe fn argument(registers: Registers, number: u32) -> usize {
        // SAFETY: As the caller promises.
        unsafe { registers.argument_by_call(number) }
    }

    /// What the function returns.
    ///
    /// # Safety
    ///
    /// As of [`Registers::value`].
    pub(super) unsafe fn value(registers: Registers) -> usize {
        // SAFETY: As the caller promises.
        unsafe {
            match registers.kind {
                Kind::Fprobe => bindings::toa_return_value(registers.raw),
                Kind::Kretprobe => bindings::toa_kretprobe_return_value(registers.raw),
            }
        }
    }
}

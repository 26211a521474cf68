// SPDX-License-Identifier: GPL-2.0

//! What RVS uses of the kernel's `kernel` crate, by the same names, made of C calls only: for kernels
//! that were built without Rust, or whose headers come without the metadata of their crates.
//!
//! Kbuild chooses (`RUST_ABI`). No more is here than is used, and what is here means what it means
//! there, so that whoever uses it need not know which of the two it is.

#![no_std]
#![cfg_attr(rvs_own, feature(coerce_unsized, unsize))]
#![allow(internal_features)]

pub mod alloc;
mod arc;
#[cfg(rvs_own)]
mod bindings;
pub mod error;
#[doc(hidden)]
pub mod init;
mod kbox;
mod kvec;
#[doc(hidden)]
pub mod module;
mod mutex;
pub mod prelude;
#[doc(hidden)]
pub mod print;
pub mod rbtree;
mod rcu_guard;
mod set_once;
pub mod str;
pub mod types;

/// On a host, where the tests run: the C side in Rust.
#[cfg(not(rvs_own))]
#[path = "../../userspace/rvs-own/src/bindings.rs"]
pub mod bindings;

pub use module::{Module, ThisModule};

/// C types, as the kernel has them: `char` without a sign, `long` as wide as a pointer.
#[allow(non_camel_case_types)]
pub mod ffi {
    pub use core::ffi::c_void;

    /// `char`.
    pub type c_char = u8;
    /// `signed char`.
    pub type c_schar = i8;
    /// `unsigned char`.
    pub type c_uchar = u8;
    /// `short`.
    pub type c_short = i16;
    /// `unsigned short`.
    pub type c_ushort = u16;
    /// `int`.
    pub type c_int = i32;
    /// `unsigned int`.
    pub type c_uint = u32;
    /// `long`.
    pub type c_long = isize;
    /// `unsigned long`.
    pub type c_ulong = usize;
    /// `long long`.
    pub type c_longlong = i64;
    /// `unsigned long long`.
    pub type c_ulonglong = u64;
}

/// Locks and what is shared.
pub mod sync {
    pub use crate::arc::Arc;
    pub use crate::mutex::{LockClassKey, Mutex, MutexGuard};
    pub use crate::set_once::SetOnce;

    /// Read-copy-update.
    pub mod rcu {
        pub use crate::rcu_guard::{read_lock, Guard};
    }
}

/// CPUs.
pub mod cpu {
    /// One more than the highest number of a CPU that may be there.
    pub fn nr_cpu_ids() -> u32 {
        // SAFETY: No requirements.
        unsafe { crate::bindings::rvs_own_nr_cpu_ids() }
    }
}

/// Pages of memory.
pub mod page {
    /// Their size is 2 to the power of this.
    pub const PAGE_SHIFT: usize = crate::bindings::PAGE_SHIFT as usize;
}

/// A panic is a bug of the kernel: it is told with a trace, and whoever runs does not come back.
#[cfg(rvs_own)]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print::print(print::EMERG, format_args!("{info}\n"));
    // SAFETY: No requirements; it does not return.
    unsafe { bindings::rvs_own_bug() }
}

// SPDX-License-Identifier: GPL-2.0

//! Bindings to all that RVS uses of the kernel's C API.
//!
//! Made by bindgen from `bindings_helper.h`; what to emit is listed in `bindgen_parameters`. Nothing
//! comes from `kernel::bindings`, which are other ones in each series, and none where the kernel is
//! without Rust. The layout tests stay on: they fail the build when a type is not as C has it.

#![allow(
    clippy::all,
    clippy::as_ptr_cast_mut,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

use kernel::ffi;

pub type __kernel_size_t = usize;
pub type __kernel_ssize_t = isize;
pub type __kernel_ptrdiff_t = isize;

/// This module, as `THIS_MODULE` in C.
pub(crate) const fn this_module() -> *mut module {
    extern "C" {
        // Only its address is of use here.
        static mut __this_module: u8;
    }
    (&raw mut __this_module).cast()
}

include!(concat!(env!("RVS_BINDINGS"), "/bindings_generated.rs"));

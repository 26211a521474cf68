// SPDX-License-Identifier: GPL-2.0

//! Bindings to the parts of the kernel's C API that the `kernel` crate does not bind itself.
//!
//! Made by bindgen from `bindings_helper.h`; what to emit is listed in `bindgen_parameters`. Types
//! that the `kernel` crate has come from there, so that both sides share them. The layout tests
//! stay on: they fail the build when a type embedded by value is one that `kernel::bindings` has
//! only as an opaque, zero-sized stub.

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

pub use kernel::bindings::*;
use kernel::ffi;

include!(concat!(env!("RVS_BINDINGS"), "/bindings_generated.rs"));

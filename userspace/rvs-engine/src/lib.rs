// SPDX-License-Identifier: GPL-2.0

//! The pure part of RVS for the host: the very files that the kernel modules are built from, with
//! their tests.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), no_std)]

#[path = "../../../rust/engine/mod.rs"]
mod engine;

pub use engine::*;

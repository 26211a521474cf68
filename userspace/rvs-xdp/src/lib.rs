// SPDX-License-Identifier: GPL-2.0

//! Programs for XDP that have a device give its frames to `rvs.ko`.
//!
//! A program of nine instructions calls a function of the module and does what that says. It is made
//! here, loaded by bpf(2), and held by a link that is pinned to a file, so that it stays when this
//! process ends and goes with the file.

pub mod btf;
pub mod device;
mod error;
pub mod link;
pub mod program;
mod sys;

pub use error::Error;

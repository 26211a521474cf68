// SPDX-License-Identifier: GPL-2.0

//! Runs the real `rvsadm`: help, exit codes, checks of files, the shape of JSON.
//!
//! Nothing here needs the module; what it does is tested in a guest.

// A test says what it expects by panicking.
#![allow(clippy::expect_used)]

mod check;
mod habits;
mod offline;
mod program;
mod real_server;
mod usage;

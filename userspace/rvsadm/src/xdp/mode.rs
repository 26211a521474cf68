// SPDX-License-Identifier: GPL-2.0

//! Who runs a program for XDP.

use clap::ValueEnum;

/// Who runs programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Native,
    Generic,
}

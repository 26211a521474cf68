// SPDX-License-Identifier: GPL-2.0

//! Most that descriptions may say.

/// Highest weight a dest may have (as `ipvsadm(8)` documents).
pub const WEIGHT_MAX: u32 = 65_535;

/// Longest timeout, in seconds (31 days).
pub const TIMEOUT_MAX: u32 = 2_678_400;

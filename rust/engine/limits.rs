// SPDX-License-Identifier: GPL-2.0

//! Most that descriptions may say.

/// Highest weight a dest may have, as `ip_vs` takes them.
pub const WEIGHT_MAX: u32 = i32::MAX as u32;

/// Longest timeout, in seconds (31 days).
pub const TIMEOUT_MAX: u32 = 2_678_400;

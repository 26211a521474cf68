// SPDX-License-Identifier: GPL-2.0

//! Least connection (`ip_vs_lc.c`): the least `active * 257 + inactive`, of equals the first.
//!
//! `ip_vs` counts in 32 bits, which turn negative from 8.3 million active connections on; here
//! they do not.

use super::scheduler::{overhead, View};
use super::tree::Rule;

/// The scheduler `lc`.
pub(super) struct LeastConnection;

impl Rule for LeastConnection {
    const NAME: &'static str = "lc";
    const WEIGHTED: bool = false;
    const COUNTS: bool = true;

    #[inline(always)]
    fn load(view: &View<'_>, index: u32, _weight: u32) -> Option<u64> {
        Some(overhead(view.live, index))
    }
}

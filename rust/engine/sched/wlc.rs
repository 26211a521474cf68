// SPDX-License-Identifier: GPL-2.0

//! Weighted least connection (`ip_vs_wlc.c`): the least `(active * 257 + inactive) / weight`, of
//! equals the first.

use super::scheduler::{overhead, View};
use super::tree::Rule;

/// The scheduler `wlc`.
pub(super) struct WeightedLeastConnection;

impl Rule for WeightedLeastConnection {
    const NAME: &'static str = "wlc";
    const WEIGHTED: bool = true;
    const COUNTS: bool = true;

    #[inline(always)]
    fn load(view: &View<'_>, index: u32, _weight: u32) -> Option<u64> {
        Some(overhead(view.live, index))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Shortest expected delay (`ip_vs_sed.c`): the least `(active + 1) / weight`, of equals the first.

use super::scheduler::View;
use super::tree::Rule;

/// The scheduler `sed`.
pub(super) struct ShortestExpectedDelay;

impl Rule for ShortestExpectedDelay {
    const NAME: &'static str = "sed";
    const WEIGHTED: bool = true;
    const COUNTS: bool = true;

    #[inline(always)]
    fn load(view: &View<'_>, index: u32, _weight: u32) -> Option<u64> {
        Some(u64::from(view.live.active(index)).wrapping_add(1))
    }
}

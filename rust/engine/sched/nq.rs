// SPDX-License-Identifier: GPL-2.0

//! Never queue (`ip_vs_nq.c`): the first dest without an active connection, else as `sed`.
//!
//! Which is `sed` with a load of 0 for a dest that has none: it comes before all that have some,
//! whatever the weights.

use super::scheduler::View;
use super::tree::Rule;

/// The scheduler `nq`.
pub(super) struct NeverQueue;

impl Rule for NeverQueue {
    const NAME: &'static str = "nq";
    const WEIGHTED: bool = true;
    const COUNTS: bool = true;

    #[inline(always)]
    fn load(view: &View<'_>, index: u32, _weight: u32) -> Option<u64> {
        Some(match view.live.active(index) {
            0 => 0,
            active => u64::from(active).wrapping_add(1),
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Overflow (`ip_vs_ovf.c`): the dest of the highest weight that has no more active connections
//! than its weight, of equals the first; none when all have more.

use super::fo::by_weight;
use super::scheduler::View;
use super::tree::Rule;

/// The scheduler `ovf`.
pub(super) struct Overflow;

impl Rule for Overflow {
    const NAME: &'static str = "ovf";
    const WEIGHTED: bool = false;
    const COUNTS: bool = true;

    #[inline(always)]
    fn load(view: &View<'_>, index: u32, weight: u32) -> Option<u64> {
        (view.live.active(index) <= weight).then_some(by_weight(weight))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Fail over (`ip_vs_fo.c`): the dest of the highest weight that is not overloaded, of equals the
//! first.

use super::scheduler::View;
use super::tree::Rule;

/// The scheduler `fo`.
pub(super) struct FailOver;

impl Rule for FailOver {
    const NAME: &'static str = "fo";
    const WEIGHTED: bool = false;
    const COUNTS: bool = false;

    #[inline(always)]
    fn load(_view: &View<'_>, _index: u32, weight: u32) -> Option<u64> {
        Some(by_weight(weight))
    }
}

/// A load that is the less the higher the weight.
#[inline(always)]
pub(super) const fn by_weight(weight: u32) -> u64 {
    u32::MAX.wrapping_sub(weight) as u64
}

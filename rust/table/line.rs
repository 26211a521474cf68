// SPDX-License-Identifier: GPL-2.0

//! Keeping what is written often away from what every packet reads.

use core::ops::Deref;

/// A value on cache lines of its own: a CPU that writes to it takes nothing else away from the
/// others.
#[repr(C, align(64))]
pub(super) struct Line<T>(pub(super) T);

impl<T> Deref for Line<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

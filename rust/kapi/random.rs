// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use crate::bindings;

/// A random word from the kernel's generator.
pub(crate) fn u64() -> u64 {
    // SAFETY: No requirements. It comes from a batch that each CPU has.
    unsafe { bindings::get_random_u64() }
}

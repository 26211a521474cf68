// SPDX-License-Identifier: GPL-2.0

//! How much memory there is.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::bindings;

/// Pages in a mebibyte.
pub(crate) const PAGES_A_MIB: u32 = 1 << (20 - kernel::page::PAGE_SHIFT);

/// Bytes that are free or hold buffers (`si_meminfo`).
pub(crate) fn available() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::rvs_available_memory() }
}

// SPDX-License-Identifier: GPL-2.0

//! Random numbers for keys.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use crate::bindings;

/// A random word from the kernel's generator.
pub(crate) fn u64() -> u64 {
    let mut word = [0u8; 8];
    // SAFETY: The buffer is valid for its length.
    unsafe { bindings::get_random_bytes(word.as_mut_ptr().cast(), word.len()) };
    u64::from_ne_bytes(word)
}

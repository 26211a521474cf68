// SPDX-License-Identifier: GPL-2.0

//! The cheap test that turns strangers away.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bits of a filter: 512 bytes, so that even with 200 addresses under 5 % of strangers go on to the
/// look-up of connections (where they are turned away as well).
const BITS: u32 = 4096;
const WORDS: usize = (BITS / 64) as usize;

/// A set of addresses that may say yes to one that is not in it, never no to one that is.
pub(crate) struct AddressFilter {
    words: [AtomicU64; WORDS],
    /// Spares packets the look where there is nothing to find.
    is_empty: AtomicBool,
}

impl AddressFilter {
    /// The empty set.
    pub(super) fn new() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; WORDS],
            is_empty: AtomicBool::new(true),
        }
    }

    /// Whether `address`, as it stands in the header read in native order, may be in the set.
    #[inline(always)]
    pub(crate) fn may_contain(&self, address: u32) -> bool {
        if self.is_empty.load(Ordering::Relaxed) {
            return false;
        }
        let (word, bit) = place(address);
        match self.words.get(word) {
            Some(word) => word.load(Ordering::Relaxed) & bit != 0,
            None => false,
        }
    }

    /// Makes the set hold exactly `addresses`. Those in the old and the new set stay in it at every
    /// moment in between.
    pub(super) fn set(&self, addresses: impl Iterator<Item = u32>) {
        let mut words = [0u64; WORDS];
        for address in addresses {
            let (word, bit) = place(address);
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        for (word, new) in self.words.iter().zip(words) {
            word.store(new, Ordering::Relaxed);
        }
        let is_empty = words.iter().all(|word| *word == 0);
        self.is_empty.store(is_empty, Ordering::Relaxed);
    }
}

/// Word and bit of an address: the top 12 bits of a multiplication by 2^32 over the golden ratio.
#[inline(always)]
const fn place(address: u32) -> (usize, u64) {
    let hash = address.wrapping_mul(0x9e37_79b1) >> 20;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

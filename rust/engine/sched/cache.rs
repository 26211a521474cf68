// SPDX-License-Identifier: GPL-2.0

//! What `lblc` and `lblcr` remember of destination addresses: a bounded table in words of a
//! snapshot's state, shared by all CPUs without locks.
//!
//! An address has its entry in one of two buckets of [`WAYS`] entries. When both are full, the
//! entry not used for longest gives way if that was at least [`IDLE`] ago; else the new address is
//! not remembered. `ip_vs` keeps chains, looks every minute whether there are more entries than
//! its limit, and removes those unused for 6 minutes.
//!
//! An entry is [`Entry::KEY`], [`Entry::USED`] and words of the scheduler's own. An entry that is
//! given to another address has no key meanwhile, so that the old address's readers do not take
//! the new address's words for its own: they look at the key once more after reading. Two CPUs that
//! bring in the same address at once may make two entries of it, of which one is never found again.

use super::scheduler::hash_32;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Entries of a bucket.
const WAYS: usize = 8;

/// Seconds without use after which an entry may give way to another address
/// (`ENTRY_TIMEOUT` of `ip_vs_lblc.c`).
const IDLE: u32 = 6 * 60;

/// No address.
const EMPTY: u64 = 0;

/// Being given to another address.
const TAKEN: u64 = u64::MAX;

/// The table; `W` words an entry.
#[derive(Clone, Copy)]
pub(super) struct Cache<'a, const W: usize> {
    words: &'a [AtomicU64],
    ways: usize,
    buckets: usize,
}

/// An address's entry.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    words: &'a [AtomicU64],
}

impl<'a, const W: usize> Cache<'a, W> {
    /// Buckets and entries in each, for that many addresses. Half as many again as the addresses,
    /// as `ip_vs` has at most, so that hardly any pair of buckets is full before.
    fn shape(addresses: u32) -> (usize, usize) {
        let addresses = (addresses as usize).max(1);
        if addresses <= WAYS {
            return (1, addresses);
        }
        let entries = addresses.saturating_add(addresses / 2);
        (entries.div_ceil(WAYS), WAYS)
    }

    /// Words it takes to remember that many addresses.
    pub(super) fn words(addresses: u32) -> usize {
        let (buckets, ways) = Self::shape(addresses);
        buckets.saturating_mul(ways).saturating_mul(W)
    }

    /// The cache for that many addresses in `words`.
    pub(super) fn new(words: &'a [AtomicU64], addresses: u32) -> Self {
        let (buckets, ways) = Self::shape(addresses);
        Self {
            words,
            ways,
            buckets,
        }
    }

    /// The entries that may be those of an address.
    fn candidates(self, key: u64) -> impl Iterator<Item = Entry<'a>> {
        let hash = hash_32(key as u32, 32);
        let other = hash_32(hash.rotate_left(16), 32);
        let bucket = move |hash: u32| {
            let at = (u64::from(hash).wrapping_mul(self.buckets as u64) >> 32) as usize;
            let words = self.ways.wrapping_mul(W);
            let start = at.wrapping_mul(words);
            let bucket = self.words.get(start..start.wrapping_add(words));
            bucket.unwrap_or(&[]).chunks_exact(W)
        };
        let buckets = [hash, other].into_iter().take(self.buckets);
        buckets.flat_map(bucket).map(|words| Entry { words })
    }

    /// The entry of an address.
    pub(super) fn find(self, key: u64) -> Option<Entry<'a>> {
        self.candidates(key).find(|entry| entry.is_of(key))
    }

    /// Gives an entry, `set` by the caller, to an address that has none; not when there is none to
    /// give.
    pub(super) fn insert(self, key: u64, now: u32, set: impl FnOnce(Entry<'a>)) {
        let age = |entry: &Entry<'_>| match entry.word(Entry::KEY) {
            EMPTY => u32::MAX,
            TAKEN => 0,
            _ => entry.unused(now),
        };
        let oldest = self.candidates(key).map(|entry| (age(&entry), entry));
        let Some((age, entry)) = oldest.max_by_key(|&(age, _)| age) else {
            return;
        };
        if age < IDLE {
            return;
        }
        let Some(word) = entry.words.get(Entry::KEY) else {
            return;
        };
        let old = word.load(Relaxed);
        if old == TAKEN || word.compare_exchange(old, TAKEN, AcqRel, Relaxed).is_err() {
            // Another CPU was first. This flow's dest is not remembered, the next one's will be.
            return;
        }
        entry.set_used(now);
        set(entry);
        word.store(key, Release);
    }

    /// All entries, with their keys.
    pub(super) fn entries(self) -> impl Iterator<Item = (u64, Entry<'a>)> {
        let entries = self.words.chunks_exact(W).map(|words| Entry { words });
        entries
            .map(|entry| (entry.word(Entry::KEY), entry))
            .filter(|&(key, _)| key != EMPTY && key != TAKEN)
    }
}

impl<'a> Entry<'a> {
    /// Where the address is.
    const KEY: usize = 0;

    /// Where the second is in which it was last used.
    const USED: usize = 1;

    /// The scheduler's own words.
    #[inline]
    pub(super) fn own(self) -> &'a [AtomicU64] {
        self.words.get(2..).unwrap_or(&[])
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).map_or(EMPTY, |word| word.load(Acquire))
    }

    /// Whether it is this address's, still.
    #[inline]
    pub(super) fn is_of(&self, key: u64) -> bool {
        self.word(Self::KEY) == key
    }

    /// Seconds since it was last used.
    #[inline]
    pub(super) fn unused(&self, now: u32) -> u32 {
        let silent = now.wrapping_sub(self.used());
        // Another CPU may be ahead by a second.
        if silent > u32::MAX / 2 {
            0
        } else {
            silent
        }
    }

    /// The second in which it was last used.
    #[inline]
    pub(super) fn used(&self) -> u32 {
        self.word(Self::USED) as u32
    }

    /// Notes that it is used.
    #[inline]
    pub(super) fn set_used(&self, now: u32) {
        if let Some(word) = self.words.get(Self::USED) {
            if word.load(Relaxed) != u64::from(now) {
                word.store(u64::from(now), Relaxed);
            }
        }
    }
}

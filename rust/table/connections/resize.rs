// SPDX-License-Identifier: GPL-2.0

//! The table grows and shrinks with the number of connections.

use core::{ptr::NonNull, sync::atomic::Ordering};

use kernel::prelude::*;

use super::{
    buckets::Buckets,
    table::{breathe, Connections, MIN_BUCKETS},
};
use crate::kapi::{
    delay,
    rcu::{self, Rcu},
};

/// Buckets that a table has at most.
const MAX_BUCKETS: u32 = 1 << 26;

impl Connections {
    /// Whether there are more connections than the table is made for.
    #[inline]
    pub(in crate::table) fn is_crowded(&self, rcu: Rcu<'_>) -> bool {
        let len = self.current(rcu).len();
        self.nodes() > len && len < MAX_BUCKETS
    }

    /// Makes the table fit the number of connections. May sleep. Readers and writers go on.
    ///
    /// Only one caller at a time. On lack of memory the table stays as it is.
    pub(in crate::table) fn resize(&self) {
        loop {
            let guard = kernel::sync::rcu::read_lock();
            let len = self.current(Rcu::of(&guard)).len();
            drop(guard);
            let wanted = wanted_buckets(self.nodes(), len);
            if wanted == len || self.resize_to(wanted).is_err() {
                return;
            }
        }
    }

    fn resize_to(&self, len: u32) -> Result {
        let new = NonNull::new(KBox::into_raw(Buckets::new(len)?)).ok_or(ENOMEM)?;
        let old = self.current.load(Ordering::Acquire);
        // SAFETY: Only the one caller of `resize` replaces and frees tables.
        let (old_table, new_table) = unsafe { (&*old, new.as_ref()) };
        old_table.set_future(new);
        delay::here();
        let mut batch = 0u32;
        for bucket in 0..old_table.len() {
            let guard = self.locks.lock(bucket);
            old_table.move_bucket(bucket, new_table);
            drop(guard);
            breathe(&mut batch);
        }
        self.current.store(new.as_ptr(), Ordering::Release);
        delay::here();
        self.resizes.fetch_add(1, Ordering::Relaxed);
        rcu::synchronize();
        // SAFETY: No reader has the old table any more, and all its chains are empty.
        drop(unsafe { KBox::from_raw(old) });
        Ok(())
    }
}

/// Buckets that a table with `len` of them should have for `count` keys: at least one each,
/// and less only when three quarters are unused, so that it does not go back and forth.
fn wanted_buckets(count: u32, len: u32) -> u32 {
    let fitting = count
        .clamp(MIN_BUCKETS, MAX_BUCKETS)
        .checked_next_power_of_two()
        .unwrap_or(MAX_BUCKETS);
    if fitting > len || count <= len / 4 {
        fitting
    } else {
        len
    }
}

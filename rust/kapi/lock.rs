// SPDX-License-Identifier: GPL-2.0

//! Spinlocks that keep softirqs out, an array of them striped over a hash.
//!
//! The kernel crate's `SpinLock` leaves softirqs on; the connection table is written by hooks (in
//! softirq, or in process context for local clients) and by a worker.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use kernel::{prelude::*, types::Opaque};

use crate::bindings;

/// How many locks a [`StripedLock`] has; a power of two.
pub(crate) const STRIPES: u32 = 256;

/// [`STRIPES`] locks, of which a hash chooses one.
///
/// # Invariants
///
/// `locks` holds `STRIPES` initialised locks and is never resized, so they never move.
pub(crate) struct StripedLock {
    locks: KVec<Opaque<bindings::spinlock_t>>,
}

// SAFETY: A spinlock may be used from any thread.
unsafe impl Send for StripedLock {}
// SAFETY: As above.
unsafe impl Sync for StripedLock {}

impl StripedLock {
    /// Allocates and initialises the locks.
    pub(crate) fn new() -> Result<Self> {
        let mut locks = KVec::with_capacity(STRIPES as usize, GFP_KERNEL)?;
        for _ in 0..STRIPES {
            locks.push(Opaque::uninit(), GFP_KERNEL)?;
        }
        for lock in &locks {
            // SAFETY: The lock is at its final address: the vector is full and never grows.
            unsafe { bindings::rvs_spin_lock_init(lock.get()) };
        }
        // INVARIANT: All are initialised and `locks` is private.
        Ok(Self { locks })
    }

    /// Takes the lock of `hash` and turns softirqs off until the guard is dropped.
    ///
    /// Only one stripe may be held at a time.
    pub(crate) fn lock(&self, hash: u32) -> Option<StripeGuard<'_>> {
        let lock = self.locks.get((hash & (STRIPES - 1)) as usize)?;
        // SAFETY: By the invariant it is initialised.
        unsafe { bindings::rvs_spin_lock_bh(lock.get()) };
        Some(StripeGuard { lock })
    }
}

/// Holds one stripe.
pub(crate) struct StripeGuard<'a> {
    lock: &'a Opaque<bindings::spinlock_t>,
}

impl Drop for StripeGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The guard was made by taking this lock.
        unsafe { bindings::rvs_spin_unlock_bh(self.lock.get()) };
    }
}

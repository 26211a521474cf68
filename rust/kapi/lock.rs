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
        let mut locks = KVec::with_capacity(STRIPES as usize, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..STRIPES {
            locks.push(Opaque::uninit(), GFP_KERNEL_ACCOUNT)?;
        }
        for lock in &locks {
            // SAFETY: The lock is at its final address: the vector is full and never grows.
            unsafe { bindings::rvs_spin_lock_init(lock.get()) };
        }
        // INVARIANT: All are initialised and `locks` is private.
        Ok(Self { locks })
    }

    /// Number of the stripe of `hash`, and its lock.
    fn stripe(&self, hash: u32) -> (u32, &Opaque<bindings::spinlock_t>) {
        let stripe = hash & (STRIPES - 1);
        // SAFETY: By the invariant there are `STRIPES` of them.
        (stripe, unsafe { self.locks.get_unchecked(stripe as usize) })
    }

    /// Takes the lock of `hash` and turns softirqs off until the guard is dropped.
    ///
    /// Who holds a stripe takes no other: two are to be had by [`StripedLock::lock_both`] only.
    pub(crate) fn lock(&self, hash: u32) -> StripeGuard<'_> {
        let (_, lock) = self.stripe(hash);
        // SAFETY: By the invariant it is initialised.
        unsafe { bindings::rvs_spin_lock_bh(lock.get()) };
        StripeGuard { lock }
    }

    /// Takes the locks of two hashes, whose stripes may be the same. All take them in the same
    /// order, so that nobody waits for the other's.
    pub(crate) fn lock_both(&self, one: u32, other: u32) -> PairGuard<'_> {
        let ((low, _), (high, lock)) = match (self.stripe(one), self.stripe(other)) {
            (one, other) if one.0 <= other.0 => (one, other),
            (one, other) => (other, one),
        };
        let first = self.lock(low);
        let second = (low != high).then(|| {
            // SAFETY: By the invariant it is initialised, and the first keeps softirqs off.
            unsafe { bindings::rvs_spin_lock_second(lock.get()) };
            SecondGuard { lock }
        });
        PairGuard {
            _second: second,
            _first: first,
        }
    }
}

/// Holds two stripes, or one that is both.
pub(crate) struct PairGuard<'a> {
    // Let go of ahead of the first, which turns softirqs on.
    _second: Option<SecondGuard<'a>>,
    _first: StripeGuard<'a>,
}

/// Holds a second stripe.
struct SecondGuard<'a> {
    lock: &'a Opaque<bindings::spinlock_t>,
}

impl Drop for SecondGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The guard was made by taking this lock.
        unsafe { bindings::rvs_spin_unlock_second(self.lock.get()) };
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

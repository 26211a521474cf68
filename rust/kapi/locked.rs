// SPDX-License-Identifier: GPL-2.0

//! Values under a spinlock each.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use core::cell::UnsafeCell;

use kernel::{prelude::*, types::Opaque};

use crate::bindings;

/// Values that are changed under a spinlock each, with softirqs off.
///
/// # Invariants
///
/// The locks are initialised and never move. A value is only used while its lock is held.
pub(crate) struct LockedArray<T> {
    cells: KVec<Locked<T>>,
}

struct Locked<T> {
    lock: Opaque<bindings::spinlock_t>,
    value: UnsafeCell<T>,
}

// SAFETY: Whoever has the lock has the value alone, on whatever CPU.
unsafe impl<T: Send> Send for LockedArray<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for LockedArray<T> {}

impl<T> LockedArray<T> {
    /// `len` values that `make` makes.
    pub(crate) fn new(len: usize, make: impl Fn() -> T) -> Result<Self> {
        let mut cells = KVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..len {
            let value = UnsafeCell::new(make());
            let lock = Opaque::uninit();
            cells.push(Locked { lock, value }, GFP_KERNEL_ACCOUNT)?;
        }
        for cell in &cells {
            // SAFETY: The lock is at its final address: the vector is full and never grows.
            unsafe { bindings::rvs_spin_lock_init(cell.lock.get()) };
        }
        // INVARIANT: All are initialised and `cells` is private.
        Ok(Self { cells })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// What `f` makes of the value at `index`; none where there is none. `f` neither sleeps nor
    /// asks for another value.
    #[inline(always)] // Small, where what it does is done in the middle of a packet's way.
    pub(crate) fn with<R>(&self, index: usize, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let cell = self.cells.get(index)?;
        // SAFETY: By the invariant it is initialised.
        let turned_off = unsafe { bindings::rvs_spin_lock_soft(cell.lock.get()) };
        let guard = Guard {
            lock: &cell.lock,
            turned_off,
        };
        // SAFETY: The lock is held until `guard` is dropped, so nobody else has the value.
        let result = f(unsafe { &mut *cell.value.get() });
        drop(guard);
        Some(result)
    }
}

/// Holds one lock.
struct Guard<'a> {
    lock: &'a Opaque<bindings::spinlock_t>,
    /// Whether softirqs are to be on again.
    turned_off: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: The guard was made when this lock had been taken.
        unsafe { bindings::rvs_spin_unlock_soft(self.lock.get(), self.turned_off) };
    }
}

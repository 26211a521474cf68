// SPDX-License-Identifier: GPL-2.0

//! A place that is filled once.

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    sync::atomic::{AtomicU8, Ordering},
};

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;

/// A place that is filled once.
///
/// # Invariants
///
/// While `state` is `FULL` there is a valid `T`; while `FILLING`, whoever set that has the place alone.
pub struct SetOnce<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: Whoever fills it, the value is shared from then on, and dropped with it.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}
// SAFETY: It owns the value, as a variable would.
unsafe impl<T: Send> Send for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// An empty one.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Fills it. False when somebody else did, or is about to.
    pub fn populate(&self, value: T) -> bool {
        let begun =
            self.state
                .compare_exchange(EMPTY, FILLING, Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_err() {
            return false;
        }
        // SAFETY: By the invariants the place is ours.
        unsafe { (*self.value.get()).write(value) };
        // INVARIANT: Just written.
        self.state.store(FULL, Ordering::Release);
        true
    }

    /// What it was filled with.
    #[inline]
    pub fn as_ref(&self) -> Option<&T> {
        // SAFETY: By the invariants.
        (self.state.load(Ordering::Acquire) == FULL)
            .then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// A copy of that.
    #[inline]
    pub fn copy(&self) -> Option<T>
    where
        T: Copy,
    {
        self.as_ref().copied()
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: By the invariants.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

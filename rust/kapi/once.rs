// SPDX-License-Identifier: GPL-2.0

//! A place that is filled once, and known where in it the value is: the kernel crate's `SetOnce` does not say.

use core::{
    cell::UnsafeCell,
    mem::{self, offset_of, MaybeUninit},
    sync::atomic::{AtomicU8, Ordering},
};

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;

/// The place.
///
/// # Invariants
///
/// While `state` is `FULL` there is a value, which does not change any more; while it is `FILLING`,
/// whoever set that has the place alone.
#[repr(C)]
pub(crate) struct Once<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    state: AtomicU8,
}

// SAFETY: Whoever fills the place has it alone, and what is in it is shared from then on.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Where in it the value is, in bytes.
    pub(crate) const OFFSET: usize = offset_of!(Self, value);

    const NEEDS_NO_DROP: () = assert!(!mem::needs_drop::<T>());

    /// An empty one.
    pub(crate) const fn new() -> Self {
        let () = Self::NEEDS_NO_DROP;
        Self {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            state: AtomicU8::new(EMPTY),
        }
    }

    /// What it was filled with.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        let is_full = self.state.load(Ordering::Acquire) == FULL;
        // SAFETY: By the invariant.
        is_full.then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Fills it; none where somebody else was first.
    pub(crate) fn fill(&self, value: T) -> Option<&T> {
        let order = Ordering::Relaxed;
        let begun = self.state.compare_exchange(EMPTY, FILLING, order, order);
        begun.ok()?;
        // SAFETY: By the invariant the place is ours.
        unsafe { (*self.value.get()).write(value) };
        // INVARIANT: Just written.
        self.state.store(FULL, Ordering::Release);
        self.get()
    }
}

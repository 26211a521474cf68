// SPDX-License-Identifier: GPL-2.0

//! A value that several own.

use core::{
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    ptr::{self, NonNull},
    sync::atomic::{fence, AtomicI32, Ordering},
};

#[cfg(rvs_own)]
use core::{marker::Unsize, ops::CoerceUnsized};

use crate::{
    alloc::{AllocError, Allocator, Flags, KBox, Kmalloc},
    bindings,
    error::{Error, Result},
    init::PinInit,
};

/// Far from both 0 and the end: a count that went wrong stays wrong, and the memory is kept, as of a
/// `refcount_t`.
const SATURATED: i32 = i32::MIN / 2;

#[repr(C)]
struct Shared<T: ?Sized> {
    count: AtomicI32,
    value: T,
}

/// A reference to a value that several own.
///
/// # Invariants
///
/// `shared` came from a [`KBox`] and counts this reference.
pub struct Arc<T: ?Sized> {
    shared: NonNull<Shared<T>>,
    _owned: PhantomData<Shared<T>>,
}

// SAFETY: Its owners share the value, and the last of them, on whatever thread, drops it.
unsafe impl<T: ?Sized + Send + Sync> Send for Arc<T> {}
// SAFETY: As above.
unsafe impl<T: ?Sized + Send + Sync> Sync for Arc<T> {}

// To one of a trait that the value has.
#[cfg(rvs_own)]
impl<T: ?Sized + Unsize<U>, U: ?Sized> CoerceUnsized<Arc<U>> for Arc<T> {}

impl<T> Arc<T> {
    /// Moves a value to where it is shared.
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let count = AtomicI32::new(1);
        let shared = KBox::new(Shared { count, value }, flags)?;
        Ok(Self::of(KBox::into_raw(shared)))
    }

    /// Makes a value where it is shared. It stays there, as of any of this kind.
    pub fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        let count = AtomicI32::new(1);
        let init = crate::pin_init!(Shared { count, value <- init }? E);
        let shared = KBox::pin_init(init, flags)?;
        // SAFETY: It is not moved from there.
        let shared = unsafe { Pin::into_inner_unchecked(shared) };
        Ok(Self::of(KBox::into_raw(shared)))
    }
}

impl<T: ?Sized> Arc<T> {
    fn of(shared: *mut Shared<T>) -> Self {
        // INVARIANT: Callers pass what a box gave, counted once.
        Self {
            // SAFETY: So it is not null.
            shared: unsafe { NonNull::new_unchecked(shared) },
            _owned: PhantomData,
        }
    }

    /// Whether both are of the same value.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        ptr::addr_eq(this.shared.as_ptr(), other.shared.as_ptr())
    }

    fn count(&self) -> &AtomicI32 {
        // SAFETY: By the invariants it is there.
        unsafe { &self.shared.as_ref().count }
    }

    #[cold]
    fn saturate(&self) {
        self.count().store(SATURATED, Ordering::Relaxed);
        // SAFETY: No requirements.
        unsafe { bindings::rvs_own_refcount_warn() };
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        let before = self.count().fetch_add(1, Ordering::Relaxed);
        if before <= 0 || before == i32::MAX {
            self.saturate();
        }
        // INVARIANT: Just counted.
        Self::of(self.shared.as_ptr())
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        match self.count().fetch_sub(1, Ordering::Release) {
            1 => {
                // What the others did comes before.
                fence(Ordering::Acquire);
                // SAFETY: It was the last reference, and the memory is that of a box.
                unsafe {
                    self.shared.drop_in_place();
                    Kmalloc::free(self.shared.cast());
                }
            }
            2.. => {}
            _ => self.saturate(),
        }
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the invariants it is there.
        unsafe { &self.shared.as_ref().value }
    }
}

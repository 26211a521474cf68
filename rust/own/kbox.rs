// SPDX-License-Identifier: GPL-2.0

//! A value in memory of its own.

use core::{
    alloc::Layout,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    pin::Pin,
    ptr::NonNull,
};

use crate::{
    alloc::{AllocError, Allocator, Flags, Kmalloc},
    error::{Error, Result},
    init::PinInit,
};

/// A value in memory of its own, from `A`.
///
/// # Invariants
///
/// `value` points to a valid `T` that is ours, in memory of `A`, or anywhere when it has no size.
pub struct Box<T, A: Allocator> {
    value: NonNull<T>,
    _owned: PhantomData<(T, A)>,
}

/// One of `kmalloc`.
pub type KBox<T> = Box<T, Kmalloc>;

// SAFETY: It owns the value, as a variable would.
unsafe impl<T: Send, A: Allocator> Send for Box<T, A> {}
// SAFETY: As above.
unsafe impl<T: Sync, A: Allocator> Sync for Box<T, A> {}

/// Memory for a `T`.
fn room<T, A: Allocator>(flags: Flags) -> Result<NonNull<T>, AllocError> {
    if size_of::<T>() == 0 {
        return Ok(NonNull::dangling());
    }
    Ok(A::alloc(Layout::new::<T>(), flags)?.cast())
}

impl<T, A: Allocator> Box<T, A> {
    /// Moves a value there.
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        let at = room::<T, A>(flags)?;
        // SAFETY: Fresh memory for it.
        unsafe { at.write(value) };
        // INVARIANT: Just written.
        Ok(Self {
            value: at,
            _owned: PhantomData,
        })
    }

    /// Moves a value there, where it stays.
    pub fn pin(value: T, flags: Flags) -> Result<Pin<Self>, AllocError> {
        Ok(Self::new(value, flags)?.into())
    }

    /// Makes a value there, where it stays.
    pub fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Pin<Self>>
    where
        Error: From<E>,
    {
        let at = room::<T, A>(flags)?;
        // SAFETY: Fresh memory for it, which it does not leave.
        if let Err(error) = unsafe { init.make(at.as_ptr()) } {
            if size_of::<T>() != 0 {
                // SAFETY: Just made, and there is nothing in it.
                unsafe { A::free(at.cast()) };
            }
            return Err(error.into());
        }
        // INVARIANT: Just made.
        let this = Self {
            value: at,
            _owned: PhantomData,
        };
        Ok(this.into())
    }

    /// The value, whoever has the pointer now owning it.
    pub fn into_raw(this: Self) -> *mut T {
        ManuallyDrop::new(this).value.as_ptr()
    }

    /// The opposite.
    ///
    /// # Safety
    ///
    /// `raw` came from [`Self::into_raw`] and nobody else uses it.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // INVARIANT: The caller's promise.
        Self {
            // SAFETY: So it is not null.
            value: unsafe { NonNull::new_unchecked(raw) },
            _owned: PhantomData,
        }
    }
}

impl<T, A: Allocator> Drop for Box<T, A> {
    fn drop(&mut self) {
        // SAFETY: By the invariants it is ours.
        unsafe {
            self.value.drop_in_place();
            if size_of::<T>() != 0 {
                A::free(self.value.cast());
            }
        }
    }
}

impl<T, A: Allocator> From<Box<T, A>> for Pin<Box<T, A>> {
    fn from(this: Box<T, A>) -> Self {
        // SAFETY: The value stays where it is however the box moves.
        unsafe { Pin::new_unchecked(this) }
    }
}

impl<T, A: Allocator> Deref for Box<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the invariants.
        unsafe { self.value.as_ref() }
    }
}

impl<T, A: Allocator> DerefMut for Box<T, A> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the invariants.
        unsafe { self.value.as_mut() }
    }
}

impl<T: fmt::Debug, A: Allocator> fmt::Debug for Box<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

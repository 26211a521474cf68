// SPDX-License-Identifier: GPL-2.0

//! Values that are C's.

use core::{cell::UnsafeCell, marker::PhantomPinned, mem::MaybeUninit};

/// A value that C may use at any time, and that need not be valid for Rust.
#[repr(transparent)]
pub struct Opaque<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    _pin: PhantomPinned,
}

impl<T> Opaque<T> {
    /// One with that value.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            _pin: PhantomPinned,
        }
    }

    /// One that nothing is known of.
    pub const fn uninit() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::uninit()),
            _pin: PhantomPinned,
        }
    }

    /// One of zeroes.
    pub const fn zeroed() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::zeroed()),
            _pin: PhantomPinned,
        }
    }

    /// Where it is.
    #[inline(always)]
    pub const fn get(&self) -> *mut T {
        UnsafeCell::get(&self.value).cast()
    }

    /// Where the value of one is that is not made yet.
    #[inline(always)]
    pub(crate) const fn raw_get(this: *const Self) -> *mut T {
        this.cast_mut().cast()
    }
}

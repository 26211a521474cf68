// SPDX-License-Identifier: GPL-2.0

//! Values that are made where they are to be, since they are large or may not move.
//!
//! An error drops what was made of it, and leaves the memory to whoever has it.

use core::{convert::Infallible, marker::PhantomData, ptr};

/// How to make a `T` where it stays.
///
/// # Safety
///
/// After `make` there is a valid `T`, or on an error nothing.
pub unsafe trait PinInit<T, E = Infallible> {
    /// Makes it.
    ///
    /// # Safety
    ///
    /// `at` is memory for a `T` that nobody else uses, and where it stays.
    unsafe fn make(self, at: *mut T) -> Result<(), E>;
}

/// How to make a `T` that may be moved.
///
/// # Safety
///
/// As of [`PinInit`], and `at` need not be where it stays.
pub unsafe trait Init<T, E = Infallible>: PinInit<T, E> {}

// SAFETY: It is moved there.
unsafe impl<T, E> PinInit<T, E> for T {
    unsafe fn make(self, at: *mut T) -> Result<(), E> {
        // SAFETY: The caller's promise.
        unsafe { at.write(self) };
        Ok(())
    }
}

// SAFETY: As above.
unsafe impl<T, E> Init<T, E> for T {}

/// What [`making`] gives.
struct Making<T, E, F> {
    how: F,
    _made: PhantomData<fn() -> (T, E)>,
}

// SAFETY: Whoever called `making` promised it.
unsafe impl<T, E, F: FnOnce(*mut T) -> Result<(), E>> PinInit<T, E> for Making<T, E, F> {
    unsafe fn make(self, at: *mut T) -> Result<(), E> {
        (self.how)(at)
    }
}

// SAFETY: As above: fields that may not move are made by `<-`, which is up to the kernel's own crate to
// check, and RVS is built with that one too.
unsafe impl<T, E, F: FnOnce(*mut T) -> Result<(), E>> Init<T, E> for Making<T, E, F> {}

/// Makes by a closure.
///
/// # Safety
///
/// It leaves a valid `T` where it is told to, or on an error nothing.
pub unsafe fn making<T, E, F: FnOnce(*mut T) -> Result<(), E>>(how: F) -> impl Init<T, E> {
    Making {
        how,
        _made: PhantomData,
    }
}

/// A field that was made, until all are: dropped on an error.
pub struct Made<T>(*mut T);

impl<T> Made<T> {
    /// # Safety
    ///
    /// There is a valid `T`, which nobody else drops before this does.
    pub unsafe fn new(at: *mut T) -> Self {
        Self(at)
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        // SAFETY: As `new` was promised.
        unsafe { ptr::drop_in_place(self.0) };
    }
}

/// The pointer, of the type that the closure, which nobody calls, would give.
#[inline(always)]
pub fn typed<T>(at: *mut T, _whole: impl FnOnce() -> T) -> *mut T {
    at
}

/// Of whatever type is wanted, in code that never runs.
pub fn never<T>() -> T {
    loop {
        core::hint::spin_loop();
    }
}

/// Calls [`PinInit::make`].
///
/// # Safety
///
/// As of that.
#[inline(always)]
pub unsafe fn make<T, E>(at: *mut T, init: impl PinInit<T, E>) -> Result<(), E> {
    // SAFETY: The caller's promise.
    unsafe { init.make(at) }
}

/// Moves a value there.
///
/// # Safety
///
/// `at` is memory for it.
#[inline(always)]
pub unsafe fn put<T>(at: *mut T, value: T) {
    // SAFETY: The caller's promise.
    unsafe { ptr::write(at, value) };
}

/// Makes a struct field by field, where it stays: `name: value`, `name`, `name <- how to make it`. With
/// `? Error` behind it a field may fail.
#[macro_export]
macro_rules! pin_init {
    ($type:ident { $($fields:tt)* }) => {
        $crate::pin_init!($type { $($fields)* }? ::core::convert::Infallible)
    };
    ($type:ident { $($fields:tt)* }? $error:ty) => {
        // SAFETY: Each field is made, as the literal of all of them says, or those that were are dropped.
        unsafe {
            $crate::init::making::<_, $error, _>(move |at| {
                let at = $crate::__typed!(at, $type, {}, $($fields)*);
                $crate::__make!(at, $($fields)*);
                Ok(())
            })
        }
    };
}

/// The same for what may be moved.
#[macro_export]
macro_rules! init {
    ($($all:tt)*) => { $crate::pin_init!($($all)*) };
}

/// For [`pin_init!`]: the pointer, its type found by a literal of all fields, none twice.
#[doc(hidden)]
#[macro_export]
macro_rules! __typed {
    ($at:ident, $type:ident, {$($done:ident)*} $(,)?) => {
        $crate::init::typed($at, || $type { $($done: $crate::init::never(),)* })
    };
    ($at:ident, $type:ident, {$($done:ident)*}, $name:ident <- $how:expr $(, $($rest:tt)*)?) => {
        $crate::__typed!($at, $type, {$($done)* $name}, $($($rest)*)?)
    };
    ($at:ident, $type:ident, {$($done:ident)*}, $name:ident : $value:expr $(, $($rest:tt)*)?) => {
        $crate::__typed!($at, $type, {$($done)* $name}, $($($rest)*)?)
    };
    ($at:ident, $type:ident, {$($done:ident)*}, $name:ident $(, $($rest:tt)*)?) => {
        $crate::__typed!($at, $type, {$($done)* $name}, $($($rest)*)?)
    };
}

/// For [`pin_init!`]: makes the fields.
#[doc(hidden)]
#[macro_export]
macro_rules! __make {
    ($at:ident $(,)?) => {};
    ($at:ident, $name:ident <- $how:expr $(, $($rest:tt)*)?) => {
        let how = $how;
        $crate::init::make(&raw mut (*$at).$name, how)?;
        let made = $crate::init::Made::new(&raw mut (*$at).$name);
        $crate::__make!($at, $($($rest)*)?);
        ::core::mem::forget(made);
    };
    ($at:ident, $name:ident : $value:expr $(, $($rest:tt)*)?) => {
        let value = $value;
        $crate::init::put(&raw mut (*$at).$name, value);
        let made = $crate::init::Made::new(&raw mut (*$at).$name);
        $crate::__make!($at, $($($rest)*)?);
        ::core::mem::forget(made);
    };
    ($at:ident, $name:ident $(, $($rest:tt)*)?) => {
        $crate::init::put(&raw mut (*$at).$name, $name);
        let made = $crate::init::Made::new(&raw mut (*$at).$name);
        $crate::__make!($at, $($($rest)*)?);
        ::core::mem::forget(made);
    };
}

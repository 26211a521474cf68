// SPDX-License-Identifier: GPL-2.0

//! Locks that one sleeps for.

use core::{
    cell::UnsafeCell,
    ffi::CStr,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use crate::{bindings, init::PinInit, types::Opaque};

/// What lockdep knows a kind of locks by: large enough for a `lock_class_key`.
#[repr(C, align(8))]
pub struct LockClassKey(UnsafeCell<[u8; bindings::KEY_SIZE as usize]>);

// SAFETY: Only lockdep uses it, under locks of its own.
unsafe impl Sync for LockClassKey {}

impl LockClassKey {
    /// A static one.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; bindings::KEY_SIZE as usize]))
    }
}

/// A value under a lock that one sleeps for.
///
/// # Invariants
///
/// The lock is initialised and does not move; the value is used by who holds it.
pub struct Mutex<T> {
    lock: Opaque<bindings::mutex>,
    value: UnsafeCell<T>,
}

// SAFETY: It may be locked from any thread, and the value goes with it.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// How to make one, for [`new_mutex!`](crate::new_mutex).
    pub fn new(
        value: impl PinInit<T>,
        name: &'static CStr,
        key: &'static LockClassKey,
    ) -> impl PinInit<Self> {
        let make = move |at: *mut Self| {
            // SAFETY: There is memory for both, where they stay.
            unsafe {
                value.make(UnsafeCell::raw_get(&raw const (*at).value))?;
                let lock = Opaque::raw_get(&raw const (*at).lock);
                bindings::rvs_own_mutex_init(lock, name.as_ptr().cast(), key.0.get().cast());
            }
            Ok(())
        };
        // SAFETY: Both fields are made.
        unsafe { crate::init::making(make) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // SAFETY: By the invariants.
        unsafe { bindings::rvs_own_mutex_lock(self.lock.get()) };
        MutexGuard {
            mutex: self,
            _here: PhantomData,
        }
    }
}

/// Holds a lock. Stays with the task that took it.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _here: PhantomData<*mut ()>,
}

// SAFETY: To look at the value from elsewhere is as good.
unsafe impl<T: Sync> Sync for MutexGuard<'_, T> {}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The lock is held.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The guard was made by taking it.
        unsafe { bindings::rvs_own_mutex_unlock(self.mutex.lock.get()) };
    }
}

/// How to make a mutex of a value, or of how to make one.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr, $name:literal) => {{
        static KEY: $crate::sync::LockClassKey = $crate::sync::LockClassKey::new();
        const NAME: &::core::ffi::CStr =
            match ::core::ffi::CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            };
        $crate::sync::Mutex::new($value, NAME, &KEY)
    }};
}

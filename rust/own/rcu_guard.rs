// SPDX-License-Identifier: GPL-2.0

//! The read side of RCU.

use core::marker::PhantomData;

use crate::bindings;

/// Holds the read lock. Stays with the task that took it.
pub struct Guard(PhantomData<*mut ()>);

/// Takes the read lock.
#[inline]
pub fn read_lock() -> Guard {
    // SAFETY: No requirements.
    unsafe { bindings::rvs_own_rcu_read_lock() };
    Guard(PhantomData)
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard was made by taking it.
        unsafe { bindings::rvs_own_rcu_read_unlock() };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Whom memory is charged to that is asked for in interrupts, where the present task is anybody.
//!
//! C headers: [`include/linux/memcontrol.h`](srctree/include/linux/memcontrol.h),
//! [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use core::{
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use kernel::{alloc::Flags, prelude::*};

use crate::bindings;

/// The memory cgroup of whoever set a namespace up; none until then, or where nobody is charged.
///
/// # Invariants
///
/// Null, or holds a reference on a memory cgroup. Set once.
pub(crate) struct Owner(AtomicPtr<bindings::mem_cgroup>);

impl Owner {
    /// Nobody yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Makes the present task's cgroup the owner, unless there is one.
    pub(crate) fn set_to_caller(&self) {
        if !self.0.load(Ordering::Relaxed).is_null() {
            return;
        }
        // SAFETY: In a task, as callers change a configuration.
        let caller = unsafe { bindings::rvs_memcg_of_caller() };
        let set =
            self.0
                .compare_exchange(ptr::null_mut(), caller, Ordering::AcqRel, Ordering::Relaxed);
        if set.is_err() && !caller.is_null() {
            // SAFETY: We have the reference.
            unsafe { bindings::rvs_memcg_put(caller) };
        }
    }

    /// Charges it for what is allocated with [`atomic_flags`] until the result is dropped.
    #[inline]
    pub(crate) fn charge(&self) -> Option<Charge<'_>> {
        let owner = self.0.load(Ordering::Acquire);
        if owner.is_null() {
            return None;
        }
        // SAFETY: By the invariant it lives as long as `self`, which the result borrows.
        let before = unsafe { bindings::rvs_memcg_enter(owner) };
        Some(Charge {
            before,
            _owner: PhantomData,
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let owner = *self.0.get_mut();
        if !owner.is_null() {
            // SAFETY: By the invariant; nobody is charged to it by this any more.
            unsafe { bindings::rvs_memcg_put(owner) };
        }
    }
}

/// Somebody is charged for the memory that this CPU or task asks for.
pub(crate) struct Charge<'a> {
    before: *mut bindings::mem_cgroup,
    // Not to be sent to another task either, for which the pointer sees.
    _owner: PhantomData<&'a Owner>,
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        // SAFETY: In the context in which it was made, it puts back what was there.
        unsafe { bindings::rvs_memcg_leave(self.before) };
    }
}

/// Whether somebody else than the present task is charged.
fn is_entered() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::rvs_memcg_is_entered() }
}

/// How to ask for memory without sleeping. Where somebody is charged, not beyond that one's limit,
/// as `GFP_ATOMIC` would.
pub(crate) fn atomic_flags() -> Flags {
    if is_entered() {
        GFP_NOWAIT | __GFP_NOWARN | (GFP_KERNEL_ACCOUNT & !GFP_KERNEL)
    } else {
        GFP_ATOMIC | __GFP_NOWARN
    }
}

/// The same, as C has it.
pub(super) fn atomic_flags_raw() -> bindings::gfp_t {
    if is_entered() {
        bindings::GFP_NOWAIT
            | bindings::__GFP_NOWARN
            | (bindings::GFP_KERNEL_ACCOUNT & !bindings::GFP_KERNEL)
    } else {
        bindings::GFP_ATOMIC | bindings::__GFP_NOWARN
    }
}

/// `len` pointers that are null, charged to whoever is entered. May sleep.
///
/// Fails at that one's limit. The kernel's own flags would have a process of theirs killed there, for
/// what others send.
pub(crate) fn pointers<T>(len: usize) -> Result<KVVec<AtomicPtr<T>>> {
    let size = len.checked_mul(size_of::<AtomicPtr<T>>()).ok_or(ENOMEM)?;
    // SAFETY: In a task that may sleep, as the caller says.
    let array = unsafe { bindings::rvs_kvzalloc_within_limit(size) };
    if array.is_null() {
        return Err(ENOMEM);
    }
    // SAFETY: The allocator of a `KVVec` would have made it, the size is that of `len` elements, and
    // nought is a null pointer.
    Ok(unsafe { KVVec::from_raw_parts(array.cast(), len, len) })
}

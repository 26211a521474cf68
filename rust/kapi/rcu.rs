// SPDX-License-Identifier: GPL-2.0

//! Read-copy-update: evidence of the read lock, and slots whose old values outlive their readers.
//!
//! The kernel crate's `rcu::Guard` takes the lock with a call into C. Hooks run under it already,
//! so here the evidence is a type of no size.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use core::{
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use kernel::{alloc::Flags, prelude::*};

use crate::bindings;

/// Evidence that the RCU read lock is held for `'a`.
///
/// # Invariants
///
/// Exists only while the current context is in an RCU read-side critical section.
#[derive(Clone, Copy)]
pub(crate) struct Rcu<'a>(PhantomData<&'a kernel::sync::rcu::Guard>);

impl<'a> Rcu<'a> {
    /// Claims that the lock is held, for callbacks that C calls under it.
    ///
    /// # Safety
    ///
    /// The caller is in an RCU read-side critical section that lasts for `'a`.
    pub(crate) unsafe fn assume_held() -> Self {
        // INVARIANT: The caller vouches for it.
        Self(PhantomData)
    }

    /// The evidence that a guard gives.
    pub(crate) fn of(_guard: &'a kernel::sync::rcu::Guard) -> Self {
        // INVARIANT: The guard holds the lock for `'a`.
        Self(PhantomData)
    }
}

/// A heap value that can wait for a grace period before it is dropped.
#[repr(C)]
pub(crate) struct RcuBox<T> {
    // First, so that the callback finds the box by it.
    head: bindings::callback_head,
    value: T,
}

impl<T: Send + Sync + 'static> RcuBox<T> {
    /// Allocates one.
    pub(crate) fn new(value: T, flags: Flags) -> Result<KBox<Self>> {
        let head = bindings::callback_head::default();
        Ok(KBox::new(Self { head, value }, flags)?)
    }

    /// Shows `this` to the present readers, and to nobody else: it is dropped when they are gone.
    pub(crate) fn lend<'a>(this: KBox<Self>, _rcu: Rcu<'a>) -> &'a T {
        let this = KBox::into_raw(this);
        Self::free_later(this);
        // SAFETY: It is freed a grace period later, and the read lock is held for `'a`.
        unsafe { &(*this).value }
    }

    /// Drops `this` after all present readers are gone. May be called in any context.
    fn free_later(this: *mut Self) {
        extern "C" fn free<T>(head: *mut bindings::callback_head) {
            // SAFETY: `head` is the first field of a box that `free_later` gave away.
            drop(unsafe { KBox::from_raw(head.cast::<RcuBox<T>>()) });
        }
        // SAFETY: `this` came from a `KBox`, nobody else will free it, and the module waits for
        // outstanding callbacks (`rcu_barrier`) before it is unloaded.
        unsafe { bindings::call_rcu(ptr::addr_of_mut!((*this).head), Some(free::<T>)) };
    }
}

/// A place for a value that readers see under RCU and writers replace.
pub(crate) struct RcuSlot<T: Send + Sync + 'static>(AtomicPtr<RcuBox<T>>);

impl<T: Send + Sync + 'static> RcuSlot<T> {
    /// A slot with nothing in it.
    pub(crate) const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The present value.
    #[inline]
    pub(crate) fn get<'a>(&self, _rcu: Rcu<'a>) -> Option<&'a T> {
        let ptr = self.0.load(Ordering::Acquire);
        // SAFETY: A value put here is freed only a grace period after it was taken out, and the
        // read lock is held for `'a`.
        unsafe { ptr.as_ref() }.map(|node| &node.value)
    }

    /// Puts `new` in place, and gives it back as readers see it.
    pub(crate) fn publish<'a>(&self, new: KBox<RcuBox<T>>, _rcu: Rcu<'a>) -> &'a T {
        let new = KBox::into_raw(new);
        let old = self.0.swap(new, Ordering::AcqRel);
        if !old.is_null() {
            RcuBox::free_later(old);
        }
        // SAFETY: Whoever takes it out again frees it a grace period later, and the read lock is
        // held for `'a`.
        unsafe { &(*new).value }
    }

    /// Puts `new` in place; what was there is dropped after a grace period.
    pub(crate) fn replace(&self, new: Option<KBox<RcuBox<T>>>) {
        let new = new.map_or(ptr::null_mut(), KBox::into_raw);
        let old = self.0.swap(new, Ordering::AcqRel);
        if !old.is_null() {
            RcuBox::free_later(old);
        }
    }
}

impl<T: Send + Sync + 'static> Drop for RcuSlot<T> {
    fn drop(&mut self) {
        self.replace(None);
    }
}

/// A moment, to be asked later whether its readers are gone.
#[derive(Clone, Copy)]
pub(crate) struct Moment(usize);

impl Moment {
    /// This one.
    pub(crate) fn now() -> Self {
        // SAFETY: No requirements.
        Self(unsafe { bindings::start_poll_synchronize_rcu() })
    }

    /// Whether everyone who was reading then has finished.
    pub(crate) fn has_no_readers(self) -> bool {
        // SAFETY: No requirements; the number is of the function above.
        unsafe { bindings::poll_state_synchronize_rcu(self.0) }
    }
}

/// Waits until all readers that run now are gone. May sleep.
pub(crate) fn synchronize() {
    // SAFETY: No requirements but a context that may sleep, which callers have by contract.
    unsafe { bindings::synchronize_rcu() };
}

/// Waits until every value given to a grace period so far has been dropped. May sleep.
pub(crate) fn barrier() {
    // SAFETY: As for `synchronize`.
    unsafe { bindings::rcu_barrier() };
}

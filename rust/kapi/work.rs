// SPDX-License-Identifier: GPL-2.0

//! Work that runs later in a kernel thread, again and again, and can be cancelled.
//!
//! The kernel crate's work items cannot be cancelled, which unloading needs.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{marker::PhantomPinned, mem::offset_of, ptr};

use kernel::{ffi::c_void, prelude::*, types::Opaque};

use crate::bindings;

/// What a [`Worker`] does for what it is a part of. `K` tells several workers of one apart.
pub(crate) trait Work<K = ()>: Send + Sync + 'static {
    /// One run. Returns the ticks until the next, or `None` to stop until kicked. May sleep.
    fn run(&self) -> Option<u32>;

    /// The worker that runs it.
    fn worker(&self) -> &Worker;
}

/// The work item of what embeds it.
///
/// # Invariants
///
/// After [`Worker::start`], `owner` points to what this worker is a part of, pinned and of the type that it
/// was started with, until [`Worker::stop`] returns.
#[repr(C)]
pub(crate) struct Worker {
    work: Opaque<bindings::delayed_work>,
    owner: Opaque<*const c_void>,
    _pin: PhantomPinned,
}

// SAFETY: Work items may be queued from any thread, and what they work on is `Sync`.
unsafe impl Send for Worker {}
// SAFETY: As above.
unsafe impl Sync for Worker {}

impl Worker {
    /// One that does not run yet.
    pub(crate) fn new() -> Self {
        Self {
            work: Opaque::zeroed(),
            owner: Opaque::zeroed(),
            _pin: PhantomPinned,
        }
    }

    /// Makes the worker of `owner` ready to be kicked.
    ///
    /// # Safety
    ///
    /// Called once for `owner`, before any kick; [`Worker::stop`] is called before `owner` goes.
    pub(crate) unsafe fn start<T: Work<K>, K>(owner: Pin<&T>) {
        let owner = owner.get_ref();
        let worker = owner.worker();
        // SAFETY: Nobody uses the worker yet, says the caller.
        unsafe { ptr::write(worker.owner.get(), ptr::from_ref(owner).cast()) };
        // SAFETY: As above; the owner is pinned, so the item stays where it is.
        unsafe {
            bindings::rvs_init_delayed_work(worker.work.get(), Some(Self::trampoline::<T, K>))
        };
    }

    /// Queues a run in `ticks`, or moves one that is queued to that time. From any context.
    pub(crate) fn kick(&self, ticks: u32) {
        // SAFETY: The item is initialised before the first kick; the queue lives for ever.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                bindings::rvs_long_wq(),
                self.work.get(),
                ticks as usize,
            )
        };
    }

    /// Ends the work: after this no run is going on or queued, unless kicked again. May sleep.
    pub(crate) fn stop(&self) {
        // SAFETY: The item is initialised.
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) };
    }

    extern "C" fn trampoline<T: Work<K>, K>(work: *mut bindings::work_struct) {
        let offset = offset_of!(bindings::delayed_work, work);
        // SAFETY: C hands us the `work` of our item, which is the first field of a `Worker`.
        let worker = unsafe { &*work.byte_sub(offset).cast::<Self>() };
        // SAFETY: By the invariant.
        let owner = unsafe { &*(*worker.owner.get()).cast::<T>() };
        if let Some(ticks) = owner.run() {
            worker.kick(ticks);
        }
    }
}

/// Lets others run when it is time for it. May sleep.
pub(crate) fn give_way() {
    // SAFETY: No requirements but a context that may sleep, which callers have by contract.
    unsafe { bindings::rvs_cond_resched() };
}

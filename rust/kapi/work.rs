// SPDX-License-Identifier: GPL-2.0

//! Work that runs later in a kernel thread, again and again, and can be cancelled.
//!
//! The kernel crate's work items cannot be cancelled, which unloading needs.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{marker::PhantomPinned, mem::offset_of, ptr};

use kernel::{prelude::*, types::Opaque};

use crate::bindings;

/// What a [`Worker`] does.
pub(crate) trait Work: Send + Sync + 'static {
    /// One run. Returns the ticks until the next, or `None` to stop until kicked. May sleep.
    fn run(&self) -> Option<u32>;

    /// The worker that runs it.
    fn worker(&self) -> &Worker<Self>
    where
        Self: Sized;
}

/// The work item of a `T` that embeds it.
///
/// # Invariants
///
/// After [`Worker::start`], `owner` points to the pinned `T` that this worker is a field of, until
/// [`Worker::stop`] returns.
#[repr(C)]
pub(crate) struct Worker<T> {
    work: Opaque<bindings::delayed_work>,
    owner: Opaque<*const T>,
    _pin: PhantomPinned,
}

// SAFETY: Work items may be queued from any thread.
unsafe impl<T: Send + Sync> Send for Worker<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Worker<T> {}

impl<T: Work> Worker<T> {
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
    pub(crate) unsafe fn start(owner: Pin<&T>) {
        let owner = owner.get_ref();
        let worker = owner.worker();
        // SAFETY: Nobody uses the worker yet, says the caller.
        unsafe { ptr::write(worker.owner.get(), owner) };
        // SAFETY: As above; the owner is pinned, so the item stays where it is.
        unsafe { bindings::rvs_init_delayed_work(worker.work.get(), Some(Self::trampoline)) };
    }

    /// Queues a run in `ticks`, or moves one that is queued to that time. From any context.
    pub(crate) fn kick(&self, ticks: u32) {
        // SAFETY: The item is initialised before the first kick; the queue lives for ever.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                bindings::system_dfl_long_wq,
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

    extern "C" fn trampoline(work: *mut bindings::work_struct) {
        let offset = offset_of!(bindings::delayed_work, work);
        // SAFETY: C hands us the `work` of our item, which is the first field of a `Worker`.
        let worker = unsafe { &*work.byte_sub(offset).cast::<Self>() };
        // SAFETY: By the invariant.
        let owner = unsafe { &**worker.owner.get() };
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

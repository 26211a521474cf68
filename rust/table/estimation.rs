// SPDX-License-Identifier: GPL-2.0

//! When a namespace's rates of traffic are estimated: while it has services.
//!
//! Packets only count; a worker looks at the counts now and then.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::{
    engine::rate::PERIOD_MS,
    kapi::{time, work::Worker},
};

/// Ticks between two looks.
const PERIOD: u32 = time::HZ * (PERIOD_MS / 1000);

/// The worker, and whether it is to run.
pub(super) struct Estimation {
    worker: Worker,
    /// It runs by itself. Changed under the configuration mutex.
    is_awake: AtomicBool,
    /// Rates are to stay as they are.
    is_suspended: AtomicBool,
}

impl Estimation {
    /// One that does not run yet.
    pub(super) fn new() -> Self {
        Self {
            worker: Worker::new(),
            is_awake: AtomicBool::new(false),
            is_suspended: AtomicBool::new(false),
        }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Lets it run by itself; true when it has not. The configuration mutex is held.
    pub(super) fn wake(&self) -> bool {
        let slept = !self.is_awake.swap(true, Ordering::Relaxed);
        if slept {
            self.worker.kick(PERIOD);
        }
        slept
    }

    /// Rates stay as they are from now on, or are estimated again.
    pub(super) fn suspend(&self, is_suspended: bool) {
        self.is_suspended.store(is_suspended, Ordering::Relaxed);
    }

    /// One run, which estimates by `estimate`; that says whether there is anything left to. Ticks
    /// until the next. The configuration mutex is held.
    pub(super) fn run(&self, estimate: impl FnOnce() -> bool) -> Option<u32> {
        let goes_on = self.is_suspended.load(Ordering::Relaxed) || estimate();
        self.is_awake.store(goes_on, Ordering::Relaxed);
        goes_on.then_some(PERIOD)
    }
}

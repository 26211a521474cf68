// SPDX-License-Identifier: GPL-2.0

//! Waking a namespace's worker when there is something to do.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::kapi::{time, work::Worker};

/// Ticks between two runs of the worker.
pub(super) const TICK: u32 = time::HZ / 4;

/// The worker, and whether it has to be woken.
pub(super) struct Waking {
    worker: Worker,
    idle: AtomicBool,
    /// It was told to run at once, and has not begun yet.
    hurried: AtomicBool,
}

impl Waking {
    /// It is asleep.
    pub(super) fn new() -> Self {
        Self {
            worker: Worker::new(),
            idle: AtomicBool::new(true),
            hurried: AtomicBool::new(false),
        }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Sees to it that the worker runs before long.
    pub(super) fn wake(&self) {
        if self.is_awakened() {
            self.worker.kick(TICK);
        }
    }

    /// Sees to it that it runs at once.
    pub(super) fn hurry(&self) {
        // A flood of new connections asks for a larger table with each of them.
        let hurries = || {
            let hurried = self.hurried.load(Ordering::Relaxed);
            !hurried && !self.hurried.swap(true, Ordering::Relaxed)
        };
        if self.is_awakened() || hurries() {
            self.worker.kick(0);
        }
    }

    /// Whether it slept until now.
    fn is_awakened(&self) -> bool {
        let asleep = self.idle.load(Ordering::Relaxed);
        asleep && self.idle.swap(false, Ordering::Relaxed)
    }

    /// It runs. Whoever was late to tell it so waits for a tick.
    pub(super) fn begins(&self) {
        self.hurried.store(false, Ordering::SeqCst);
    }

    /// It goes to sleep, unless `is_busy` still finds something to do; true when it does so. Whoever
    /// leaves it something before seeing it asleep relies on that look.
    pub(super) fn sleeps(&self, is_busy: impl FnOnce() -> bool) -> bool {
        self.idle.store(true, Ordering::SeqCst);
        !(is_busy() && self.idle.swap(false, Ordering::SeqCst))
    }
}

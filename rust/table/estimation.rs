// SPDX-License-Identifier: GPL-2.0

//! The work that estimates a namespace's rates of traffic while it has services.
//!
//! Packets only count; this looks at the counts now and then.

use core::sync::atomic::{AtomicBool, Ordering};

use super::netns::Netns;
use crate::{
    engine::rate::PERIOD_MS,
    kapi::{
        netns::Net,
        time,
        work::{Work, Worker},
    },
};

/// Ticks between two looks.
const PERIOD: u32 = time::HZ * (PERIOD_MS / 1000);

/// Estimates the rates of `net`.
#[repr(C)]
pub(super) struct Estimation {
    worker: Worker<Self>,
    net: &'static Net,
    /// It runs by itself. Changed under the configuration mutex.
    is_awake: AtomicBool,
    /// Rates are to stay as they are.
    is_suspended: AtomicBool,
}

impl Estimation {
    /// One that does not run yet.
    pub(super) fn new(net: &'static Net) -> Self {
        Self {
            worker: Worker::new(),
            net,
            is_awake: AtomicBool::new(false),
            is_suspended: AtomicBool::new(false),
        }
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

    /// Ends it. May sleep.
    pub(super) fn stop(&self) {
        self.worker.stop();
    }
}

impl Work for Estimation {
    fn run(&self) -> Option<u32> {
        let mut config = Netns::of(self.net)?.config();
        let goes_on = self.is_suspended.load(Ordering::Relaxed) || config.estimate();
        self.is_awake.store(goes_on, Ordering::Relaxed);
        goes_on.then_some(PERIOD)
    }

    fn worker(&self) -> &Worker<Self> {
        &self.worker
    }
}

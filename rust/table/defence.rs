// SPDX-License-Identifier: GPL-2.0

//! What a namespace gives up when memory runs short.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::settings::Settings;
use crate::{engine::defence, kapi::memory};

/// How it stands; the worker looks while there are connections.
pub(crate) struct Defence {
    /// Of how many new flows one is dropped; 0 for none.
    rate: AtomicU32,
    flows: AtomicU32,
    /// Whether connections that have not been answered end early.
    entries: AtomicBool,
}

impl Defence {
    pub(super) fn new() -> Self {
        Self {
            rate: AtomicU32::new(0),
            flows: AtomicU32::new(0),
            entries: AtomicBool::new(false),
        }
    }

    /// Looks how much memory there is.
    pub(super) fn look(&self, settings: &Settings) {
        let wanted = u64::from(settings.memory_min) << 20;
        let available = memory::available();
        let rate = defence::drop_rate(settings.drop_packet, settings.drop_rate, available, wanted);
        self.rate.store(rate, Ordering::Relaxed);
        let entries = settings.drop_entry.applies(available < wanted);
        self.entries.store(entries, Ordering::Relaxed);
    }

    /// Whether some new flows are dropped at present.
    pub(super) fn is_pressed(&self) -> bool {
        self.rate.load(Ordering::Relaxed) != 0
    }

    /// Whether the new flow that comes now is dropped.
    #[inline]
    pub(crate) fn drops(&self) -> bool {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return false;
        }
        let before = self.flows.fetch_add(1, Ordering::Relaxed);
        before.wrapping_add(1).checked_rem(rate) == Some(0)
    }

    /// Whether connections that have not been answered end early.
    pub(super) fn ends_entries(&self) -> bool {
        self.entries.load(Ordering::Relaxed)
    }
}

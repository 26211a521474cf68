// SPDX-License-Identifier: GPL-2.0

//! What came to nothing toward a dest.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of that, since the dest was added.
pub(crate) struct Failures {
    /// Connections that no local address had a port for.
    no_port: AtomicU64,
    /// As many of them as were told of.
    no_port_told: AtomicU64,
    /// Whether the last of them lacked an address as well.
    no_address: AtomicBool,
    /// Connections that it has not answered.
    no_reply: AtomicU64,
}

impl Failures {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            no_port: AtomicU64::new(0),
            no_port_told: AtomicU64::new(0),
            no_address: AtomicBool::new(false),
            no_reply: AtomicU64::new(0),
        }
    }

    /// Counts a connection that no local address had a port for toward it, or that there was none for.
    pub(in crate::table) fn lacks_port(&self, has_addresses: bool) {
        self.no_address.store(!has_addresses, Ordering::Relaxed);
        self.no_port.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that no local address had a port for toward it.
    pub(crate) fn lacked_ports(&self) -> u64 {
        self.no_port.load(Ordering::Relaxed)
    }

    /// The same, if there are more than when this was last asked, and whether there were addresses.
    pub(in crate::table) fn newly_lacked_ports(&self) -> Option<(u64, bool)> {
        let now = self.lacked_ports();
        let is_news = self.no_port_told.swap(now, Ordering::Relaxed) != now;
        is_news.then(|| (now, !self.no_address.load(Ordering::Relaxed)))
    }

    /// Counts a connection that it has not answered.
    pub(in crate::table) fn count_no_reply(&self) {
        self.no_reply.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that it has not answered.
    pub(crate) fn unanswered(&self) -> u64 {
        self.no_reply.load(Ordering::Relaxed)
    }

    /// Goes on with what was counted before the module was changed.
    pub(in crate::table) fn add(&self, [no_port, no_reply]: [u64; 2]) {
        self.no_port.fetch_add(no_port, Ordering::Relaxed);
        self.no_port_told.fetch_add(no_port, Ordering::Relaxed);
        self.no_reply.fetch_add(no_reply, Ordering::Relaxed);
    }
}

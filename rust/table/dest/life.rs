// SPDX-License-Identifier: GPL-2.0

//! Where a dest is in its life: warms up, takes connections, drains, is gone.

use core::sync::atomic::{AtomicU32, AtomicU8, Ordering};

use crate::{engine::conntrack::Conntrack, kapi::time};

/// In [`Life::care`]: it was removed from its service.
const GONE: u8 = 1;

/// In [`Life::care`]: its weight is 0, and UDP flows are to leave it then.
const QUIESCED: u8 = 2;

/// In [`Life::care`]: its deadline has passed, its connections are over.
const OVERDUE: u8 = 4;

/// In [`Life::care`]: its service keeps accounts of connections.
const ACCOUNTED: u8 = 8;

/// Where it is.
pub(crate) struct Life {
    /// Second of the uptime at which it began to take connections, where that was a slow start; 0
    /// where not.
    warm_since: AtomicU32,
    /// Second of the uptime at which its connections end, from 1 on; 0 while it does not drain.
    deadline: AtomicU32,
    /// Connections that the last draining ended.
    drain_ended: AtomicU32,
    /// Bits that say that a packet of its connections needs a look: [`GONE`], [`QUIESCED`],
    /// [`OVERDUE`], [`ACCOUNTED`].
    care: AtomicU8,
    /// Whether the host tracks connections that begin.
    conntrack: AtomicU8,
}

impl Life {
    /// It takes connections.
    pub(super) fn new() -> Self {
        Self {
            warm_since: AtomicU32::new(0),
            deadline: AtomicU32::new(0),
            drain_ended: AtomicU32::new(0),
            care: AtomicU8::new(0),
            conntrack: AtomicU8::new(Conntrack::Off.number()),
        }
    }

    /// From now on it takes connections, few at first.
    pub(in crate::table) fn start_slowly(&self) {
        let now = time::uptime().max(1);
        self.warm_since.store(now, Ordering::Relaxed);
    }

    /// Seconds for which it has taken connections; none for long.
    pub(in crate::table) fn warm_for(&self) -> Option<u32> {
        let since = self.warm_since.load(Ordering::Relaxed);
        (since != 0).then(|| time::uptime().saturating_sub(since))
    }

    /// Lets it drain for that many seconds.
    pub(in crate::table) fn drain(&self, seconds: u32) {
        self.drain_ended.store(0, Ordering::Relaxed);
        let deadline = time::uptime().saturating_add(seconds).max(1);
        self.set_deadline(Some(deadline));
    }

    /// Second of the uptime at which its connections end.
    pub(in crate::table) fn deadline(&self) -> Option<u32> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        (deadline != 0).then_some(deadline)
    }

    pub(in crate::table) fn set_deadline(&self, deadline: Option<u32>) {
        self.mark(OVERDUE, false);
        self.deadline
            .store(deadline.unwrap_or(0), Ordering::Relaxed);
    }

    /// Seconds until its connections end, while it drains.
    pub(crate) fn drain_left(&self) -> Option<u32> {
        let deadline = self.deadline()?;
        Some(deadline.saturating_sub(time::uptime()))
    }

    /// Seconds since its deadline.
    pub(in crate::table) fn overdue_for(&self) -> u32 {
        let deadline = self.deadline().unwrap_or(u32::MAX);
        time::uptime().saturating_sub(deadline)
    }

    /// Its connections are over; whoever speaks in them is told.
    pub(in crate::table) fn dismiss(&self) {
        self.mark(OVERDUE, true);
    }

    /// Whether its connections are over, as its deadline has passed.
    pub(super) fn is_dismissed(&self) -> bool {
        self.care.load(Ordering::Relaxed) & OVERDUE != 0
    }

    /// Connections that the last draining ended.
    pub(crate) fn drain_ended(&self) -> u32 {
        self.drain_ended.load(Ordering::Relaxed)
    }

    pub(in crate::table) fn count_drain_ended(&self) {
        self.drain_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// UDP flows are to leave it, or not, as its weight is 0.
    pub(super) fn set_quiesced(&self, is_quiesced: bool) {
        self.mark(QUIESCED, is_quiesced);
    }

    /// Its service keeps accounts of connections, or not.
    pub(super) fn set_accounted(&self, is_accounted: bool) {
        self.mark(ACCOUNTED, is_accounted);
    }

    /// Whether its service keeps accounts of connections.
    pub(in crate::table) fn is_accounted(&self) -> bool {
        self.care.load(Ordering::Relaxed) & ACCOUNTED != 0
    }

    /// The host tracks connections that begin, or not.
    pub(super) fn set_conntrack(&self, conntrack: Conntrack) {
        self.conntrack.store(conntrack.number(), Ordering::Relaxed);
    }

    /// Whether it does.
    pub(super) fn conntrack(&self) -> Conntrack {
        Conntrack::from_number(self.conntrack.load(Ordering::Relaxed)).unwrap_or(Conntrack::Off)
    }

    /// Whether connections that begin get a fast lane past the host's connection tracking.
    pub(in crate::table) fn has_lanes(&self) -> bool {
        self.conntrack() == Conntrack::Fast
    }

    /// Whether UDP flows are to leave it, though it is there.
    pub(crate) fn is_to_be_left(&self) -> bool {
        self.care.load(Ordering::Relaxed) & (QUIESCED | OVERDUE) != 0
    }

    /// It was removed from its service, or taken back into it.
    pub(super) fn set_gone(&self, is_gone: bool) {
        self.mark(GONE, is_gone);
    }

    /// Whether it was removed from its service.
    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        self.care.load(Ordering::Relaxed) & GONE != 0
    }

    /// Whether a packet of its connections needs a look: it was removed, its deadline has passed, UDP
    /// flows are to leave it as its weight is 0, or they are accounted.
    #[inline(always)]
    pub(super) fn needs_care(&self) -> bool {
        self.care.load(Ordering::Relaxed) != 0
    }

    /// Sets or clears a bit that says so.
    fn mark(&self, bit: u8, is_set: bool) {
        if is_set {
            self.care.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.care.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

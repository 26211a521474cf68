// SPDX-License-Identifier: GPL-2.0

//! How much other directors are told, and when: the `sync_*` files of `/proc/sys/net/ipv4/vs`.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::engine::sync::memo::Clock;

/// Seconds after which others are told again, where nobody says.
const PERIOD: u32 = 60;

/// Datagrams that may wait in a queue at most, whatever is asked for.
const WAITING_MAX: u32 = 4096;

/// How much is told. Numbers as they were written.
pub(crate) struct Tuning {
    /// `sync_refresh_period`, in seconds; 0 is [`PERIOD`].
    pub(crate) period: AtomicU32,
    /// `sync_retries`: how often more within a period.
    pub(crate) retries: AtomicU32,
    /// `sync_persist_mode`: not 0, of services with persistence only the templates are told.
    pub(crate) persist_mode: AtomicU32,
    /// `sync_qlen_max`: datagrams that may wait in a queue.
    pub(crate) waiting: AtomicU32,
    /// `sync_sock_size`: bytes that may wait in a socket; 0 is what the host has.
    pub(crate) buffer: AtomicU32,
    /// `sync_ports`: ports, and queues, of a daemon that starts.
    pub(crate) ports: AtomicU32,
}

impl Tuning {
    pub(super) fn new() -> Self {
        Self {
            period: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            persist_mode: AtomicU32::new(0),
            waiting: AtomicU32::new(WAITING_MAX),
            buffer: AtomicU32::new(0),
            ports: AtomicU32::new(1),
        }
    }

    /// Seconds after which others are told again of what has not changed.
    pub(super) fn period(&self) -> u32 {
        let period = match self.period.load(Ordering::Relaxed) {
            0 => PERIOD,
            period => period,
        };
        let period = match self.retries.load(Ordering::Relaxed) {
            0 => period,
            more => period / more.saturating_add(1),
        };
        // What a clock can tell apart, and more than a sweep takes.
        period.clamp(2, 300)
    }

    /// For [`Memo`](crate::engine::sync::memo::Memo).
    pub(super) fn clock(&self, second: u32) -> Clock {
        Clock::new(second, self.period())
    }

    /// Datagrams that may wait in a queue.
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.waiting.load(Ordering::Relaxed);
        waiting.clamp(1, WAITING_MAX) as usize
    }
}

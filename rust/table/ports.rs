// SPDX-License-Identifier: GPL-2.0

//! What is remembered of the local ports toward a dest: only for those that begin connections.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{engine::portpool, kapi::time};

/// Ports that have become free are remembered, so many of the last.
const FREED: usize = 16;

/// Ticks for which a pool that is full is not looked at.
const FULL_TICKS: u32 = time::HZ / 4;

/// A local address, folded, and a port of it; never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Of an address that is folded, and a port that is not 0.
    pub(super) fn new(address: u32, port: u16) -> Self {
        Self(((address ^ (address << 16)) & 0xffff_0000) | u32::from(port))
    }

    /// Its port.
    pub(super) fn port(self) -> u16 {
        self.0 as u16
    }
}

/// What is known of the ports toward a dest.
pub(super) struct Ports {
    /// Look-ups in vain since a port was last found.
    in_vain: AtomicU32,
    /// Number of the pool that is full, and below it the tick until which it is taken to be; 0 if
    /// none is.
    full: AtomicU64,
    /// Those that have become free, 0 where there is none. Others may have taken them since.
    freed: [AtomicU32; FREED],
    /// Where in them the next goes.
    next: AtomicU32,
}

impl Ports {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self {
            in_vain: AtomicU32::new(0),
            full: AtomicU64::new(0),
            freed: [const { AtomicU32::new(0) }; FREED],
            next: AtomicU32::new(0),
        }
    }

    /// Look-ups in vain since a port was last found.
    pub(super) fn in_vain(&self) -> u32 {
        self.in_vain.load(Ordering::Relaxed)
    }

    /// Whether the pool of that number was full a moment ago.
    pub(super) fn is_full(&self, pool: u32) -> bool {
        let full = self.full.load(Ordering::Relaxed);
        let left = (full as u32).wrapping_sub(time::now());
        full != 0 && (full >> 32) as u32 == pool && left <= FULL_TICKS
    }

    /// A port was found, or taken from a connection that was over.
    pub(super) fn found(&self) {
        if self.in_vain() != 0 {
            self.in_vain.store(0, Ordering::Relaxed);
        }
    }

    /// So many look-ups were in vain, in the pool of that number and of so many pairs of address
    /// and port.
    pub(super) fn lacking(&self, looked: u32, pool: u32, pairs: u32) {
        // A pool that was full is so again after one more search.
        let in_vain = self.in_vain().saturating_add(looked);
        self.in_vain.store(in_vain, Ordering::Relaxed);
        if portpool::is_full(pairs, in_vain) {
            let until = time::now().wrapping_add(FULL_TICKS);
            let full = (u64::from(pool) << 32) | u64::from(until);
            self.full.store(full, Ordering::Relaxed);
        }
    }

    /// A connection may lose its port to another from now on.
    pub(super) fn changed(&self) {
        if self.full.load(Ordering::Relaxed) != 0 {
            self.full.store(0, Ordering::Relaxed);
        }
    }

    /// A connection from there has ended.
    pub(super) fn freed(&self, place: Place) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        if let Some(slot) = self.freed.get(next % FREED) {
            slot.store(place.0, Ordering::Relaxed);
        }
        self.changed();
    }

    /// Those that have become free, each told once.
    pub(super) fn take_freed(&self) -> impl Iterator<Item = Place> + '_ {
        let there = |slot: &AtomicU32| slot.load(Ordering::Relaxed) != 0;
        self.freed.iter().filter_map(move |slot| {
            let place = if there(slot) {
                slot.swap(0, Ordering::Relaxed)
            } else {
                0
            };
            (place != 0).then_some(Place(place))
        })
    }
}

// SPDX-License-Identifier: GPL-2.0

//! How many connections are in each state, as the sweep has seen on its way: packets pay nothing for it.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::engine::proto::{State, STATES};

/// Numbers by state.
type Numbers = [AtomicU32; STATES];

/// The count. One writer at a time, the sweep.
pub(super) struct Census {
    /// Of the last time that it went through the whole table.
    whole: Numbers,
    /// Of this time, so far.
    part: Numbers,
}

impl Census {
    pub(super) fn new() -> Self {
        Self {
            whole: [const { AtomicU32::new(0) }; STATES],
            part: [const { AtomicU32::new(0) }; STATES],
        }
    }

    /// A connection was seen in `state`.
    pub(super) fn see(&self, state: State) {
        if let Some(number) = self.part.get(usize::from(state.number())) {
            let seen = number.load(Ordering::Relaxed).wrapping_add(1);
            number.store(seen, Ordering::Relaxed);
        }
    }

    /// The whole table was seen.
    pub(super) fn complete(&self) {
        for (whole, part) in self.whole.iter().zip(&self.part) {
            whole.store(part.load(Ordering::Relaxed), Ordering::Relaxed);
            part.store(0, Ordering::Relaxed);
        }
    }

    /// How many were in `state`.
    pub(super) fn number(&self, state: State) -> u32 {
        let number = self.whole.get(usize::from(state.number()));
        number.map_or(0, |number| number.load(Ordering::Relaxed))
    }
}

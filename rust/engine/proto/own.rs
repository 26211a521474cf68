// SPDX-License-Identifier: GPL-2.0

//! Timeouts that a service sets for itself.

use super::super::spec;
use super::state::State;

/// States with a timeout of a service's own: those of TCP and that of UDP. SCTP's are always the
/// namespace's.
const HELD: usize = State::Udp as usize + 1;

/// Seconds of silence by state where they differ from the namespace's; 0 is the namespace's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnTimeouts {
    seconds: [u32; HELD],
}

impl OwnTimeouts {
    /// All are the namespace's.
    pub const NONE: Self = Self { seconds: [0; HELD] };

    /// Seconds of silence in `state`; 0 is the namespace's.
    pub const fn get(&self, state: State) -> u32 {
        let at = state as usize;
        if at < HELD {
            self.seconds[at]
        } else {
            0
        }
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// The first that is too long.
    pub fn validate(&self) -> Result<(), spec::SpecError> {
        let set = self.seconds.iter().filter(|seconds| **seconds != 0);
        set.copied().try_for_each(spec::validate_timeout)
    }

    /// What makes these of `old`.
    pub fn since(&self, old: &Self) -> TimeoutUpdate {
        let mut update = TimeoutUpdate::default();
        for state in State::all().filter(|state| self.get(*state) != old.get(*state)) {
            update.set(state, self.get(state));
        }
        update
    }
}

/// A change of [`OwnTimeouts`]; what is not set stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutUpdate {
    seconds: [Option<u32>; HELD],
}

impl TimeoutUpdate {
    /// Sets the seconds of silence in `state`; 0 for the namespace's.
    pub fn set(&mut self, state: State, seconds: u32) {
        if let Some(held) = self.seconds.get_mut(state as usize) {
            *held = Some(seconds);
        }
    }

    /// What is set for `state`.
    pub const fn get(&self, state: State) -> Option<u32> {
        let at = state as usize;
        if at < HELD {
            self.seconds[at]
        } else {
            None
        }
    }

    /// States with what is set for them.
    pub fn iter(&self) -> impl Iterator<Item = (State, u32)> + '_ {
        let states = State::all().take(HELD);
        states.filter_map(|state| Some((state, self.get(state)?)))
    }

    /// What becomes of `old`.
    #[must_use]
    pub fn of(&self, old: &OwnTimeouts) -> OwnTimeouts {
        let mut new = *old;
        for (state, seconds) in self.iter() {
            if let Some(held) = new.seconds.get_mut(state as usize) {
                *held = seconds;
            }
        }
        new
    }
}

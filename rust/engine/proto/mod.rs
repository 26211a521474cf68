// SPDX-License-Identifier: GPL-2.0

//! What a connection's packets make of its state, and how long it may be silent.

pub mod own;
pub mod sctp;
mod state;
pub mod tcp;
pub mod udp;

pub use state::{State, STATES};

/// How long a connection may be silent in each state before it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    seconds: [u32; 32],
}

impl Timeouts {
    /// `ip_vs`'s: [`tcp::TIMEOUTS`], [`udp::TIMEOUT`] and [`sctp::TIMEOUTS`].
    pub const DEFAULT: Self = {
        let mut seconds = [udp::TIMEOUT; 32];
        let mut i = 0;
        while i < tcp::STATES {
            seconds[i] = tcp::TIMEOUTS[i];
            i += 1;
        }
        let mut i = 0;
        while i < sctp::STATES {
            seconds[State::SctpNone as usize + i] = sctp::TIMEOUTS[i];
            i += 1;
        }
        Self { seconds }
    };

    /// Seconds of silence in `state`.
    #[inline(always)]
    pub const fn get(&self, state: State) -> u32 {
        self.seconds[(state as usize) & 31]
    }

    /// Sets the seconds of silence in `state`; [`super::spec::validate_timeout`] says which.
    #[inline]
    pub fn set(&mut self, state: State, seconds: u32) {
        self.seconds[(state as usize) & 31] = seconds;
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_start_as_ip_vs_has_them() {
        let mut timeouts = Timeouts::DEFAULT;
        let all: Vec<_> = State::all().map(|s| timeouts.get(s)).collect();
        let (others, sctp) = all.split_at(12);
        assert_eq!(
            others,
            [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300]
        );
        assert_eq!(sctp, [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61]);
        timeouts.set(State::Udp, 30);
        assert_eq!(timeouts.get(State::Udp), 30);
        assert_eq!(timeouts.get(State::SynAck), 120);
    }
}

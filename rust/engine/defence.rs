// SPDX-License-Identifier: GPL-2.0

//! What is given up when memory runs short, by the rules of `ip_vs` (`update_defense_level` of
//! `ip_vs_ctl.c`).

use super::numbered::numbered;
use super::proto::State;

/// When something is given up; the numbers are those of the netlink enum `defence`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum When {
    /// Never.
    #[default]
    Off = 0,
    /// While memory is short.
    Auto = 1,
    /// Always.
    On = 2,
}

// Names as in `rvsadm config set --drop-entry`.
numbered! {
    When as u32 {
        Off = "off",
        Auto = "auto",
        On = "on",
    }
}

impl When {
    /// Whether something is given up now.
    pub const fn applies(self, short: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Auto => short,
            Self::On => true,
        }
    }
}

/// Seconds of silence after which a connection in `state` can be done without when memory is short
/// (`drop_entry`): one that its client has not answered at once, a UDP flow after a minute. None for others.
pub const fn expendable_after(state: State) -> Option<u32> {
    match state {
        State::SynRecv | State::SynAck => Some(0),
        State::Udp => Some(60),
        _ => None,
    }
}

/// Of how many new flows one is dropped while `available` is left, in any unit; 0 for none. `rate`
/// is what it is when memory plays no part.
pub const fn drop_rate(when: When, rate: u32, available: u64, wanted: u64) -> u32 {
    match when {
        When::Off => 0,
        When::On => rate,
        When::Auto => match wanted.checked_sub(available) {
            None | Some(0) => 0,
            Some(missing) => {
                let rate = wanted / missing;
                if rate > u32::MAX as u64 {
                    u32::MAX
                } else {
                    rate as u32
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_memory_the_more_is_dropped() {
        assert_eq!(drop_rate(When::Auto, 7, 1024, 1024), 0);
        assert_eq!(drop_rate(When::Auto, 7, u64::MAX, 1024), 0);
        assert_eq!(drop_rate(When::Auto, 7, 1023, 1024), 1024);
        assert_eq!(drop_rate(When::Auto, 7, 512, 1024), 2);
        assert_eq!(drop_rate(When::Auto, 7, 0, 1024), 1);
        assert_eq!(drop_rate(When::Auto, 7, u64::MAX - 1, u64::MAX), u32::MAX);
        assert_eq!(drop_rate(When::On, 7, 0, 1024), 7);
        assert_eq!(drop_rate(When::Off, 7, 0, 1024), 0);
    }

    #[test]
    fn half_open_connections_and_silent_flows_go_first() {
        assert_eq!(expendable_after(State::SynRecv), Some(0));
        assert_eq!(expendable_after(State::SynAck), Some(0));
        assert_eq!(expendable_after(State::Udp), Some(60));
        let others = State::all().filter(|state| expendable_after(*state).is_none());
        assert_eq!(others.count(), State::all().count() - 3);
    }

    #[test]
    fn every_number_is_that_of_its_name() {
        for when in When::ALL {
            assert_eq!(When::from_number(when.number()), Some(when));
            assert_eq!(when.applies(false), when == When::On);
            assert_eq!(when.applies(true), when != When::Off);
        }
        assert_eq!(When::from_number(3), None);
    }
}

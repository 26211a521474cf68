// SPDX-License-Identifier: GPL-2.0

//! What is given up when memory runs short, by the rules of `ip_vs` (`update_defense_level` of
//! `ip_vs_ctl.c`).

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

impl When {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Off, Self::Auto, Self::On];

    /// The one with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Name as in `rvsadm config set --drop-entry`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::On => "on",
        }
    }

    /// Whether something is given up now.
    pub const fn applies(self, short: bool) -> bool {
        match self {
            Self::Off => false,
            Self::Auto => short,
            Self::On => true,
        }
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
    fn every_number_is_that_of_its_name() {
        for when in When::ALL {
            assert_eq!(When::from_number(when.number().into()), Some(when));
            assert_eq!(when.applies(false), when == When::On);
            assert_eq!(when.applies(true), when != When::Off);
        }
        assert_eq!(When::from_number(3), None);
    }
}

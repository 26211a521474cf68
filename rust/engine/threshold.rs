// SPDX-License-Identifier: GPL-2.0

//! When a dest has as many connections as it takes: `ip_vs`'s hysteresis
//! (`ip_vs_bind_dest` and `ip_vs_unbind_dest` of `ip_vs_conn.c`).

/// A dest's thresholds, in connections of any state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// From this many on it takes no more; 0 is no threshold.
    pub upper: u32,
    /// Below this many it takes connections again; 0 is three quarters of the upper.
    pub lower: u32,
}

impl Thresholds {
    /// Whether a dest that was overloaded, or not, is so with `total` connections.
    pub const fn is_overloaded(self, was: bool, total: u32) -> bool {
        if self.upper == 0 {
            return false;
        }
        if total >= self.upper {
            return true;
        }
        if self.lower != 0 {
            was && total >= self.lower
        } else {
            // In 64 bits: neither product overflows.
            was && total as u64 * 4 >= self.upper as u64 * 3
        }
    }

    /// Both as one word.
    pub const fn to_word(self) -> u64 {
        ((self.upper as u64) << 32) | self.lower as u64
    }

    /// What [`Self::to_word`] was made of.
    pub const fn from_word(word: u64) -> Self {
        Self {
            upper: (word >> 32) as u32,
            lower: word as u32,
        }
    }
}

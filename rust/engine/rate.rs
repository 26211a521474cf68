// SPDX-License-Identifier: GPL-2.0

//! Rates of traffic, estimated from counts that are looked at every now and then.
//!
//! The rule is `ip_vs`'s: every [`PERIOD_MS`] a quarter of the newest rate goes into a moving
//! average, which so covers about the last 8 seconds. Here the time that really went by counts, so
//! a look that comes late is no error.

/// How often counts are looked at, in milliseconds.
pub const PERIOD_MS: u32 = 2_000;

/// Binary places behind the point of an average.
const PLACES: u32 = 10;

/// The moving average of one count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Average {
    /// The count when it was last looked at.
    last: u64,
    /// A second, times 2^[`PLACES`].
    scaled: u64,
}

impl Average {
    /// An average of nothing so far, of a count that stands at `count`.
    pub const fn new(count: u64) -> Self {
        Self {
            last: count,
            scaled: 0,
        }
    }

    /// Takes in that the count is `count` now, `elapsed_ms` after the last look. Counts may wrap.
    pub fn look(&mut self, count: u64, elapsed_ms: u32) {
        if elapsed_ms == 0 {
            return;
        }
        let grown = count.wrapping_sub(self.last);
        self.last = count;
        // Right up to 17 TB between two looks. The kernel has no division of 128 bits.
        let rate = grown.saturating_mul(1_000 << PLACES) / u64::from(elapsed_ms);
        // Both differences are of unsigned numbers that do not wrap.
        if rate >= self.scaled {
            self.scaled += (rate - self.scaled) / 4;
        } else {
            self.scaled -= (self.scaled - rate).div_ceil(4);
        }
    }

    /// A second, rounded to the nearest.
    pub const fn per_second(&self) -> u64 {
        let half = 1 << (PLACES - 1);
        self.scaled.saturating_add(half - 1) >> PLACES
    }
}

/// Averages of `N` counts that are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Averages<const N: usize>([Average; N]);

impl<const N: usize> Averages<N> {
    /// Of counts that stand at `counts`.
    pub fn new(counts: [u64; N]) -> Self {
        Self(counts.map(Average::new))
    }

    /// Takes in what the counts are now, `elapsed_ms` after the last look.
    pub fn look(&mut self, counts: [u64; N], elapsed_ms: u32) {
        for (average, count) in self.0.iter_mut().zip(counts) {
            average.look(count, elapsed_ms);
        }
    }

    /// Each a second.
    pub fn per_second(&self) -> [u64; N] {
        self.0.map(|average| average.per_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The averages of a count that grows by `grown` in each of `looks` periods.
    fn after(looks: u32, grown: u64) -> u64 {
        let mut average = Average::new(u64::MAX - 5);
        let mut count = u64::MAX - 5;
        for _ in 0..looks {
            count = count.wrapping_add(grown);
            average.look(count, PERIOD_MS);
        }
        average.per_second()
    }

    #[test]
    fn first_looks_take_a_quarter_of_what_is_missing() {
        // 2,000 in 2 s: 1,000 a second.
        assert_eq!(
            [1, 2, 3, 4].map(|looks| after(looks, 2_000)),
            [250, 437, 578, 684]
        );
    }

    #[test]
    fn a_steady_rate_is_met() {
        for rate in [1, 10, 999, 1_000_000, 12_500_000_000] {
            let found = after(100, 2 * rate);
            assert!(found.abs_diff(rate) <= rate / 100, "{rate}: {found}");
        }
    }

    #[test]
    fn silence_ends_at_zero() {
        let mut average = Average::new(0);
        average.look(1 << 40, PERIOD_MS);
        assert!(average.per_second() > 0);
        for _ in 0..200 {
            average.look(1 << 40, PERIOD_MS);
        }
        assert_eq!(average, Average::new(1 << 40));
    }

    #[test]
    fn a_late_look_is_no_error() {
        let (mut average, mut count) = (Average::new(0), 0);
        for elapsed in [2_000, 2_500, 4_000, 1_900, 2_100]
            .into_iter()
            .cycle()
            .take(60)
        {
            count += u64::from(elapsed) * 7;
            average.look(count, elapsed);
        }
        assert_eq!(average.per_second(), 7_000);
    }

    #[test]
    fn no_time_says_nothing_and_the_most_is_no_overflow() {
        let mut average = Average::new(0);
        average.look(5, 0);
        assert_eq!(average, Average::new(0));
        average.look(u64::MAX, 1);
        average.look(u64::MAX - 1, 1);
        assert!(average.per_second() > 0);
    }

    #[test]
    fn averages_go_together() {
        let mut averages = Averages::new([0, 100]);
        averages.look([8_000, 100], 2_000);
        assert_eq!(averages.per_second(), [1_000, 0]);
    }
}

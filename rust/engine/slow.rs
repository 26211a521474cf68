// SPDX-License-Identifier: GPL-2.0

//! Slow start: a dest that is new, or takes connections again, gets its share little by little.

use super::limits::WEIGHT_MAX;

/// Steps that a weight of 1 has on its way up, where weights leave room for them.
const STEPS: u32 = 100;

/// What all weights of a service are multiplied with while a dest starts slowly, where `max` is the
/// highest: shares stay as they are, and there are steps between 0 and the lowest weight.
pub const fn scale(max: u32) -> u32 {
    let room = match WEIGHT_MAX.checked_div(max) {
        None | Some(0) => 1,
        Some(room) => room,
    };
    if room > STEPS {
        STEPS
    } else {
        room
    }
}

/// The weight, times `scale`, of a dest of `weight` that has taken connections for `seconds`, where
/// it starts within `period`.
pub const fn weight(weight: u32, scale: u32, seconds: u32, period: u32) -> u32 {
    let full = weight.saturating_mul(scale);
    if seconds >= period || full == 0 {
        return full;
    }
    // In 64 bits: below 2^32 times 2^32.
    let part = full as u64 * (seconds as u64 + 1) / (period as u64 + 1);
    if part == 0 {
        1
    } else {
        part as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_grow_to_their_full_size() {
        for (max, expected) in [
            (0, 1),
            (1, 100),
            (65_535, 100),
            (21_474_836, 100),
            (21_474_837, 99),
            (WEIGHT_MAX, 1),
        ] {
            assert_eq!(scale(max), expected, "{max}");
            assert!(max * scale(max) <= WEIGHT_MAX);
        }
        assert_eq!(weight(0, 100, 0, 60), 0);
        assert_eq!(weight(1, 100, 0, 60), 1);
        assert_eq!(weight(1, 100, 30, 60), 50);
        assert_eq!(weight(1, 100, 59, 60), 98);
        assert_eq!(weight(1, 100, 60, 60), 100);
        assert_eq!(weight(1, 100, 0, 0), 100);
        assert_eq!(weight(65_535, 1, 0, u32::MAX), 1);
        assert_eq!(weight(WEIGHT_MAX, 1, 0, 1), WEIGHT_MAX / 2);
        let mut last = 0;
        for seconds in 0..=60 {
            let now = weight(7, 100, seconds, 60);
            assert!(now >= last && now <= 700);
            last = now;
        }
    }
}

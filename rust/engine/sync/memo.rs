// SPDX-License-Identifier: GPL-2.0

//! What a connection keeps of whether others know of it, in one byte: two bits say what the other six
//! are.

/// The bits that say what the others are.
const KIND: u8 = 0xc0;
const VALUE: u8 = 0x3f;

/// Nobody was told. The rest is a mark of the tick at which the last packet came when it was looked
/// at, or 0.
const NEW: u8 = 0;
/// Others were told. The rest is when.
const TOLD: u8 = 0x40;
/// It was learned of others. The rest is a mark of the tick that its last packet was said to be of.
const LEARNED: u8 = 0x80;
/// What others were told is not so any more, or they were not reached.
const DUE: u8 = 0xc0;

/// How much of a connection others know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo(pub u8);

/// What is to be done about a connection that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Leave,
    /// Others are to be told.
    Tell,
    /// From now on this is kept.
    Note(Memo),
}

/// When others were told, and how long ago that may be: all in units of so many seconds that one
/// and a half periods can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    unit: u32,
    now: u8,
    period: u32,
    /// The period in units.
    whole: u8,
    /// The least that any period has.
    least: u8,
}

impl Clock {
    /// At a second, where others are told again after `period` seconds.
    pub const fn new(second: u32, period: u32) -> Self {
        // 64 units are told apart.
        let unit = match period.div_ceil(40) {
            0 => 1,
            unit => unit,
        };
        Self {
            unit,
            now: (second / unit) as u8 & VALUE,
            period,
            whole: units(unit, period),
            least: units(unit, 1),
        }
    }

    /// Seconds as units. Of its own period they are known.
    const fn units(self, seconds: u32) -> u8 {
        match seconds == self.period {
            true => self.whole,
            false => units(self.unit, seconds),
        }
    }

    /// The period that it was made for.
    pub const fn period(self) -> u32 {
        self.period
    }
}

/// Seconds as units, at least one; not less where the first one was only partly left.
const fn units(unit: u32, seconds: u32) -> u8 {
    let partly = if unit > 1 { 1 } else { 0 };
    match seconds.div_ceil(unit).saturating_add(partly) {
        0 => 1,
        units if units < VALUE as u32 => units as u8,
        _ => VALUE,
    }
}

impl Memo {
    /// Nobody was told.
    pub const NEW: Self = Self(NEW);
    /// They are to be told.
    pub const DUE: Self = Self(DUE);

    /// Whether others were told so lately that nothing is to be done, whatever the period.
    #[inline(always)]
    pub const fn was_just_told(self, clock: Clock) -> bool {
        self.0 & KIND == TOLD && clock.now.wrapping_sub(self.0) & VALUE < clock.least
    }

    /// They were told now.
    pub const fn told(clock: Clock) -> Self {
        Self(TOLD | clock.now)
    }

    /// It was learned of others, who say that its last packet came at that tick.
    pub const fn learned(seen: u32) -> Self {
        Self(LEARNED | mark(seen))
    }

    /// Whether nobody was told, nor has told.
    pub const fn is_new(self) -> bool {
        self.0 & KIND == NEW
    }

    /// Whether others look after it: it was learned of them, and no packet has come here since. `seen`
    /// is the tick of its last packet.
    pub const fn is_of_others(self, seen: u32) -> bool {
        self.0 == LEARNED | mark(seen)
    }

    /// What is to be done now; others are told again after `period` seconds. With `waits` they are not
    /// told before a second packet has come.
    pub const fn look(self, seen: u32, clock: Clock, period: u32, waits: bool) -> Look {
        let value = self.0 & VALUE;
        match self.0 & KIND {
            NEW if !waits => Look::Tell,
            NEW if value == 0 => Look::Note(Self(NEW | mark(seen))),
            NEW | LEARNED if value == mark(seen) => Look::Leave,
            TOLD if clock.now.wrapping_sub(value) & VALUE < clock.units(period) => Look::Leave,
            _ => Look::Tell,
        }
    }
}

/// Tells a tick from most others. Not 0.
const fn mark(seen: u32) -> u8 {
    match seen as u8 & VALUE {
        0 => 1,
        mark => mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_once_a_period() {
        for period in [1, 5, 31, 60, 120, 300] {
            let told = Memo::told(Clock::new(1_000, period));
            let look = |second| told.look(7, Clock::new(1_000 + second, period), period, false);
            let first = (0..1_000)
                .find(|second| look(*second) == Look::Tell)
                .unwrap();
            assert!(
                (period..=period + period / 8 + 1).contains(&first),
                "{period} {first}"
            );
            let lately = |second: u32| told.was_just_told(Clock::new(1_000 + second, period));
            let shortest = |second: u32| told.look(7, Clock::new(1_000 + second, period), 1, false);
            assert!(lately(0) && (0..1_000).all(|s| !lately(s) || shortest(s) == Look::Leave));
            let mut later = first..=period + period / 2;
            assert!(later.all(|second| look(second) == Look::Tell), "{period}");
        }
    }

    #[test]
    fn new_ones_are_told_at_once_or_with_their_second_packet() {
        let clock = Clock::new(9, 60);
        assert_eq!(Memo::NEW.look(64, clock, 60, false), Look::Tell);
        let Look::Note(seen) = Memo::NEW.look(64, clock, 60, true) else {
            panic!("not noted");
        };
        assert!(seen.is_new());
        assert_eq!(seen.look(64, clock, 60, true), Look::Leave);
        assert_eq!(seen.look(66, clock, 60, true), Look::Tell);
        assert_eq!(Memo::DUE.look(0, clock, 60, true), Look::Tell);
    }

    #[test]
    fn those_of_others_are_ours_when_a_packet_comes() {
        let clock = Clock::new(9, 60);
        for seen in [0, 1, 63, 64, 1_000_000] {
            let memo = Memo::learned(seen);
            assert!(memo.is_of_others(seen) && !memo.is_of_others(seen + 2) && !memo.is_new());
            assert_eq!(memo.look(seen, clock, 60, false), Look::Leave);
            assert_eq!(memo.look(seen + 2, clock, 60, false), Look::Tell);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Numbers of datagrams, as ranges.

/// Ranges that are told apart.
pub const RANGES: usize = 16;

/// The numbers from one on, up to another that is not of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The one behind the last.
    pub to: u64,
}

impl Range {
    /// One of those; none where that would be empty.
    pub const fn new(from: u64, to: u64) -> Option<Self> {
        if from < to {
            Some(Self { from, to })
        } else {
            None
        }
    }

    /// How many they are.
    pub const fn count(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// What is left when another is taken away, below and above it.
    const fn without(self, other: Self) -> [Option<Self>; 2] {
        let below = if self.to < other.from {
            self.to
        } else {
            other.from
        };
        let above = if self.from > other.to {
            self.from
        } else {
            other.to
        };
        [Self::new(self.from, below), Self::new(above, self.to)]
    }
}

/// Ranges of numbers in order. Where they would be too many, two that are near each other become one
/// with what is between them.
#[derive(Clone, Debug)]
pub struct Ranges {
    all: [Range; RANGES],
    len: usize,
}

impl Ranges {
    /// None.
    pub const fn new() -> Self {
        Self {
            all: [Range { from: 0, to: 0 }; RANGES],
            len: 0,
        }
    }

    /// Those that there are.
    pub fn as_slice(&self) -> &[Range] {
        self.all.get(..self.len).unwrap_or(&[])
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds one that is behind all others.
    pub fn add(&mut self, range: Range) {
        let last = self.len.checked_sub(1).and_then(|at| self.all.get_mut(at));
        match last {
            Some(last) if last.to >= range.from => last.to = last.to.max(range.to),
            _ => {
                if self.len == RANGES {
                    self.join();
                }
                if let Some(place) = self.all.get_mut(self.len) {
                    *place = range;
                    self.len = self.len.saturating_add(1);
                }
            }
        }
    }

    /// Takes these numbers away. Where that would make too many ranges, one stays as it is.
    pub fn remove(&mut self, away: Range) {
        let (before, mut left) = (self.len, self.len);
        let all = self.all;
        self.len = 0;
        for range in all.into_iter().take(before) {
            left = left.saturating_sub(1);
            let parts = range.without(away);
            let is_split = parts.iter().all(Option::is_some);
            let room = RANGES.saturating_sub(self.len).saturating_sub(left);
            let keep = if is_split && room < 2 {
                [Some(range), None]
            } else {
                parts
            };
            for part in keep.into_iter().flatten() {
                if let Some(place) = self.all.get_mut(self.len) {
                    *place = part;
                    self.len = self.len.saturating_add(1);
                }
            }
        }
    }

    /// Makes one of the two that are nearest each other.
    fn join(&mut self) {
        let gap = |pair: &[Range]| match pair {
            [one, next] => next.from.saturating_sub(one.to),
            _ => u64::MAX,
        };
        let pairs = self.as_slice().windows(2).map(gap);
        let nearest = pairs.enumerate().min_by_key(|(_, gap)| *gap);
        let Some((at, _)) = nearest else {
            return;
        };
        let Some([one, next, ..]) = self.all.get_mut(at..) else {
            return;
        };
        one.to = next.to;
        let behind = at.saturating_add(2);
        if behind <= self.len {
            self.all
                .copy_within(behind..self.len, behind.saturating_sub(1));
            self.len = self.len.saturating_sub(1);
        }
    }
}

impl PartialEq for Ranges {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Ranges {}

impl Default for Ranges {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::new();
        for (from, to) in pairs {
            ranges.add(Range::new(*from, *to).unwrap());
        }
        ranges
    }

    fn remove(pairs: &[(u64, u64)], from: u64, to: u64) -> Ranges {
        let mut ranges = ranges(pairs);
        ranges.remove(Range::new(from, to).unwrap());
        ranges
    }

    #[test]
    fn what_was_told_again_is_missing_no_more() {
        assert_eq!(remove(&[(1, 9)], 1, 9), ranges(&[]));
        assert_eq!(remove(&[(1, 9)], 3, 4), ranges(&[(1, 3), (4, 9)]));
        assert_eq!(remove(&[(1, 3), (5, 9)], 2, 6), ranges(&[(1, 2), (6, 9)]));
        assert_eq!(remove(&[(1, 3)], 3, 4), ranges(&[(1, 3)]));
        assert_eq!(ranges(&[(1, 3), (3, 4)]), ranges(&[(1, 4)]));
        assert!(Range::new(3, 3).is_none() && Range::new(4, 3).is_none());
    }

    #[test]
    fn too_many_become_fewer_with_what_is_between_them() {
        let mut all = Ranges::new();
        for number in 0..1_000u64 {
            let far = number * 10 + number % 3;
            all.add(Range::new(far, far + 1).unwrap());
            assert!(all.as_slice().len() <= RANGES);
        }
        let covered = |n: u64| all.as_slice().iter().any(|r| (r.from..r.to).contains(&n));
        assert!((0..1_000).all(|number| covered(number * 10 + number % 3)));
        // A split for which there is no room does not lose any.
        let mut full = Ranges::new();
        (0..RANGES as u64).for_each(|n| full.add(Range::new(n * 10, n * 10 + 5).unwrap()));
        let before = full.clone();
        full.remove(Range::new(22, 23).unwrap());
        assert_eq!(full, before);
        full.remove(Range::new(0, 30).unwrap());
        assert_eq!(full.as_slice().len(), RANGES - 3);
        full.remove(Range::new(42, 43).unwrap());
        assert_eq!(full.as_slice().len(), RANGES - 2);
    }
}

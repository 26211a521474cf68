// SPDX-License-Identifier: GPL-2.0

//! What a backup knows of the numbers of a master's datagrams.
//!
//! Datagrams of entries are taken in the order of their numbers only. What is passed over counts as
//! lost, also where it comes later: what it told may have changed meanwhile. Whoever lacks something
//! asks for it by number, and is told what became of it as it is then, under new numbers. So nothing
//! is ever undone by what is older, and nothing is taken twice.

use super::{
    ranges::{Range, Ranges},
    tail::{Kind, Tail, Tailed},
};

/// What is to be done with a datagram's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are taken.
    Take {
        /// How many datagrams were passed over.
        lost: u64,
    },
    /// They are not: the datagram came before, or another one that was behind it.
    Late,
    /// They are not: whether the stream is one of now is not known yet.
    Unproven,
}

/// A stream of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    id: u64,
    /// The number that comes next.
    next: u64,
    /// What was told and not taken, nor told again since.
    missing: Ranges,
    /// The master's last second.
    beat: u32,
    /// What its answer must repeat.
    nonce: u64,
    /// Whether it is one of now, and not the copy of an old one.
    proven: bool,
}

impl Stream {
    /// One that was not heard of. With `proven` it is believed at once; else it has to repeat the
    /// nonce first, which nobody can guess.
    pub const fn new(id: u64, nonce: u64, proven: bool) -> Self {
        Self {
            id,
            next: 0,
            missing: Ranges::new(),
            beat: 0,
            nonce,
            proven,
        }
    }

    /// Which one it is.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is known to be one of now.
    pub const fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether something is to be asked for.
    pub const fn lacks(&self) -> bool {
        !self.proven || !self.missing.is_empty()
    }

    /// A datagram of entries has come.
    pub fn entries(&mut self, tail: &Tail) -> Verdict {
        self.beat = self.beat.max(tail.beat);
        let is_first = self.next == 0;
        let behind = tail.number.saturating_add(1);
        if !self.proven {
            self.is_at(behind);
            return Verdict::Unproven;
        }
        if tail.number < self.next {
            return Verdict::Late;
        }
        let lost = self.is_at(tail.number);
        self.next = behind;
        // Of one that has not been heard of it is no loss.
        Verdict::Take {
            lost: if is_first { 0 } else { lost },
        }
    }

    /// A datagram has come that tells how far the stream is. How many datagrams were passed over.
    pub fn beat(&mut self, tailed: &Tailed<'_>) -> u64 {
        let tail = &tailed.tail;
        self.proven |= tail.nonce == self.nonce;
        let is_first = self.next == 0;
        let lost = self.is_at(tail.number);
        if !self.proven {
            // A copy may say anything that was true once.
            return 0;
        }
        self.beat = self.beat.max(tail.beat);
        for again in tailed.ranges() {
            // What was told again has numbers of its own, which are missed where they did not come.
            if again.to <= tail.number {
                self.missing.remove(again);
            }
        }
        if is_first {
            0
        } else {
            lost
        }
    }

    /// Asks for what is missing.
    pub const fn ask(&self) -> (Tail, &Ranges) {
        let tail = Tail {
            kind: Kind::Ask,
            stream: self.id,
            number: self.next,
            beat: self.beat,
            nonce: self.nonce,
            signed: false,
        };
        (tail, &self.missing)
    }

    /// The next number is that one: what is below and did not come is missing.
    fn is_at(&mut self, next: u64) -> u64 {
        let Some(missed) = Range::new(self.next, next) else {
            return 0;
        };
        self.missing.add(missed);
        self.next = next;
        missed.count()
    }
}

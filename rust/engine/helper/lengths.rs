// SPDX-License-Identifier: GPL-2.0

//! Sequence numbers of a side whose lines were written anew and are longer or shorter than they were.

use super::super::csum::Delta;
use super::super::wire::options::{TcpOptions, SACK};
use super::super::wire::transport::TCP_MIN_LEN;
use super::super::wire::TcpFlags;

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const FLAGS: usize = 13;

/// Bits of what all lines together have grown by.
const ALL_BITS: u32 = 24;

/// What all may grow by, less one.
const LIMIT: i32 = 1 << (ALL_BITS - 2);

/// By how much the stream of one side has grown: up to the last segment that was written anew, and behind
/// it. 64 bits, so that packets on other CPUs see both or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// The sequence number of that segment.
    position: u32,
    /// What all have grown by.
    all: i32,
    /// What the last one has.
    last: i8,
}

impl Lengths {
    /// Nothing was written anew.
    pub const NONE: Self = Self {
        position: 0,
        all: 0,
        last: 0,
    };

    /// That of [`Lengths::word`].
    pub const fn of_word(word: u64) -> Self {
        Self {
            position: (word >> 32) as u32,
            // The sign comes along.
            all: (word as u32 as i32) >> (32 - ALL_BITS),
            last: word as u8 as i8,
        }
    }

    /// As one word.
    pub const fn word(self) -> u64 {
        let low = ((self.all as u32) << (32 - ALL_BITS)) | self.last as u8 as u32;
        ((self.position as u64) << 32) | low as u64
    }

    /// As `ip_vs` keeps it (`struct ip_vs_seq`): the number of that segment, what all have grown by, and what
    /// all before that segment have.
    pub const fn words(self) -> [u32; 3] {
        let all = self.all as u32;
        [self.position, all, all.wrapping_sub(self.last as u32)]
    }

    /// That of [`Lengths::words`]. None where they have grown by more than there is room for.
    pub fn of_words([position, all, before]: [u32; 3]) -> Option<Self> {
        let (all, last) = (all as i32, all.wrapping_sub(before) as i32);
        (-LIMIT..LIMIT).contains(&all).then_some(Self {
            position,
            all,
            last: i8::try_from(last).ok()?,
        })
    }

    /// Whether nothing has grown.
    pub const fn is_none(self) -> bool {
        self.all == 0 && self.last == 0
    }

    /// What a segment of that sequence number, which has grown by `bytes`, makes of it. None where the
    /// sums have no room for it. One that is sent again has grown before.
    pub fn and(self, sequence: u32, bytes: i32) -> Option<Self> {
        let is_later = self.is_none() || is_after(sequence, self.position);
        if bytes == 0 || !is_later {
            return Some(self);
        }
        let all = self.all.checked_add(bytes)?;
        if !(-LIMIT..LIMIT).contains(&all) {
            return None;
        }
        Some(Self {
            position: sequence,
            all,
            last: i8::try_from(bytes).ok()?,
        })
    }

    /// What is added to the sequence number of one of the side's segments.
    const fn of(self, sequence: u32) -> u32 {
        let all = self.all as u32;
        if is_after(sequence, self.position) {
            all
        } else {
            all.wrapping_sub(self.last as u32)
        }
    }

    /// What was added to the number that the other side acknowledges.
    const fn of_acknowledged(self, number: u32) -> u32 {
        let before = (self.all as u32).wrapping_sub(self.last as u32);
        self.of(number.wrapping_sub(before))
    }
}

/// Gives a segment the numbers that its receiver knows: `own` is how its sender's stream has grown, `other`
/// the receiver's. What it acknowledges has `shift` added besides, which stays. Returns what that adds to
/// the checksum; `None` when the header is shorter than one.
pub fn adjust(header: &mut [u8], own: Lengths, other: Lengths, shift: u32) -> Option<Delta> {
    let mut moved = Delta::NONE;
    if !own.is_none() {
        moved = moved.and(change(header, SEQUENCE, |number| {
            number.wrapping_add(own.of(number))
        })?);
    }
    if other.is_none() || !TcpFlags(*header.get(FLAGS)?).has(TcpFlags::ACK) {
        return Some(moved);
    }
    let back = |number: u32| number.wrapping_sub(other.of_acknowledged(number.wrapping_sub(shift)));
    moved = moved.and(change(header, ACKNOWLEDGMENT, back)?);
    let mut at = TCP_MIN_LEN;
    loop {
        let mut options = TcpOptions::behind(header, at);
        let Some(option) = options.next() else {
            return Some(moved);
        };
        at = option.offset.checked_add(option.len)?;
        let mut edge = option.offset.checked_add(2)?;
        while option.kind == SACK && edge.checked_add(4)? <= at {
            moved = moved.and(change(header, edge, back)?);
            edge = edge.checked_add(4)?;
        }
    }
}

/// Changes a number of the header; what that adds to the checksum.
fn change(header: &mut [u8], at: usize, to: impl Fn(u32) -> u32) -> Option<Delta> {
    let field = header.get_mut(at..)?.first_chunk_mut::<4>()?;
    let old = *field;
    *field = to(u32::from_be_bytes(old)).to_be_bytes();
    let delta = Delta::of_u32(u32::from_le_bytes(old), u32::from_le_bytes(*field));
    Some(if at % 2 == 0 {
        delta
    } else {
        delta.at_odd_offset()
    })
}

/// Whether a sequence number is later than another (RFC 9293, section 3.4).
const fn is_after(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::super::super::csum;
    use super::*;

    fn header(sequence: u32, acknowledged: u32, options: &[u8]) -> Vec<u8> {
        let mut header = vec![0x13, 0x88, 0, 80];
        header.extend(sequence.to_be_bytes());
        header.extend(acknowledged.to_be_bytes());
        header.extend([(5 + options.len() as u8 / 4) << 4, 0x10, 1, 0, 0, 0, 0, 0]);
        header.extend(options);
        let sum = csum::of(&header).to_le_bytes();
        header[16..18].copy_from_slice(&sum);
        header
    }

    fn numbers(header: &[u8]) -> (u32, u32) {
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        (word(SEQUENCE), word(ACKNOWLEDGMENT))
    }

    fn adjusted(mut header: Vec<u8>, own: Lengths, other: Lengths, shift: u32) -> Vec<u8> {
        let delta = adjust(&mut header, own, other, shift).unwrap();
        let sum = u16::from_le_bytes([header[16], header[17]]);
        header[16..18].copy_from_slice(&delta.apply(sum).to_le_bytes());
        assert_eq!(csum::of(&header), 0, "{header:02x?}");
        header
    }

    #[test]
    fn words_and_back() {
        for all in [0, 1, -1, 7_000, -4_000_000, 4_000_000] {
            for last in [0, 1, -1, 127, -128] {
                let lengths = Lengths {
                    position: 0xfedc_ba98,
                    all,
                    last,
                };
                assert_eq!(Lengths::of_word(lengths.word()), lengths);
            }
        }
        assert_eq!(Lengths::of_word(0), Lengths::NONE);
    }

    #[test]
    fn segments_before_and_behind() {
        // Two lines were written anew, the first 5 longer, the second 2 shorter.
        for start in [1_000u32, u32::MAX - 20] {
            let at = |offset: u32| start.wrapping_add(offset);
            let once = Lengths::NONE.and(at(0), 5).unwrap();
            // What is sent again changes nothing.
            assert_eq!(once.and(at(0), 5), Some(once));
            let twice = once.and(at(40), -2).unwrap();
            assert_eq!(twice.and(at(40), -2), Some(twice));
            let seq = |lengths, offset| {
                let sent = header(at(offset), 7, &[]);
                numbers(&adjusted(sent, lengths, Lengths::NONE, 0))
                    .0
                    .wrapping_sub(start)
            };
            assert_eq!((seq(once, 0), seq(once, 20)), (0, 25));
            assert_eq!((seq(twice, 40), seq(twice, 60)), (45, 63));
            // The other side acknowledges what it has got.
            let ack = |lengths, offset| {
                let sent = header(7, at(offset), &[]);
                numbers(&adjusted(sent, Lengths::NONE, lengths, 0))
                    .1
                    .wrapping_sub(start)
            };
            assert_eq!((ack(once, 0), ack(once, 25)), (0, 20));
            assert_eq!((ack(twice, 45), ack(twice, 63)), (40, 60));
        }
    }

    #[test]
    fn what_is_acknowledged_is_shifted_as_well() {
        let shift = 0xffff_0000u32;
        let grown = Lengths::NONE.and(1_000, 5).unwrap();
        let mut options = vec![1, 1, 5, 18];
        for edge in [1_025u32, 1_045, 1_000, 1_030] {
            options.extend(edge.wrapping_add(shift).to_be_bytes());
        }
        options.extend([1, 1]);
        options.truncate(20);
        let sent = header(7, 1_025u32.wrapping_add(shift), &options);
        let got = adjusted(sent, Lengths::NONE, grown, shift);
        assert_eq!(numbers(&got), (7, 1_020u32.wrapping_add(shift)));
        let edge =
            |at: usize| u32::from_be_bytes(got[at..at + 4].try_into().unwrap()).wrapping_sub(shift);
        assert_eq!(
            (edge(24), edge(28), edge(32), edge(36)),
            (1_020, 1_040, 1_000, 1_025)
        );
    }

    #[test]
    fn sums_have_an_end() {
        let mut lengths = Lengths::NONE;
        let mut at = 0u32;
        loop {
            at = at.wrapping_add(1_000);
            match lengths.and(at, 60) {
                Some(more) => lengths = more,
                None => break,
            }
            assert_eq!(Lengths::of_word(lengths.word()), lengths);
        }
        assert!(lengths.all > 4_000_000);
        assert_eq!(Lengths::NONE.and(1, 1_000), None);
        assert_eq!(adjust(&mut [0; 7], lengths, lengths, 0), None);
    }
}

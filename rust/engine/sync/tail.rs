// SPDX-License-Identifier: GPL-2.0

//! What RVS adds behind the last entry of a datagram: its number, so that others see what they lack.
//!
//! Whoever reads as many entries as the header says never sees it, as `ip_vs` does; what is only a
//! tail has no entries.
//!
//! | bytes | what |
//! |---|---|
//! | 0-3 | "RVS" and the version, 1 |
//! | 4 | see [`Kind`] |
//! | 5 | how many ranges follow |
//! | 6 | 1 where a signature follows |
//! | 7 | 0 |
//! | 8-15 | the stream: another one for each queue of each daemon that was started |
//! | 16-23 | the datagram's number in it, from 1 on; of what has none of its own, the next one's |
//! | 24-27 | seconds since the daemon was started |
//! | 28-35 | a number that whoever asks has made up, and whoever answers repeats |
//! | 36-  | ranges of numbers, two of 8 bytes each |

use super::{
    entry::Reader,
    fault::Fault,
    ranges::{Range, RANGES},
};

/// What a tail begins with.
const MAGIC: [u8; 4] = *b"RVS\x01";

/// Bytes of a tail without ranges and signature.
const FIXED: usize = 36;

/// Bytes of a range.
const RANGE: usize = 16;

/// Bytes of a signature.
pub const SIGNATURE: usize = 32;

/// Bytes that a datagram of entries needs for its tail, with what it is aligned by.
pub const ROOM: usize = 3 + FIXED + SIGNATURE;

/// Bytes of a datagram that is only a tail, at most. An answer has a range more than what it answers.
pub const TAIL_MAX: usize = super::HEADER + FIXED + (RANGES + 1) * RANGE + SIGNATURE;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Entries of connections that whoever tells looks after.
    Entries = 1,
    /// Entries of what others have told: they are taken where nothing is known.
    Hearsay = 2,
    /// Tells how far a stream is. Its ranges were told again, in numbers that are below its own.
    Beat = 3,
    /// Asks for what was told under the numbers of its ranges.
    Ask = 4,
}

/// A tail, but for its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// What the datagram is.
    pub kind: Kind,
    /// Its stream.
    pub stream: u64,
    /// Its number, or the next one's.
    pub number: u64,
    /// Seconds since the stream began; of who asks, the last that was heard.
    pub beat: u32,
    /// What whoever asks has made up.
    pub nonce: u64,
    /// Whether a signature follows.
    pub signed: bool,
}

/// A tail that was read.
#[derive(Clone, Copy, Debug)]
pub struct Tailed<'a> {
    /// The tail.
    pub tail: Tail,
    ranges: &'a [u8],
}

impl Tailed<'_> {
    /// Its ranges.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + use<'_> {
        self.ranges.chunks_exact(RANGE).filter_map(range)
    }
}

fn range(bytes: &[u8]) -> Option<Range> {
    let mut rest = Reader(bytes);
    Range::new(rest.long()?, rest.long()?)
}

impl Tail {
    /// The tail of what stands behind the entries; none where that is no tail.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Tailed<'_>>, Fault> {
        if !bytes.starts_with(&MAGIC) {
            return Ok(None);
        }
        let tailed = Self::parts(bytes).ok_or(Fault::Tail)?;
        let count = tailed.ranges.len() / RANGE;
        if tailed.ranges().count() != count || count > RANGES + 1 {
            return Err(Fault::Tail);
        }
        Ok(Some(tailed))
    }

    fn parts(bytes: &[u8]) -> Option<Tailed<'_>> {
        let mut rest = Reader(bytes);
        let [.., kind, count, signed, zero] = rest.array::<8>()?;
        let tail = Self {
            kind: match kind {
                1 => Kind::Entries,
                2 => Kind::Hearsay,
                3 => Kind::Beat,
                4 => Kind::Ask,
                _ => return None,
            },
            stream: rest.long()?,
            number: rest.long()?,
            beat: rest.word()?,
            nonce: rest.long()?,
            signed: signed == 1,
        };
        let signature = if tail.signed { SIGNATURE } else { 0 };
        let length = usize::from(count).checked_mul(RANGE)?;
        let (ranges, behind) = rest.0.split_at_checked(length)?;
        // The number behind the last is one too.
        let fits = behind.len() == signature && signed <= 1 && zero == 0 && tail.number != u64::MAX;
        fits.then_some(Tailed { tail, ranges })
    }

    /// Bytes of it with so many ranges.
    pub(super) const fn len(&self, ranges: usize) -> usize {
        let signature = if self.signed { SIGNATURE } else { 0 };
        let ranges = ranges.saturating_mul(RANGE);
        ranges.saturating_add(FIXED).saturating_add(signature)
    }

    /// Gives `out` its bytes; those of the signature are 0.
    pub(super) fn write(&self, ranges: &[Range], out: &mut impl FnMut(&[u8])) {
        out(&MAGIC);
        out(&[self.kind as u8, ranges.len() as u8, self.signed.into(), 0]);
        out(&self.stream.to_be_bytes());
        out(&self.number.to_be_bytes());
        out(&self.beat.to_be_bytes());
        out(&self.nonce.to_be_bytes());
        for range in ranges {
            out(&range.from.to_be_bytes());
            out(&range.to.to_be_bytes());
        }
        if self.signed {
            out(&[0; SIGNATURE]);
        }
    }
}

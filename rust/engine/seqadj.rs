// SPDX-License-Identifier: GPL-2.0

//! Moving a TCP connection's sequence numbers and timestamps (FullNAT).
//!
//! Behind a local address the real server sees many clients as one host. A client that gets the
//! port of another that has just left must not look like an old duplicate of it: its initial
//! sequence number and its timestamps have to be later ones, whatever clocks the two have. So both
//! are moved by a distance that stays the same for the connection's life: sequence numbers to
//! RFC 6528's rule for the addresses that the real server sees, timestamps to this host's clock.
//! The client sees none of it: what comes back is moved back, acknowledgments, selective ones and
//! echoed timestamps.

use super::csum::Delta;
use super::wire::options::{TcpOption, TcpOptions, SACK, TIMESTAMPS, TIMESTAMPS_LEN};
use super::wire::transport::TCP_MIN_LEN;
use super::wire::TcpFlags;

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;

/// Two no-operations, kind and length of timestamps: how nearly every segment with timestamps and
/// no more options starts them (RFC 7323, appendix A).
const ALIGNED_TIMESTAMPS: [u8; 4] = [1, 1, TIMESTAMPS, TIMESTAMPS_LEN as u8];

/// What is added to a client's sequence numbers and timestamps toward the real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    sequence: u32,
    timestamps: u32,
}

/// What a connection's first segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    sequence: u32,
    timestamp: Option<u32>,
}

impl Opening {
    /// Reads `header`, a whole TCP header with its options. None when it is shorter than one.
    pub fn read(header: &[u8]) -> Option<Self> {
        let timestamp = TcpOptions::of(header)
            .find(is_timestamps)
            .and_then(|option| word(header, option.offset.checked_add(2)?));
        Some(Self {
            sequence: word(header, SEQUENCE)?,
            timestamp,
        })
    }
}

impl Shift {
    /// Nothing is moved.
    pub const NONE: Self = Self {
        sequence: 0,
        timestamps: 0,
    };

    /// From what the client opened with to an initial sequence number and a timestamp.
    pub fn new(opening: &Opening, sequence: u32, timestamp: u32) -> Self {
        Self {
            sequence: sequence.wrapping_sub(opening.sequence),
            // Who does not send them first may not send them later (RFC 7323).
            timestamps: opening
                .timestamp
                .map_or(0, |first| timestamp.wrapping_sub(first)),
        }
    }

    /// Moves by so much: sequence numbers, timestamps.
    pub const fn of_words([sequence, timestamps]: [u32; 2]) -> Self {
        Self {
            sequence,
            timestamps,
        }
    }

    /// By how much it moves.
    pub const fn words(self) -> [u32; 2] {
        [self.sequence, self.timestamps]
    }

    /// Whether nothing is moved.
    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.sequence | self.timestamps == 0
    }

    /// Moves a segment of the client. `header` is its whole TCP header with options. Returns what
    /// that adds to its checksum; `None` when the header is shorter than one.
    #[inline(always)]
    pub fn toward_dest(self, header: &mut [u8]) -> Option<Delta> {
        let moved = add(header, SEQUENCE, self.sequence)?;
        if self.timestamps == 0 {
            return Some(moved);
        }
        let value = match aligned_timestamps(header) {
            Some(value) => value,
            None => timestamps(header)?,
        };
        Some(match value {
            0 => moved,
            value => moved.and(add(header, value, self.timestamps)?),
        })
    }

    /// Moves a segment of the real server back; otherwise as [`Shift::toward_dest`].
    #[inline(always)]
    pub fn toward_client(self, header: &mut [u8]) -> Option<Delta> {
        let flags = TcpFlags(*header.get(FLAGS)?);
        if !flags.has(TcpFlags::ACK) {
            return Some(Delta::NONE);
        }
        let back = self.sequence.wrapping_neg();
        let moved = add(header, ACKNOWLEDGMENT, back)?;
        if header.len() == TCP_MIN_LEN {
            return Some(moved);
        }
        if let Some(value) = aligned_timestamps(header) {
            let echo = value.checked_add(4)?;
            return Some(moved.and(add(header, echo, self.timestamps.wrapping_neg())?));
        }
        self.options_toward_client(header, moved)
    }

    #[cold]
    fn options_toward_client(self, header: &mut [u8], mut moved: Delta) -> Option<Delta> {
        let mut at = TCP_MIN_LEN;
        loop {
            // One at a time, as each is written to before the next is read.
            let Some(option) = TcpOptions::of(header).find(|option| option.offset >= at) else {
                return Some(moved);
            };
            at = option.offset.checked_add(option.len)?;
            if is_timestamps(&option) {
                let echo = option.offset.checked_add(6)?;
                moved = moved.and(add(header, echo, self.timestamps.wrapping_neg())?);
            } else if option.kind == SACK {
                let mut edge = option.offset.checked_add(2)?;
                while edge.checked_add(4)? <= at {
                    moved = moved.and(add(header, edge, self.sequence.wrapping_neg())?);
                    edge = edge.checked_add(4)?;
                }
            }
        }
    }

    /// Moves the start of a segment that an ICMP error quotes, eight bytes at least, back to what
    /// its sender sent: the client if `of_client`. Otherwise as [`Shift::toward_dest`].
    pub fn quoted(self, quote: &mut [u8], of_client: bool) -> Option<Delta> {
        let len = quote
            .get(DATA_OFFSET)
            .map_or(quote.len(), |offset| usize::from(offset >> 4) << 2);
        let len = len.min(quote.len());
        let header = quote.get_mut(..len)?;
        let back = Self {
            sequence: self.sequence.wrapping_neg(),
            timestamps: self.timestamps.wrapping_neg(),
        };
        if of_client {
            return back.toward_dest(header);
        }
        if header.len() < TCP_MIN_LEN {
            return Some(Delta::NONE);
        }
        back.toward_client(header)
    }
}

fn is_timestamps(option: &TcpOption) -> bool {
    option.kind == TIMESTAMPS && option.len == TIMESTAMPS_LEN
}

/// Whether `header`, a whole TCP header, has the usual timestamps and no other options.
#[inline(always)]
pub fn has_only_timestamps(header: &[u8]) -> bool {
    aligned_timestamps(header).is_some()
}

/// Where the value is in a header that has aligned timestamps and nothing else.
#[inline(always)]
fn aligned_timestamps(header: &[u8]) -> Option<usize> {
    const VALUE: usize = TCP_MIN_LEN + ALIGNED_TIMESTAMPS.len();
    let only = header.len() == VALUE + 8;
    (only && header.get(TCP_MIN_LEN..VALUE)? == ALIGNED_TIMESTAMPS).then_some(VALUE)
}

/// Where the value is; 0 when there are none.
#[cold]
fn timestamps(header: &[u8]) -> Option<usize> {
    match TcpOptions::of(header).find(is_timestamps) {
        Some(option) => option.offset.checked_add(2),
        None => Some(0),
    }
}

/// The number at `offset`, network order in memory.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        *bytes.get(offset..)?.first_chunk::<4>()?,
    ))
}

/// Adds to the number at `offset`; returns what that adds to the checksum.
#[inline(always)]
fn add(bytes: &mut [u8], offset: usize, addend: u32) -> Option<Delta> {
    let field = bytes.get_mut(offset..)?.first_chunk_mut::<4>()?;
    let old = *field;
    *field = u32::from_be_bytes(old).wrapping_add(addend).to_be_bytes();
    let delta = Delta::of_u32(u32::from_le_bytes(old), u32::from_le_bytes(*field));
    Some(if offset % 2 == 0 {
        delta
    } else {
        delta.at_odd_offset()
    })
}

#[cfg(test)]
mod tests {
    use super::super::csum;
    use super::*;

    /// A TCP header with options, a checksum over itself alone.
    fn header(flags: u8, sequence: u32, acknowledgment: u32, options: &[u8]) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40, 0x1f, 0x90];
        header.extend(sequence.to_be_bytes());
        header.extend(acknowledgment.to_be_bytes());
        header.extend([(5 + options.len() as u8 / 4) << 4, flags, 1, 0, 0, 0, 0, 0]);
        header.extend(options);
        let sum = csum::of(&header).to_le_bytes();
        header[16..18].copy_from_slice(&sum);
        header
    }

    fn mended(mut header: Vec<u8>, delta: Delta) -> Vec<u8> {
        let old = u16::from_le_bytes([header[16], header[17]]);
        header[16..18].copy_from_slice(&delta.apply(old).to_le_bytes());
        assert_eq!(csum::of(&header), 0, "{header:02x?}");
        header
    }

    fn timestamps(padding: &[u8], value: u32, echo: u32) -> Vec<u8> {
        let mut options = padding.to_vec();
        options.extend([8, 10]);
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
        options.resize(options.len().next_multiple_of(4), 0);
        options
    }

    const SHIFT: Shift = Shift {
        sequence: 0xffff_1234,
        timestamps: 0x8000_0001,
    };

    #[test]
    fn both_ways_with_every_padding() {
        for padding in [&[1u8, 1][..], &[1], &[], &[4, 2], &[1, 1, 1]] {
            let sent = header(0x18, 7, 900, &timestamps(padding, 5, 6));
            let mut seen = sent.clone();
            let delta = SHIFT.toward_dest(&mut seen).unwrap();
            let seen = mended(seen, delta);
            let expected = timestamps(padding, 5u32.wrapping_add(SHIFT.timestamps), 6);
            let sequence = 7u32.wrapping_add(SHIFT.sequence);
            assert_eq!(seen, header(0x18, sequence, 900, &expected));

            let reply = timestamps(padding, 77, 5u32.wrapping_add(SHIFT.timestamps));
            let mut reply = header(0x10, 900, 9u32.wrapping_add(SHIFT.sequence), &reply);
            let delta = SHIFT.toward_client(&mut reply).unwrap();
            let expected = header(0x10, 900, 9, &timestamps(padding, 77, 5));
            assert_eq!(mended(reply, delta), expected);
        }
    }

    #[test]
    fn every_edge_of_selective_acknowledgments() {
        let edges = |shift: u32| {
            let mut options = timestamps(&[1, 1], 1, 2u32.wrapping_add(shift & SHIFT.timestamps));
            options.extend([1, 1, 5, 26]);
            for edge in [10u32, 20, 30, 40, 50, 60] {
                options.extend(edge.wrapping_add(shift & SHIFT.sequence).to_be_bytes());
            }
            options
        };
        let sent = 5u32.wrapping_add(SHIFT.sequence);
        let mut reply = header(0x10, 1, sent, &edges(u32::MAX));
        let delta = SHIFT.toward_client(&mut reply).unwrap();
        assert_eq!(mended(reply, delta), header(0x10, 1, 5, &edges(0)));
        // Those of the client are about the real server's numbers.
        let mut sent = header(0x10, 1, 5, &edges(0));
        let delta = SHIFT.toward_dest(&mut sent).unwrap();
        let sent = mended(sent, delta);
        assert_eq!(sent[20 + 16..], edges(0)[16..]);
    }

    #[test]
    fn an_acknowledgment_that_is_none_stays() {
        let reset = header(0x04, 5, 6, &[]);
        let mut seen = reset.clone();
        assert_eq!(SHIFT.toward_client(&mut seen), Some(Delta::NONE));
        assert_eq!(seen, reset);
    }

    #[test]
    fn what_is_opened_with_becomes_what_is_wanted() {
        let syn = header(0x02, 0xffff_fff0, 0, &timestamps(&[4, 2], 1_000, 0));
        let opening = Opening::read(&syn).unwrap();
        let shift = Shift::new(&opening, 0x20, 5_000);
        let mut seen = syn;
        shift.toward_dest(&mut seen).unwrap();
        assert_eq!(seen[4..8], 0x20u32.to_be_bytes());
        assert_eq!(seen[24..28], 5_000u32.to_be_bytes());
        let plain = Opening::read(&header(0x02, 1, 0, &[])).unwrap();
        assert_eq!(Shift::new(&plain, 1, 5_000), Shift::NONE);
        assert!(Shift::NONE.is_none() && !shift.is_none());
    }

    #[test]
    fn short_headers_are_no_headers() {
        assert_eq!(Opening::read(&[0; 7]), None);
        assert_eq!(SHIFT.toward_dest(&mut [0; 7]), None);
        assert_eq!(SHIFT.toward_client(&mut [0; 13]), None);
    }

    #[test]
    fn quotes_are_moved_back() {
        let sent = header(0x18, 7, 900, &timestamps(&[1, 1], 5, 6));
        let mut quote = sent.clone();
        let there = SHIFT.toward_dest(&mut quote).unwrap();
        quote = mended(quote, there);
        quote.extend([8, 10, 1, 1, 1, 1, 1, 1, 1, 1]);
        for len in [8, 13, 20, 32, 42] {
            let mut cut = quote[..len].to_vec();
            let delta = SHIFT.quoted(&mut cut, true).unwrap();
            assert_eq!(cut[..8], sent[..8]);
            if len >= 32 {
                assert_eq!(mended(cut[..32].to_vec(), delta), sent);
            }
        }
        let reply = header(0x10, 1, 9, &[]);
        let mut quote = header(0x10, 1, 9u32.wrapping_sub(SHIFT.sequence), &[]);
        let delta = SHIFT.quoted(&mut quote, false).unwrap();
        assert_eq!(mended(quote, delta), reply);
        assert_eq!(SHIFT.quoted(&mut [0; 8], false), Some(Delta::NONE));
    }
}

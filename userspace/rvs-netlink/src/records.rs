// SPDX-License-Identifier: GPL-2.0

//! Records, which the kernel makes and takes: what they say is its own affair.

use netlink_packet_core::DecodeError;

use crate::attr::Attr;
use crate::generated::main;

/// Records behind each other, each after its length in two bytes: as files have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    len: u64,
}

impl Records {
    /// Adds one.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        let length = u16::try_from(record.len())
            .map_err(|_| DecodeError::from("a record of more than 64 KiB".to_owned()))?;
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(record);
        self.len += 1;
        Ok(())
    }

    /// Adds those of another behind them.
    pub fn append(&mut self, more: &Self) {
        self.bytes.extend(&more.bytes);
        self.len += more.len;
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// As files have them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (record, behind) = first(rest)?;
            rest = behind;
            Some(record)
        })
    }

    /// Of a file's bytes; none where the lengths do not come out even.
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut len = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            (_, rest) = first(rest)?;
            len += 1;
        }
        Some(Self { bytes, len })
    }

    /// All of them in parts of about so many bytes, in order.
    pub fn parts(&self, size: usize) -> impl Iterator<Item = Self> + '_ {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (mut at, mut len) = (0, 0);
            while at < size {
                let Some((record, _)) = rest.get(at..).and_then(first) else {
                    break;
                };
                at += 2 + record.len();
                len += 1;
            }
            let (part, behind) = rest.split_at_checked(at)?;
            rest = behind;
            let bytes = part.to_vec();
            (len > 0).then_some(Self { bytes, len })
        })
    }

    /// An attribute for each.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attr> + '_ {
        self.iter().map(|record| Attr::bytes(main::RECORD, record))
    }
}

/// The first record, and what is behind it; none where it is cut.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let mut all = Records::default();
        for length in 0..200_usize {
            all.push(&vec![length as u8; length]).unwrap();
        }
        for size in [1, 100, 4096, 1 << 20] {
            let mut again = Records::default();
            all.parts(size).for_each(|part| again.append(&part));
            assert_eq!(again, all);
            assert_eq!(again.attributes().count(), 200);
        }
        let bytes = all.as_bytes().to_vec();
        assert_eq!(Records::of_bytes(bytes.clone()), Some(all));
        assert_eq!(Records::of_bytes(bytes[..bytes.len() - 1].to_vec()), None);
        assert_eq!(Records::default().parts(1).count(), 0);
    }
}

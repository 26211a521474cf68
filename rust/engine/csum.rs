// SPDX-License-Identifier: GPL-2.0

//! The Internet checksum (RFC 1071) and how it changes with the words it covers (RFC 1624).
//!
//! Words are read from the packet as little-endian numbers: the ones' complement sum does not care,
//! as long as all of them are read the same way.

/// What exchanging words adds to the sum over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta(u16);

impl Delta {
    /// Nothing changes.
    pub const NONE: Self = Self(0);

    /// `from` becomes `to`.
    #[inline]
    pub const fn of_u16(from: u16, to: u16) -> Self {
        Self(fold((!from as u64).wrapping_add(to as u64)))
    }

    /// `from` becomes `to`.
    #[inline]
    pub const fn of_u32(from: u32, to: u32) -> Self {
        Self(fold((!from as u64).wrapping_add(to as u64)))
    }

    /// `from` becomes `to`.
    #[inline]
    pub const fn of_u64(from: u64, to: u64) -> Self {
        Self(fold(halves(!from).wrapping_add(halves(to))))
    }

    /// Both changes.
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(fold((self.0 as u64).wrapping_add(other.0 as u64)))
    }

    /// The change back.
    #[inline]
    pub const fn reversed(self) -> Self {
        Self(!self.0)
    }

    /// The same change of words that lie across two words of the sum.
    #[inline]
    pub const fn at_odd_offset(self) -> Self {
        Self(self.0.swap_bytes())
    }

    /// The checksum field after the change; `field` as read from the packet.
    #[inline(always)]
    pub const fn apply(self, field: u16) -> u16 {
        !self.apply_to_sum(!field)
    }

    /// As [`Delta::apply`] for a sum that is not inverted, such as the pseudo header's that a
    /// device is to complete.
    #[inline(always)]
    pub const fn apply_to_sum(self, sum: u16) -> u16 {
        fold((sum as u64).wrapping_add(self.0 as u64))
    }
}

/// The checksum of `bytes`; 0 when they hold the right one.
#[inline]
pub fn of(bytes: &[u8]) -> u16 {
    !sum(bytes)
}

/// The checksum of all parts, one behind the other; all but the last have an even length.
pub fn of_parts(parts: &[&[u8]]) -> u16 {
    let sums = parts.iter().map(|part| u64::from(sum(part)));
    !fold(sums.fold(0, u64::wrapping_add))
}

/// As [`of`], of so few bytes that each is added where it stands: those of a header.
#[inline(always)]
pub fn of_header<const LEN: usize>(bytes: &[u8; LEN]) -> u16 {
    const { assert!(LEN % 4 == 0) };
    let mut sum = 0u64;
    for word in bytes.chunks_exact(4) {
        if let Ok(word) = word.try_into() {
            sum = sum.wrapping_add(u64::from(u32::from_le_bytes(word)));
        }
    }
    !fold(sum)
}

/// The sum of `bytes`, not inverted.
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    let mut words = bytes.chunks_exact(4);
    let mut sum = 0u64;
    for word in &mut words {
        if let Ok(word) = word.try_into() {
            // A packet has less than 2^16 bytes: no carry is lost.
            sum = sum.wrapping_add(u64::from(u32::from_le_bytes(word)));
        }
    }
    let mut rest = [0; 4];
    for (to, from) in rest.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    fold(sum.wrapping_add(u64::from(u32::from_le_bytes(rest))))
}

/// The two halves of a word, added: less than 2^33.
#[inline(always)]
const fn halves(word: u64) -> u64 {
    (word & 0xffff_ffff).wrapping_add(word >> 32)
}

/// A long sum as 16 bits, carries added in.
#[inline(always)]
const fn fold(sum: u64) -> u16 {
    let (low, carry) = (sum as u32).overflowing_add((sum >> 32) as u32);
    let sum = low.wrapping_add(carry as u32);
    // The upper half of this is that of both halves' sum, and the lower half's carry.
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum of words, from RFC 1071's definition.
    fn checksum(words: &[u16]) -> u16 {
        let mut sum: u32 = words.iter().map(|&word| u32::from(word)).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn long_sums_are_folded_with_all_carries() {
        let folded = |mut sum: u64| {
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            sum as u16
        };
        let mut sum = 0x0123_4567_89ab_cdef_u64;
        for _ in 0..100_000 {
            sum = sum
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            for shift in [0, 13, 31, 32, 47, 48] {
                assert_eq!(fold(sum >> shift), folded(sum >> shift));
            }
        }
        for sum in [
            0,
            0xffff,
            0x1_0000,
            0x1_fffe,
            0xffff_ffff,
            0xffff_0000,
            1 << 32,
            u64::MAX,
        ] {
            assert_eq!(fold(sum), folded(sum), "{sum:x}");
        }
    }

    #[test]
    fn a_headers_sum_is_that_of_its_bytes() {
        let header: [u8; 20] = core::array::from_fn(|at| (at * 37 + 200) as u8);
        assert_eq!(of_header(&header), of(&header));
        assert_eq!(of_header(&[0xff; 40]), of(&[0xff; 40]));
    }

    fn words(value: u64) -> [u16; 4] {
        [0, 16, 32, 48].map(|shift| (value >> shift) as u16)
    }

    #[test]
    fn the_change_is_that_of_summing_anew() {
        let values = [
            0,
            1,
            0xffff,
            0x1_0000,
            0xffff_ffff,
            0xdead_beef_0123_4567,
            u64::MAX,
        ];
        for from in values {
            for to in values {
                let rest = [0x4500u16, 0x1c46, 0xffff, 7];
                let before = checksum(&[&rest[..], &words(from)].concat());
                let after = checksum(&[&rest[..], &words(to)].concat());
                let delta = Delta::of_u64(from, to);
                // 0 and 0xffff are the same number in ones' complement.
                assert_eq!(delta.apply(before) % 0xffff, after % 0xffff);
                assert_eq!(delta.reversed().apply(after) % 0xffff, before % 0xffff);
                assert_eq!(delta.apply_to_sum(!before) % 0xffff, !after % 0xffff);
            }
        }
    }

    #[test]
    fn two_changes_are_one() {
        let one = Delta::of_u32(0x0a00_0001, 0xc0a8_3865);
        let two = Delta::of_u32(0x1f90_0050, 0x0050_1f90);
        assert_eq!(one.and(two).apply(0x1234), two.apply(one.apply(0x1234)));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a change of an SCTP packet's ports makes of its CRC32c (RFC 9260, appendix A).
//!
//! A CRC is linear: that of two messages' exclusive or, without the constants at its ends, is the
//! exclusive or of theirs. So only the four bytes that change and their distance from the end
//! count, and a packet that was broken on its way stays broken, which a sum made anew would hide.

/// The polynomial of Castagnoli, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x^0 in the reversed form: the highest bit.
const ONE: u32 = 1 << 31;

/// x^(8 * 2^n) modulo the polynomial, by n: what 2^n bytes behind them do to a message's bytes.
const SHIFTS: [u32; 32] = {
    let mut shifts = [0; 32];
    // x^8.
    let mut power = ONE >> 8;
    let mut n = 0;
    while n < 32 {
        shifts[n] = power;
        power = multiply(power, power);
        n += 1;
    }
    shifts
};

/// The product of two polynomials modulo the third.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut sum, mut a, mut b) = (0, a, b);
    while a != 0 {
        if a & ONE != 0 {
            sum ^= b;
        }
        a <<= 1;
        // Times x.
        b = (b >> 1) ^ if b & 1 != 0 { POLYNOMIAL } else { 0 };
    }
    sum
}

/// What to combine by exclusive or with the CRC of a message of `len` bytes whose first four
/// change from `from` to `to`, each read as one little-endian number, as the CRC is written.
pub const fn delta(from: u32, to: u32, len: u32) -> u32 {
    // The remainder of the four bytes alone, as if nothing followed: x^32 times them.
    let mut remainder = multiply(from ^ to, SHIFTS[2]);
    let mut behind = len.saturating_sub(4);
    let mut n = 0;
    while behind != 0 {
        if behind & 1 != 0 {
            remainder = multiply(remainder, SHIFTS[n & 31]);
        }
        behind >>= 1;
        n += 1;
    }
    remainder
}

/// CRC32c of `bytes`, bit by bit: for tests.
#[cfg(test)]
pub fn of(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_castagnoli() {
        assert_eq!(of(b"123456789"), 0xe306_9283);
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_change_of_the_ports_is_followed_at_any_length() {
        for len in [12_usize, 13, 16, 28, 100, 1480, 1499, 9000, 65_515] {
            let mut bytes: Vec<u8> = (0..len).map(|n| (n * 7 + len) as u8).collect();
            let before = of(&bytes);
            let from = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            let to = 0x5000_9c40_u32.rotate_left(len as u32);
            bytes[..4].copy_from_slice(&to.to_le_bytes());
            assert_eq!(before ^ delta(from, to, len as u32), of(&bytes), "{len}");
        }
        assert_eq!(delta(7, 7, 1500), 0);
    }
}

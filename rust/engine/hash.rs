// SPDX-License-Identifier: GPL-2.0

//! Keyed hashing of connections' and services' keys.
//!
//! SipHash-1-3: an attacker who picks addresses and ports but does not know the table's secret
//! cannot fill one bucket. It is what the kernel's `hsiphash` is on 64-bit machines
//! (`lib/siphash.c`), there cut to 32 bits. HalfSipHash works on 32-bit words: for an IPv4 tuple it
//! needs seven rounds where SipHash-1-3 needs five, and its rounds are no cheaper here.
//! SipHash-2-4, which `ip_vs` takes, guards secrets that never leave the host from somebody who
//! sees its results; nobody sees the result of a table's hash.
//!
//! Sources: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012); `lib/siphash.c`.

/// Bytes that an IPv4 tuple has as a message: two addresses, two ports, the protocol.
const V4_BYTES: u64 = 13;

/// Bytes that an IPv6 tuple has as a message.
const V6_BYTES: u64 = 37;

/// A table's secret, stretched to SipHash's starting state.
#[derive(Clone, Copy)]
pub struct Key {
    state: [u64; 4],
}

impl Key {
    /// The key whose 16 bytes are `k0` and `k1`, each little-endian. Both must be random.
    pub const fn new(k0: u64, k1: u64) -> Self {
        Self {
            state: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
        }
    }
}

/// SipHash-`C`-`D` of the message that consists of `words`, little-endian, and then of `last`.
///
/// `last` is the final block: up to seven bytes of the message, little-endian, and its length
/// modulo 256 in the top byte.
#[inline(always)]
fn sip<const C: usize, const D: usize>(key: &Key, words: &[u64], last: u64) -> u64 {
    let mut v = key.state;
    for &word in words {
        compress::<C>(&mut v, word);
    }
    finish::<C, D>(v, last)
}

#[inline(always)]
fn finish<const C: usize, const D: usize>(mut v: [u64; 4], last: u64) -> u64 {
    compress::<C>(&mut v, last);
    v[2] ^= 0xff;
    for _ in 0..D {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline(always)]
fn compress<const C: usize>(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    for _ in 0..C {
        round(v);
    }
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *v;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *v = [a, b, c, d];
}

/// Hash of an IPv4 tuple of these words (`TupleV4::words`); all 64 bits are usable.
#[inline(always)]
pub fn tuple_v4(key: &Key, (addresses, rest): (u64, u64)) -> u64 {
    sip::<1, 3>(key, &[addresses], rest | (V4_BYTES << 56))
}

/// Hash of an IPv6 tuple of these words (`TupleV6::words`); all 64 bits are usable.
#[inline(always)]
pub fn tuple_v6(key: &Key, ([s0, s1], [d0, d1], rest): ([u64; 2], [u64; 2], u64)) -> u64 {
    sip::<1, 3>(key, &[s0, s1, d0, d1], rest | (V6_BYTES << 56))
}

/// Hash of one word; all 64 bits are usable.
#[inline(always)]
pub fn word(key: &Key, value: u64) -> u64 {
    words(key, [value])
}

/// Hash of up to 31 words; all 64 bits are usable.
#[inline(always)]
pub fn words<const N: usize>(key: &Key, values: [u64; N]) -> u64 {
    const { assert!(N < 32) };
    sip::<1, 3>(key, &values, (N as u64) << 59)
}

/// Hash of a number and of bytes; all 64 bits are usable.
pub fn bytes(key: &Key, number: u128, message: &[u8]) -> u64 {
    let mut v = key.state;
    compress::<1>(&mut v, (number >> 64) as u64);
    compress::<1>(&mut v, number as u64);
    let mut last = [0; 8];
    for block in message.chunks(8) {
        match block.first_chunk() {
            Some(whole) => compress::<1>(&mut v, u64::from_le_bytes(*whole)),
            None => last
                .iter_mut()
                .zip(block)
                .for_each(|(to, from)| *to = *from),
        }
    }
    let len = (message.len() as u64).wrapping_add(16) << 56;
    finish::<1, 3>(v, u64::from_le_bytes(last) | len)
}

/// The kernel's `hsiphash_1u32` on 64-bit machines.
#[inline(always)]
pub fn word32(key: &Key, value: u32) -> u32 {
    sip::<1, 3>(key, &[], u64::from(value) | (4 << 56)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::tuple::{TupleV4, TupleV6};
    use super::*;

    /// Key and message of the paper's test vectors: bytes 0, 1, 2 …
    fn reference<const C: usize, const D: usize>(len: usize) -> u64 {
        let message: Vec<u8> = (0..len as u8).collect();
        let key = Key::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let blocks = message.chunks_exact(8);
        let mut last = [0; 8];
        last[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
        last[7] = len as u8;
        let words: Vec<u64> = blocks
            .map(|b| u64::from_le_bytes(b.try_into().unwrap()))
            .collect();
        sip::<C, D>(&key, &words, u64::from_le_bytes(last))
    }

    #[test]
    fn bytes_are_hashed_as_words_are() {
        let key = Key::new(7, 9);
        let message: Vec<u8> = (1..40).collect();
        let mut seen = std::collections::HashSet::new();
        for len in 0..message.len() {
            let message = &message[..len];
            let blocks = message.chunks_exact(8);
            let mut last = [0; 8];
            last[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
            last[7] = len as u8 + 16;
            let mut words = vec![3, 5];
            words.extend(blocks.map(|b| u64::from_le_bytes(b.try_into().unwrap())));
            let expected = sip::<1, 3>(&key, &words, u64::from_le_bytes(last));
            assert_eq!(bytes(&key, (3 << 64) | 5, message), expected, "{len}");
            assert!(seen.insert(expected));
        }
        assert_ne!(bytes(&key, 1, b"a"), bytes(&key, 2, b"a"));
    }

    #[test]
    fn siphash_2_4_gives_the_papers_vectors() {
        // `vectors_sip64` of the reference code, as words; the 15-byte one is in the paper itself.
        let vectors = [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (13, 0x14ea_5627_c084_3d90),
            (15, 0xa129_ca61_49be_45e5),
            (16, 0x3f2a_cc7f_57c2_9bdb),
            (37, 0x0279_90f0_2962_3981),
            (63, 0x958a_324c_eb06_4572),
        ];
        for (len, expected) in vectors {
            assert_eq!(reference::<2, 4>(len), expected, "{len} bytes");
        }
    }

    #[test]
    fn siphash_1_3_gives_the_kernels_vectors() {
        // `test_vectors_hsiphash` for 64-bit machines, lib/tests/siphash_kunit.c: the low half.
        let vectors = [
            (0, 0x050f_c4dc),
            (1, 0x7d57_ca93),
            (7, 0x9bb1_1140),
            (8, 0x8d29_9a8e),
            (13, 0x1229_ffa7),
            (16, 0x7d90_8b66),
            (37, 0xa3c3_3057),
            (63, 0xb7bb_b3a8),
        ];
        for (len, expected) in vectors {
            // hsiphash returns an unsigned long cut to u32.
            assert_eq!(reference::<1, 3>(len) as u32, expected, "{len} bytes");
        }
    }

    #[test]
    fn a_tuple_hashes_as_its_bytes() {
        let key = Key::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let tuple = TupleV4::from_bytes([0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11], 12);
        assert_eq!(tuple_v4(&key, tuple.words()), reference::<1, 3>(13));

        let word64 = |from: u8| u64::from_le_bytes(core::array::from_fn(|i| from + i as u8));
        let tuple = TupleV6::from_words(
            [word64(0), word64(8)],
            [word64(16), word64(24)],
            u32::from_le_bytes([32, 33, 34, 35]),
            36,
        );
        assert_eq!(tuple_v6(&key, tuple.words()), reference::<1, 3>(37));
        let three = words(&key, [word64(0), word64(8), word64(16)]);
        assert_eq!(three, reference::<1, 3>(24));
        assert_eq!(word(&key, word64(0)), reference::<1, 3>(8));
        let word = word32(&key, u32::from_le_bytes([0, 1, 2, 3]));
        assert_eq!(word, reference::<1, 3>(4) as u32);
    }
}

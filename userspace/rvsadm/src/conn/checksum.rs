// SPDX-License-Identifier: GPL-2.0

//! The checksum of files: CRC32c (RFC 9260, appendix A), eight bytes at a time.

/// The polynomial of Castagnoli, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What a byte becomes, by how many bytes are behind it.
const TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = (rest >> 1) ^ if rest & 1 != 0 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = rest;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
};

/// That of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let look = |table: usize, byte: u8| TABLES[table & 7][usize::from(byte)];
    let mut eights = bytes.chunks_exact(8);
    let mut crc = !0_u32;
    for eight in &mut eights {
        let first = crc.to_le_bytes();
        let each = eight.iter().zip(first.iter().chain(&[0; 4]));
        let taken = each.enumerate();
        crc = taken.fold(0, |sum, (at, (byte, over))| sum ^ look(7 - at, byte ^ over));
    }
    let rest = eights.remainder().iter();
    !rest.fold(crc, |crc, byte| (crc >> 8) ^ look(0, byte ^ crc as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        // Those of RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }
}

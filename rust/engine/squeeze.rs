// SPDX-License-Identifier: GPL-2.0

//! Making room for an option in a TCP header that seems to have none.
//!
//! Padding goes, and what the caller has no use for. What stays keeps its order. The new header is
//! as long as one can be, so that it only ever grows.

use super::csum::{self, Delta};
use super::family::IpHeader;
use super::wire::options::TcpOptions;
use super::wire::transport::TCP_MIN_LEN;

/// Longest TCP header, in bytes.
pub const HEADER_MAX: usize = 60;

/// Most bytes of options.
pub const OPTIONS_MAX: usize = HEADER_MAX - TCP_MIN_LEN;

/// Where things are in the TCP header.
const DATA_OFFSET: usize = 12;
const CHECKSUM: usize = 16;

/// The options of `header`, a whole TCP header, with `first` ahead of them, filled up with ends of
/// options. Those stay of whose kind `keeps` is true.
///
/// None when they do not fit; or when options lie about their lengths, since what is behind is not
/// known to be of no use.
pub fn squeeze(
    header: &[u8],
    first: &[u8],
    keeps: impl Fn(u8) -> bool,
) -> Option<[u8; OPTIONS_MAX]> {
    let mut options = [0; OPTIONS_MAX];
    options.get_mut(..first.len())?.copy_from_slice(first);
    let (mut at, mut read) = (first.len(), TCP_MIN_LEN);
    for option in TcpOptions::of(header) {
        read = option.offset.checked_add(option.len)?;
        if !keeps(option.kind) {
            continue;
        }
        let end = at.checked_add(option.len)?;
        options
            .get_mut(at..end)?
            .copy_from_slice(header.get(option.offset..read)?);
        at = end;
    }
    let is_padding = header.get(read..)?.iter().all(|byte| *byte <= 1);
    is_padding.then_some(options)
}

/// Makes `options` those of the packet in `head`, its linear part from its IP header on, and mends
/// lengths and checksums. Its TCP header was `header_len` bytes long, and a gap was opened behind
/// the fixed part that makes it [`HEADER_MAX`]. `is_partial`: the checksum field holds the pseudo
/// header's sum only.
pub fn replace<I: IpHeader>(
    head: &mut [u8],
    ip_header_len: usize,
    header_len: usize,
    options: &[u8; OPTIONS_MAX],
    is_partial: bool,
) -> Option<()> {
    let gap = HEADER_MAX.checked_sub(header_len)?;
    let (ip, tcp) = head.split_at_mut_checked(ip_header_len)?;
    let len = u16::try_from(gap).ok()?;
    I::lengthen(ip, len)?;
    let longer = Delta::of_u16(0, u16::from_le_bytes(len.to_be_bytes()));
    let field = tcp.get_mut(TCP_MIN_LEN..HEADER_MAX)?;
    let before = csum::sum(field.get(gap..)?);
    field.copy_from_slice(options);
    let contents = Delta::of_u16(before, csum::sum(field));
    let offset = tcp.get_mut(DATA_OFFSET)?;
    let old = *offset;
    *offset = (((HEADER_MAX / 4) as u8) << 4) | (old & 0xf);
    let offsets = Delta::of_u16(u16::from(old), u16::from(*offset));
    let checksum = tcp.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    let sum = u16::from_le_bytes(*checksum);
    let sum = if is_partial {
        longer.apply_to_sum(sum)
    } else {
        longer.and(offsets).and(contents).apply(sum)
    };
    *checksum = sum.to_le_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::wire::options::SACK;
    use super::super::wire::Ipv4;
    use super::*;

    const FIRST: [u8; 8] = [254, 8, 0x9c, 0x40, 198, 51, 100, 7];
    const STAMPS: [u8; 10] = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

    fn header(options: &[u8]) -> Vec<u8> {
        let mut header = vec![0; TCP_MIN_LEN];
        header[DATA_OFFSET] = ((TCP_MIN_LEN + options.len()) as u8 / 4) << 4;
        header[13] = 0x10;
        header.extend(options);
        header
    }

    fn no_sack(kind: u8) -> bool {
        kind != SACK
    }

    fn all(_kind: u8) -> bool {
        true
    }

    fn sack(blocks: usize) -> Vec<u8> {
        let mut option = vec![5, 2 + 8 * blocks as u8];
        option.resize(2 + 8 * blocks, 7);
        option
    }

    #[test]
    fn blocks_about_nothing_make_room() {
        let options = [&[1, 1], &STAMPS[..], &[1, 1], &sack(3)].concat();
        assert_eq!(options.len(), OPTIONS_MAX);
        let squeezed = squeeze(&header(&options), &FIRST, no_sack).unwrap();
        assert_eq!(squeezed[..18], [&FIRST[..], &STAMPS].concat());
        assert_eq!(squeezed[18..], [0; 22]);
        assert_eq!(squeeze(&header(&options), &FIRST, all), None);
    }

    #[test]
    fn padding_makes_room() {
        let options = [
            &[1, 1],
            &STAMPS[..],
            &[1, 1, 1, 1],
            &[30, 20],
            &[9; 18],
            &[1, 1, 0, 0],
        ];
        let options = options.concat();
        let squeezed = squeeze(&header(&options), &FIRST, all).unwrap();
        let expected = [&FIRST[..], &STAMPS, &[30, 20], &[9; 18]].concat();
        assert_eq!(squeezed[..38], expected);
    }

    #[test]
    fn nothing_else_is_lost() {
        let full = [&[1, 1], &STAMPS[..], &[30, 24], &[9; 22]].concat();
        assert_eq!(squeeze(&header(&full), &FIRST, no_sack), None);
        let lies = [&[1, 1], &STAMPS[..], &[30, 60], &[9; 26]].concat();
        assert_eq!(squeeze(&header(&lies), &FIRST, no_sack), None);
    }

    #[test]
    fn a_packet_is_sound_afterwards() {
        for old in [vec![1u8; 36], vec![1; 40]] {
            for is_partial in [false, true] {
                let header_len = TCP_MIN_LEN + old.len();
                let gap = HEADER_MAX - header_len;
                let options = squeeze(&header(&old), &FIRST, all).unwrap();
                let mut packet = vec![0x45, 0, 0, (20 + header_len + 3) as u8];
                packet.extend([0, 7, 0x40, 0, 60, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9]);
                let sum = csum::of(&packet).to_le_bytes();
                packet[10..12].copy_from_slice(&sum);
                packet.extend(header(&old));
                packet.extend(b"abc");
                let checksum = |packet: &[u8], is_partial: bool| {
                    let len = (packet.len() - 20) as u16;
                    let mut bytes = [&packet[12..20], &[0, 6], &len.to_be_bytes()].concat();
                    if is_partial {
                        return csum::sum(&bytes).to_le_bytes();
                    }
                    bytes.extend(&packet[20..36]);
                    bytes.extend([0, 0]);
                    bytes.extend(&packet[38..]);
                    csum::of(&bytes).to_le_bytes()
                };
                let sum = checksum(&packet, is_partial);
                packet[36..38].copy_from_slice(&sum);
                packet.splice(40..40, vec![0xaa; gap]);
                replace::<Ipv4>(&mut packet, 20, header_len, &options, is_partial).unwrap();
                assert_eq!(csum::of(&packet[..20]), 0);
                assert_eq!(packet[3] as usize, packet.len());
                assert_eq!(packet[32], 0xf0);
                assert_eq!(packet[40..80], options);
                assert_eq!(packet[36..38], checksum(&packet, is_partial));
            }
        }
    }
}

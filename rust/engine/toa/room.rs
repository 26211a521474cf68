// SPDX-License-Identifier: GPL-2.0

//! Making room for an option in a TCP header that seems to have none.
//!
//! Padding goes, and of the other options what has no room: what matters most is put first. The new
//! header is as long as one can be, so that it only ever grows.

use super::super::csum::{self, Delta};
use super::super::family::IpHeader;
use super::super::wire::options::{
    TcpOptions, MPTCP, MSS, SACK, SACK_PERMITTED, TIMESTAMPS, WINDOW_SCALE,
};
use super::super::wire::transport::TCP_MIN_LEN;

/// Longest TCP header, in bytes.
pub const HEADER_MAX: usize = 60;

/// Most bytes of options.
pub const OPTIONS_MAX: usize = HEADER_MAX - TCP_MIN_LEN;

/// Where things are in the TCP header.
const DATA_OFFSET: usize = 12;
const CHECKSUM: usize = 16;

/// The options of `header`, a whole TCP header, with `first` ahead of them, filled up with ends of
/// options. First come those that a connection cannot do without, which have room beside any
/// `first`; then Multipath TCP, which was agreed on only where all of its options have room; then
/// selective acknowledgments, as many as can be, and the rest. Kinds keep their order.
///
/// None when `first` is too long for any header.
pub fn squeeze(header: &[u8], first: &[u8]) -> Option<[u8; OPTIONS_MAX]> {
    let mut options = [0; OPTIONS_MAX];
    options.get_mut(..first.len())?.copy_from_slice(first);
    let mut at = first.len();
    for wanted in 0..RANKS {
        for option in TcpOptions::of(header).filter(|option| rank(option.kind) == wanted) {
            let len = fitting(option.kind, option.len, OPTIONS_MAX.checked_sub(at)?);
            let (to, from) = (at.checked_add(len)?, option.offset.checked_add(len)?);
            let field = options.get_mut(at..to)?;
            field.copy_from_slice(header.get(option.offset..from)?);
            if let Some(field) = field.get_mut(1) {
                *field = len as u8;
            }
            at = to;
        }
    }
    Some(options)
}

/// How many [`rank`]s there are.
const RANKS: u8 = 4;

/// The less, the more it matters that an option stays.
fn rank(kind: u8) -> u8 {
    match kind {
        MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS => 0,
        MPTCP => 1,
        SACK => 2,
        _ => 3,
    }
}

/// How much of an option of `len` bytes goes where there is room for `room`.
fn fitting(kind: u8, len: usize, room: usize) -> usize {
    /// Two sequence numbers.
    const BLOCK: usize = 8;
    const HEAD: usize = 2;
    if len <= room {
        return len;
    }
    match room.checked_sub(HEAD) {
        // The latest block comes first (RFC 2018).
        Some(room) if kind == SACK && room >= BLOCK => room / BLOCK * BLOCK + HEAD,
        _ => 0,
    }
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
    use super::super::super::wire::Ipv4;
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

    fn sack(blocks: usize) -> Vec<u8> {
        let mut option = vec![5, 2 + 8 * blocks as u8];
        option.extend((0..8 * blocks).map(|n| n as u8));
        option
    }

    fn squeezed(options: &[u8], first: &[u8]) -> [u8; OPTIONS_MAX] {
        squeeze(&header(options), first).unwrap()
    }

    #[test]
    fn the_first_blocks_stay() {
        let options = [&[1, 1], &STAMPS[..], &[1, 1], &sack(3)].concat();
        assert_eq!(options.len(), OPTIONS_MAX);
        let mut expected = [&FIRST[..], &STAMPS, &sack(2), &[0; 4]].concat();
        assert_eq!(squeezed(&options, &FIRST), expected[..]);
        expected = [&[9; 20][..], &STAMPS, &sack(1)].concat();
        assert_eq!(squeezed(&options, &[9; 20]), expected[..]);
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
        let expected = [&FIRST[..], &STAMPS, &[30, 20], &[9; 18], &[0; 2]].concat();
        assert_eq!(squeezed(&options.concat(), &FIRST), expected[..]);
    }

    #[test]
    fn what_a_connection_needs_stays_and_a_cookie_goes() {
        let cookie = [34, 10, 1, 2, 3, 4, 5, 6, 7, 8];
        let rest = [&[2, 4, 5, 180][..], &[4, 2], &STAMPS, &[1, 3, 3, 7]].concat();
        let options = [&cookie[..], &rest].concat();
        let expected = [&FIRST[..], &rest[..16], &[3, 3, 7], &cookie, &[0; 3]].concat();
        assert_eq!(squeezed(&options, &FIRST), expected[..]);
        let expected = [&[9; 20][..], &rest[..16], &[3, 3, 7, 0]].concat();
        assert_eq!(squeezed(&options, &[9; 20]), expected[..]);
        assert_eq!(squeeze(&header(&options), &[0; 41]), None);
    }

    #[test]
    fn a_packet_is_sound_afterwards() {
        for old in [vec![1u8; 36], vec![1; 40]] {
            for is_partial in [false, true] {
                let header_len = TCP_MIN_LEN + old.len();
                let gap = HEADER_MAX - header_len;
                let options = squeeze(&header(&old), &FIRST).unwrap();
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

// SPDX-License-Identifier: GPL-2.0

//! Writing anew what a segment says.

use core::ops::Range;

use super::super::csum::{self, Delta};
use super::super::family::{IpHeader, Tuple};
use super::super::nat64::pseudo_sum;
use super::super::wire::TCP;

/// Where an IPv4 header has its total length, and its checksum; where IPv6 has its payload's length.
const V4_LEN: usize = 2;
const V4_CHECKSUM: usize = 10;
const V6_LEN: usize = 4;

/// Where the TCP header has its checksum.
const CHECKSUM: usize = 16;

/// Puts `text` in place of the bytes `range`, counted from the IP header on, of a segment whose header `ip`
/// was read from `packet`, and mends lengths and checksums; what stands in the checksum's place does not
/// count. `packet` has all of it, and room for what it becomes: what is behind that is left over. Returns
/// the new length; `None`, and the segment is none any more, when the lengths lie.
pub fn replace<I: IpHeader>(
    packet: &mut [u8],
    ip: &I,
    range: Range<usize>,
    text: &[u8],
) -> Option<usize> {
    let old = ip.total_len();
    let begin = range.start.checked_add(text.len())?;
    let rest = old.checked_sub(range.end)?;
    let len = begin.checked_add(rest)?;
    if range.start > range.end
        || range.start < ip.header_len()
        || len > packet.len()
        || old > packet.len()
    {
        return None;
    }
    packet.copy_within(range.end..old, begin);
    packet.get_mut(range.start..begin)?.copy_from_slice(text);
    let (header, segment) = packet
        .get_mut(..len)?
        .split_at_mut_checked(ip.header_len())?;
    set_len(header, I::Tuple::VERSION, len)?;
    let pseudo = pseudo_sum(&ip.tuple(0), TCP, segment.len());
    segment.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?.fill(0);
    let sum = Delta::of_u16(0, pseudo).apply_to_sum(csum::sum(segment));
    *segment.get_mut(CHECKSUM..)?.first_chunk_mut()? = (!sum).to_le_bytes();
    Some(len)
}

/// What a header says of the packet's length, from the IP header on.
fn set_len(header: &mut [u8], version: u8, len: usize) -> Option<()> {
    if version != 4 {
        let payload = u16::try_from(len.checked_sub(40)?).ok()?;
        *header.get_mut(V6_LEN..)?.first_chunk_mut()? = payload.to_be_bytes();
        return Some(());
    }
    let total = u16::try_from(len).ok()?;
    *header.get_mut(V4_LEN..)?.first_chunk_mut()? = total.to_be_bytes();
    header
        .get_mut(V4_CHECKSUM..)?
        .first_chunk_mut::<2>()?
        .fill(0);
    let sum = csum::of(header);
    *header.get_mut(V4_CHECKSUM..)?.first_chunk_mut()? = sum.to_le_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::{Ipv4, Ipv6};
    use super::*;

    fn v4(options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![
            0x45 + (options.len() / 4) as u8,
            0,
            0,
            0,
            0,
            7,
            0x40,
            0,
            60,
            6,
            0,
            0,
        ];
        packet.extend([192, 0, 2, 1, 192, 0, 2, 9]);
        packet.extend(options);
        packet.extend([
            0x13, 0x88, 0, 21, 0, 0, 0, 5, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0xaa, 0xbb, 0, 0,
        ]);
        packet.extend(payload);
        let len = (packet.len() as u16).to_be_bytes();
        packet[2..4].copy_from_slice(&len);
        packet
    }

    fn v6(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, 6, 60];
        packet.extend([0x20; 16].iter().chain(&[0x30; 16]));
        packet.extend([
            0x13, 0x88, 0, 21, 0, 0, 0, 5, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
        ]);
        packet.extend(payload);
        let len = (packet.len() as u16 - 40).to_be_bytes();
        packet[4..6].copy_from_slice(&len);
        packet
    }

    fn anew<I: IpHeader>(mut packet: Vec<u8>, range: Range<usize>, text: &[u8]) -> Option<Vec<u8>> {
        let len = packet.len();
        packet.resize(len + 64, 0xee);
        let ip = I::parse(&packet[..len], len).unwrap();
        let base = ip.header_len() + 20;
        let len = replace(&mut packet, &ip, range.start + base..range.end + base, text)?;
        packet.truncate(len);
        let ip = I::parse(&packet, len).unwrap();
        assert_eq!(ip.total_len(), len);
        let pseudo = pseudo_sum(&ip.tuple(0), TCP, len - ip.header_len());
        let sum = Delta::of_u16(0, pseudo).apply_to_sum(csum::sum(&packet[ip.header_len()..]));
        assert_eq!(sum, 0xffff);
        if I::Tuple::VERSION == 4 {
            assert_eq!(csum::of(&packet[..ip.header_len()]), 0);
        }
        Some(packet[base..].to_vec())
    }

    #[test]
    fn longer_shorter_and_as_long() {
        for text in ["", "x", "xyz", "more than there was"] {
            let want = format!("ab{text}ef");
            for options in [&[][..], &[1, 1, 1, 1]] {
                let got = anew::<Ipv4>(v4(options, b"abcdef"), 2..4, text.as_bytes());
                assert_eq!(got.unwrap(), want.as_bytes());
            }
            let got = anew::<Ipv6>(v6(b"abcdef"), 2..4, text.as_bytes());
            assert_eq!(got.unwrap(), want.as_bytes());
        }
    }

    #[test]
    fn what_lies_is_refused() {
        assert_eq!(anew::<Ipv4>(v4(&[], b"abc"), 2..9, b"x"), None);
        assert_eq!(anew::<Ipv4>(v4(&[], b"abc"), 0..1, &[0; 99]), None);
        let packet = v4(&[], b"abc");
        let ip = Ipv4::parse(&packet, packet.len()).unwrap();
        assert_eq!(replace(&mut packet.clone(), &ip, 0..1, b"x"), None);
    }
}

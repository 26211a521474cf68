// SPDX-License-Identifier: GPL-2.0

//! ICMP echo requests (RFC 792, RFC 4443) to virtual addresses, and who answers them.

use super::csum::Delta;
use super::family::{IpHeader, Tuple};
use super::numbered::numbered;
use super::wire::IcmpFamily;

/// Where the checksum is in the ICMP header.
const CHECKSUM: usize = 2;

/// What the answer starts its way with (RFC 1700's recommendation).
const TTL: u8 = 64;

/// What becomes of echo requests to an address that has a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Echo {
    /// They are left to the host, which answers those to its own addresses, as with `ip_vs`.
    Host = 0,
    /// They are answered, whether or not the address is the host's.
    Answer = 1,
    /// They go to a dest of the service that was added first, always the same for a client, where
    /// the dest has the virtual address (dr, tun); others are answered.
    Balance = 2,
}

// Names as in `rvsadm config set --echo`.
numbered! {
    Echo as u8 {
        Host = "host",
        Answer = "answer",
        Balance = "balance",
    }
}

/// Whether the ICMP message behind `ip` is an echo request. Options and extensions are for the
/// host to judge, so of packets that have any it is none.
pub fn is_request<F: IcmpFamily>(head: &[u8], ip: &F::Ip) -> bool {
    let kind = head.get(ip.header_len()..).and_then(<[u8]>::first_chunk);
    ip.header_len() == F::Ip::FIXED_LEN && kind == Some(&[F::ECHO_REQUEST, 0])
}

/// Bytes that [`answer`] writes to, from the IP header on.
pub fn writes(ip: &impl IpHeader) -> usize {
    ip.header_len().saturating_add(CHECKSUM).saturating_add(2)
}

/// Makes an echo request the answer to it. A sum that is wrong stays wrong. None when `head` has
/// not [`writes`] bytes.
pub fn answer<F: IcmpFamily>(head: &mut [u8], ip: &F::Ip) -> Option<()> {
    let (header, message) = head.split_at_mut_checked(ip.header_len())?;
    let [kind, code, c0, c1, ..] = message.first_chunk_mut::<4>()?;
    let delta = Delta::of_u16(
        u16::from_le_bytes([*kind, *code]),
        u16::from_le_bytes([F::ECHO_REPLY, 0]),
    );
    (*kind, *code) = (F::ECHO_REPLY, 0);
    [*c0, *c1] = delta.apply(u16::from_le_bytes([*c0, *c1])).to_le_bytes();
    // Exchanging them changes no sum.
    F::Ip::set_addresses(header, &ip.tuple(0).reversed(), Delta::NONE)?;
    F::Ip::set_ttl(header, TTL)
}

#[cfg(test)]
mod tests {
    use super::super::csum;
    use super::super::family::{V4, V6};
    use super::super::wire::{Ipv4, Ipv6};
    use super::*;

    fn v4(ttl: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 29, 0, 7, 0x40, 0, ttl, 1, 0, 0];
        packet.extend([198, 51, 100, 2, 203, 0, 113, 10]);
        let sum = csum::of(&packet).to_le_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend([8, 0, 0, 0, 0x12, 0x34, 0, 1, 0x55]);
        let sum = csum::of(&packet[20..]).to_le_bytes();
        packet[22..24].copy_from_slice(&sum);
        packet
    }

    #[test]
    fn an_answer_in_ipv4_goes_back_with_right_sums() {
        for ttl in [1, 63, 255] {
            let mut packet = v4(ttl);
            let ip = Ipv4::parse(&packet, packet.len()).unwrap();
            assert!(is_request::<V4>(&packet, &ip));
            answer::<V4>(&mut packet, &ip).unwrap();
            assert_eq!((csum::of(&packet[..20]), csum::of(&packet[20..])), (0, 0));
            assert_eq!(packet[8], 64);
            assert_eq!(packet[12..20], [203, 0, 113, 10, 198, 51, 100, 2]);
            assert_eq!(packet[20..22], [0, 0]);
            assert_eq!(packet[24..], [0x12, 0x34, 0, 1, 0x55]);
            assert!(!is_request::<V4>(&packet, &ip));
        }
    }

    #[test]
    fn an_answer_in_ipv6_goes_back_with_a_right_sum() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 9];
        packet.extend((1..=32).collect::<Vec<u8>>());
        packet.extend([128, 0, 0, 0, 0xab, 0xcd, 0, 9]);
        let pseudo = |packet: &[u8]| {
            let mut bytes = packet[8..40].to_vec();
            bytes.extend([0, 0, 0, 8, 0, 0, 0, 58]);
            bytes.extend(&packet[40..]);
            csum::of(&bytes)
        };
        let sum = pseudo(&packet).to_le_bytes();
        packet[42..44].copy_from_slice(&sum);
        let ip = Ipv6::parse(&packet, packet.len()).unwrap();
        assert!(is_request::<V6>(&packet, &ip));
        answer::<V6>(&mut packet, &ip).unwrap();
        assert_eq!(pseudo(&packet), 0);
        assert_eq!((packet[7], packet[40]), (64, 129));
        assert_eq!(packet[8..24], (17..=32).collect::<Vec<u8>>());
        assert_eq!(packet[24..40], (1..=16).collect::<Vec<u8>>());
    }

    #[test]
    fn others_are_no_requests() {
        let packet = v4(9);
        let ip = Ipv4::parse(&packet, packet.len()).unwrap();
        for (at, byte) in [(20, 0), (20, 13), (21, 1)] {
            let mut other = packet.clone();
            other[at] = byte;
            assert!(!is_request::<V4>(&other, &ip));
        }
        assert!(!is_request::<V4>(&packet[..21], &ip));
        assert!(answer::<V4>(&mut packet[..23].to_vec(), &ip).is_none());
        let mut options = vec![0x46];
        options.extend(&packet[1..20]);
        options.extend([1; 4]);
        options.extend(&packet[20..]);
        options[3] += 4;
        let ip = Ipv4::parse(&options, options.len()).unwrap();
        assert!(!is_request::<V4>(&options, &ip));
    }

    #[test]
    fn numbers_and_names() {
        for (number, echo) in (0..).zip(Echo::ALL) {
            assert_eq!(echo.number(), number);
            assert_eq!(Echo::from_number(number), Some(echo));
        }
        assert_eq!(Echo::from_number(3), None);
    }
}

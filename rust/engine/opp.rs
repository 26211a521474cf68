// SPDX-License-Identifier: GPL-2.0

//! DPVS's "option protocol": the client's address in a header between IP and UDP.
//!
//! Some switches drop packets with IP options, so DPVS sends the option (see [`super::uoa`]) in a
//! header of an IP protocol of its own unless told otherwise: version of the address's family in the
//! upper half of the first byte, protocol of what follows, length of this header in network order,
//! and options as IPv4 has them.

use core::net::SocketAddr;

use super::toa::{self, Kinds, Malformed};
use super::uoa::{Carrier, KIND};
use super::wire::transport::UDP_LEN;
use super::wire::{Error, UDP};

/// IP's number of the protocol.
pub const PROTOCOL: u8 = 248;

/// Bytes in front of the options.
const FIXED_LEN: usize = 4;

/// Longest header that is taken: as many options as an IPv4 header may have.
const MAX_LEN: usize = FIXED_LEN + 40;

/// Versions: of an IPv4 and of an IPv6 address.
const VERSIONS: [u8; 2] = [1, 2];

/// Length of the header at `at` of a packet of `len` bytes, whose linear part is `head`. A UDP
/// header follows it, which is linear too.
///
/// # Errors
///
/// `NotLinear`; `HeaderLength` when it lies, `Protocol` when something else than UDP follows.
pub fn parse(head: &[u8], at: usize, len: usize) -> Result<usize, Error> {
    let start = at.saturating_add(FIXED_LEN);
    if start.saturating_add(UDP_LEN) > len {
        return Err(Error::HeaderLength);
    }
    let fixed = head
        .get(at..)
        .and_then(|header| header.first_chunk::<FIXED_LEN>());
    let Some([version, protocol, l0, l1]) = fixed else {
        return Err(Error::NotLinear(start));
    };
    let own_len = usize::from(u16::from_be_bytes([*l0, *l1]));
    let end = at.saturating_add(own_len).saturating_add(UDP_LEN);
    if *protocol != UDP || !VERSIONS.contains(&(version >> 4)) {
        return Err(Error::Protocol);
    }
    if !(FIXED_LEN..=MAX_LEN).contains(&own_len) || end > len {
        return Err(Error::HeaderLength);
    }
    if end > head.len() {
        return Err(Error::NotLinear(end));
    }
    Ok(own_len)
}

/// The address that `header`, a whole one, carries.
///
/// # Errors
///
/// Why it is not to be believed.
pub fn find(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let mut kinds = Kinds::NONE;
    kinds.insert(KIND);
    toa::find(header.get(FIXED_LEN..).unwrap_or_default(), &kinds)
}

/// Makes a packet one of plain UDP: the IP header in front of the header of `len` bytes at `at` moves
/// over it, so that the packet starts at `len`.
pub fn unwrap<F: Carrier>(head: &mut [u8], at: usize, len: usize) -> Option<()> {
    if at.checked_add(len)? > head.len() {
        return None;
    }
    F::shorten(head.get_mut(..at)?, u16::try_from(len).ok()?, UDP)?;
    head.copy_within(..at, len);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::csum;
    use super::super::family::{IpHeader, V4, V6};
    use super::super::wire::{Ipv4, Packet};
    use super::*;

    const OPTION: [u8; 8] = [31, 8, 0x9c, 0x40, 198, 51, 100, 7];

    fn packet(opp: &[u8]) -> Vec<u8> {
        let len = (20 + opp.len() + 8 + 4) as u8;
        let mut packet = vec![0x45, 0, 0, len, 0, 7, 0x40, 0, 60, PROTOCOL, 0, 0];
        packet.extend([192, 0, 2, 1, 192, 0, 2, 9]);
        let sum = csum::of(&packet).to_le_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend(opp);
        packet.extend([0x1f, 0x90, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
        packet
    }

    fn wrapped() -> Vec<u8> {
        packet(&[&[0x10, UDP, 0, 12][..], &OPTION].concat())
    }

    #[test]
    fn what_was_wrapped_is_as_if_it_had_been_sent_plain() {
        let mut packet = wrapped();
        let len = packet.len();
        assert_eq!(parse(&packet, 20, len), Ok(12));
        let found = find(&packet[20..32]).unwrap();
        assert_eq!(found, Some("198.51.100.7:40000".parse().unwrap()));
        unwrap::<V4>(&mut packet, 20, 12).unwrap();
        let plain = &packet[12..];
        assert_eq!(csum::of(&plain[..20]), 0);
        let read = Packet::<V4>::parse(plain, plain.len()).unwrap();
        assert_eq!(
            (
                read.ip.header_len(),
                read.ip.total_len(),
                read.ip.protocol()
            ),
            (20, plain.len(), UDP)
        );
        assert_eq!(plain[20..], packet[32..]);
    }

    #[test]
    fn one_of_ipv6() {
        let mut option = vec![0x20, UDP, 0, 24, 31, 20, 0x9c, 0x40];
        option.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let mut packet = vec![0x60, 0, 0, 0, 0, 36, PROTOCOL, 64];
        packet.extend([7; 32]);
        packet.extend(&option);
        packet.extend([0x1f, 0x90, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
        let len = packet.len();
        assert_eq!(parse(&packet, 40, len), Ok(24));
        assert!(find(&option).unwrap().is_some());
        unwrap::<V6>(&mut packet, 40, 24).unwrap();
        assert_eq!(packet[24 + 4..24 + 7], [0, 12, UDP]);
        assert!(Packet::<V6>::parse(&packet[24..], len - 24).is_ok());
    }

    #[test]
    fn headers_that_lie() {
        let len = wrapped().len();
        for (at, byte, error) in [
            (20, 0x30, Error::Protocol),
            (21, 6, Error::Protocol),
            (22, 1, Error::HeaderLength),
            (23, 3, Error::HeaderLength),
            (23, 45, Error::HeaderLength),
            (23, 17, Error::HeaderLength),
        ] {
            let mut packet = wrapped();
            packet[at] = byte;
            assert_eq!(parse(&packet, 20, len), Err(error), "{at} {byte}");
        }
        let packet = wrapped();
        for cut in 0..len {
            assert!(parse(&packet[..cut], 20, cut.min(39)).is_err());
            let part = parse(&packet[..cut], 20, len);
            assert!(cut >= 40 || matches!(part, Err(Error::NotLinear(n)) if n > cut));
            let _ = unwrap::<V4>(&mut packet[..cut].to_vec(), 20, 12);
            let _ = unwrap::<V6>(&mut packet[..cut].to_vec(), 40, 12);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        for round in 0..20_000 {
            let mut packet = wrapped();
            let len = packet.len();
            for _ in 0..=round % 6 {
                let at = 20 + usize::from(byte()) % (len - 20);
                packet[at] = byte();
            }
            if let Ok(own) = parse(&packet, 20, len) {
                let _ = find(&packet[20..20 + own]);
                unwrap::<V4>(&mut packet, 20, own).unwrap();
                let plain = &packet[own..];
                let ip = Ipv4::parse(plain, plain.len()).unwrap();
                assert_eq!((ip.protocol(), ip.total_len()), (UDP, plain.len()));
                assert_eq!(csum::of(&plain[..20]), 0);
            }
        }
    }
}

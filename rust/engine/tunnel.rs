// SPDX-License-Identifier: GPL-2.0

//! Headers that go in front of a packet for a tunnel.

use super::csum;
use super::family::IpHeader;

/// IANA number of IPv4 in IPv4 (RFC 2003).
const IPIP: u8 = 4;

/// Bytes that IPIP puts in front of a packet.
pub const IPIP_OVERHEAD: u32 = 20;

/// Id of the outer header of a packet that may be fragmented on its way, whose linear part from the
/// IPv4 header on is `inner`. `flow` is its flow's keyed hash.
///
/// No other packet to the same dest should have it for a while. The kernel counts such ids, in words
/// that all CPUs write to. The sender has given its packets different ids already, so those of
/// different flows are all that is to be told apart.
#[inline(always)]
pub fn outer_id(inner: &[u8], flow: u32) -> u16 {
    match inner {
        [_, _, _, _, i0, i1, ..] => u16::from_be_bytes([*i0, *i1]) ^ (flow >> 16) as u16,
        _ => 0,
    }
}

/// The outer header of an IPv4 packet `inner` in an IPIP tunnel between two addresses, read from
/// the header as one little-endian number (source low).
///
/// `ttl` is what the inner packet leaves with. As in `ip_vs`, service type with ECN (RFC 6040),
/// time to live and "don't fragment" are the inner packet's; `id` matters only without the latter
/// (RFC 6864). None when the sum is longer than a packet can be.
#[inline(always)]
pub fn ipip(inner: &impl IpHeader, len: u32, ttl: u8, addresses: u64, id: u16) -> Option<[u8; 20]> {
    let len = len.checked_add(IPIP_OVERHEAD)?;
    // A packet of many segments is cut, and its header completed, by whoever sends it.
    let [l0, l1] = u16::try_from(len).unwrap_or(0).to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let flags = if inner.dont_fragment() { 0x40 } else { 0 };
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses.to_le_bytes();
    let mut header = [
        0x45,
        inner.tos(),
        l0,
        l1,
        i0,
        i1,
        flags,
        0,
        ttl,
        IPIP,
        0,
        0,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ];
    let [c0, c1] = csum::of(&header).to_le_bytes();
    let [_, _, _, _, _, _, _, _, _, _, f0, f1, ..] = &mut header;
    (*f0, *f1) = (c0, c1);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::super::wire::Ipv4;
    use super::*;

    #[test]
    fn ids_differ_by_packet_and_by_flow() {
        let packet = |id: u8| [0x45, 0, 0, 20, 0x12, id, 0, 0];
        assert_eq!(outer_id(&packet(0x34), 0x0101_ffff), 0x1335);
        assert_ne!(outer_id(&packet(1), 7 << 16), outer_id(&packet(2), 7 << 16));
        assert_ne!(outer_id(&packet(1), 7 << 16), outer_id(&packet(1), 8 << 16));
        assert_eq!(outer_id(&[0x45], 7), 0);
    }

    #[test]
    fn the_outer_header_is_a_header() {
        let mut packet = vec![
            0x45, 0xb9, 0, 40, 9, 9, 0x40, 0, 17, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend([0; 20]);
        let inner = Ipv4::parse(&packet, 40).unwrap();
        let addresses = u64::from_le_bytes([192, 0, 2, 1, 192, 0, 2, 9]);
        let mut outer = ipip(&inner, 40, 16, addresses, 0x1234).unwrap().to_vec();
        assert_eq!(csum::of(&outer), 0);
        outer.extend(&packet);
        let parsed = Ipv4::parse(&outer, 60).unwrap();
        assert_eq!(
            (parsed.total_len, parsed.protocol, parsed.tos, parsed.ttl),
            (60, 4, 0xb9, 16)
        );
        assert_eq!(parsed.addresses, addresses);
        assert!(parsed.dont_fragment());
        assert_eq!(outer[4..6], [0x12, 0x34]);
    }
}

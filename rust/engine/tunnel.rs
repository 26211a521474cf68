// SPDX-License-Identifier: GPL-2.0

//! Tunnels to dests: their kinds, and the header that goes in front of a packet.

use core::net::IpAddr;

use super::csum;
use super::family::IpHeader;
use super::numbered::numbered;

/// IANA number of IPv4 in IPv4 (RFC 2003).
const IPIP: u8 = 4;
/// IANA number of UDP.
const UDP: u8 = 17;
/// IANA number of GRE (RFC 2784).
const GRE: u8 = 47;

/// Bytes that IPIP puts in front of a packet.
pub const IPIP_OVERHEAD: u32 = 20;

/// How packets travel in a tunnel; the numbers are those of the netlink enum `tunnel-kind`, and
/// `ip_vs`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TunnelKind {
    /// Right behind the outer header.
    Ipip = 0,
    /// Behind UDP and the header of Generic UDP Encapsulation (draft-ietf-intarea-gue).
    Gue = 1,
    /// Behind that of Generic Routing Encapsulation (RFC 2784).
    Gre = 2,
}

// Names as ipvsadm's.
numbered! {
    TunnelKind as u32 {
        Ipip = "ipip",
        Gue = "gue",
        Gre = "gre",
    }
}

/// Whether a tunnel's header is summed; the numbers are those of the netlink enum
/// `tunnel-checksum`, and `ip_vs`'s flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TunnelSum {
    /// It is not.
    None = 0,
    /// It is.
    Whole = 1,
    /// It is, and takes the place of the inner checksum that a device was to fill in.
    Remote = 2,
}

// Names as in ipvsadm's options `--tun-…`.
numbered! {
    TunnelSum as u32 {
        None = "nocsum",
        Whole = "csum",
        Remote = "remcsum",
    }
}

/// The tunnel that leads to a dest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// How packets travel in it.
    pub kind: TunnelKind,
    /// Whether its header is summed; without a meaning for IPIP, whose header has no sum.
    pub sum: TunnelSum,
    /// UDP port that the dest takes it on, host order; 0 but for GUE.
    pub port: u16,
}

impl Tunnel {
    /// What a dest has that was told nothing of tunnels.
    pub const IPIP: Self = Self {
        kind: TunnelKind::Ipip,
        sum: TunnelSum::None,
        port: 0,
    };

    /// In one word, 0 for [`Tunnel::IPIP`].
    pub const fn to_word(self) -> u32 {
        ((self.port as u32) << 16) | ((self.sum as u32) << 8) | self.kind as u32
    }

    /// From [`Tunnel::to_word`].
    pub const fn from_word(word: u32) -> Self {
        let kind = match TunnelKind::from_number(word & 0xff) {
            Some(kind) => kind,
            None => TunnelKind::Ipip,
        };
        let sum = match TunnelSum::from_number((word >> 8) & 0xff) {
            Some(sum) => sum,
            None => TunnelSum::None,
        };
        Self {
            kind,
            sum,
            port: (word >> 16) as u16,
        }
    }

    /// Whether a packet whose inner checksum a device was to fill in says so in the tunnel's header.
    pub const fn is_remote(self) -> bool {
        matches!((self.kind, self.sum), (TunnelKind::Gue, TunnelSum::Remote))
    }

    /// Whether its header is summed.
    pub const fn is_summed(self) -> bool {
        !matches!(self.sum, TunnelSum::None)
    }

    /// Bytes that it puts in front of a packet; `partial` if a device was to fill in the packet's
    /// checksum.
    pub const fn overhead(self, partial: bool) -> u32 {
        match (self.kind, self.sum) {
            (TunnelKind::Ipip, _) => IPIP_OVERHEAD,
            (TunnelKind::Gre, TunnelSum::None) => 24,
            (TunnelKind::Gre, _) => 28,
            (TunnelKind::Gue, TunnelSum::Remote) if partial => 40,
            (TunnelKind::Gue, _) => 32,
        }
    }

    /// IANA number of what follows the outer header; `inner` is that of the packet's IP version
    /// inside others.
    pub const fn protocol(self, inner: u8) -> u8 {
        match self.kind {
            TunnelKind::Ipip => inner,
            TunnelKind::Gue => UDP,
            TunnelKind::Gre => GRE,
        }
    }

    /// Where the inner packet starts in a packet of such a tunnel, in bytes behind the outer IP
    /// header; `head` is what follows that, `inner` is the IANA number of the packet's IP version
    /// inside others. None where it is no such packet.
    pub fn inner_offset(self, head: &[u8], inner: u8) -> Option<usize> {
        let ethertype = ethertype(inner);
        match (self.kind, *head.first_chunk::<4>()?) {
            (TunnelKind::Ipip, _) => Some(0),
            (TunnelKind::Gre, [0, 0, e0, e1]) if [e0, e1] == ethertype => Some(4),
            (TunnelKind::Gre, [0x80, 0, e0, e1]) if [e0, e1] == ethertype => Some(8),
            (TunnelKind::Gre, _) => None,
            (TunnelKind::Gue, [_, _, p0, p1]) if u16::from_be_bytes([p0, p1]) == self.port => {
                let [first, protocol, ..] = *head.get(8..)?.first_chunk::<4>()?;
                // Version 0, data: the low bits are the options' length in words.
                let is_ours = first >> 5 == 0 && protocol == inner;
                is_ours.then_some(12 + (usize::from(first & 0x1f) << 2))
            }
            (TunnelKind::Gue, _) => None,
        }
    }
}

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

/// The outer header of an IPv4 packet `inner` in an IPIP tunnel; see [`outer`].
#[inline(always)]
pub fn ipip(inner: &impl IpHeader, len: u32, ttl: u8, addresses: u64, id: u16) -> Option<[u8; 20]> {
    let len = len.checked_add(IPIP_OVERHEAD)?;
    outer(inner, len, IPIP, ttl, addresses, id)
}

/// The outer header of a packet `inner` in an IPv4 tunnel between two addresses, read from the
/// header as one little-endian number (source low). `len` is that of all, `protocol` of what
/// follows.
///
/// `ttl` is what the inner packet leaves with. As in `ip_vs`, service type with ECN (RFC 6040),
/// time to live and, of IPv4, "don't fragment" are the inner packet's; `id` matters only without the
/// latter (RFC 6864). None when the sum is longer than a packet can be.
#[inline(always)]
pub fn outer(
    inner: &impl IpHeader,
    len: u32,
    protocol: u8,
    ttl: u8,
    addresses: u64,
    id: u16,
) -> Option<[u8; 20]> {
    // A packet of many segments is cut, and its header completed, by whoever sends it.
    let [l0, l1] = u16::try_from(len).unwrap_or(0).to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let flags = if inner.dont_fragment_around() {
        0x40
    } else {
        0
    };
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
        protocol,
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
    let [c0, c1] = csum::of_header(&header).to_le_bytes();
    let [_, _, _, _, _, _, _, _, _, _, f0, f1, ..] = &mut header;
    (*f0, *f1) = (c0, c1);
    Some(header)
}

/// The type that frames with packets of that IANA number inside others have.
const fn ethertype(inner: u8) -> [u8; 2] {
    if inner == IPIP {
        [8, 0]
    } else {
        [0x86, 0xdd]
    }
}

/// What GRE puts in front of a packet behind the outer header: all of it where the tunnel is summed, else
/// the first four bytes. `inner` as of [`Tunnel::protocol`]; the packet has its own sum.
pub fn gre(tunnel: Tunnel, inner: u8, packet: &[u8]) -> [u8; 8] {
    let [e0, e1] = ethertype(inner);
    if !tunnel.is_summed() {
        return [0, 0, e0, e1, 0, 0, 0, 0];
    }
    let start = [0x80, 0, e0, e1];
    let [c0, c1] = csum::of_parts(&[&start, packet]).to_le_bytes();
    [0x80, 0, e0, e1, c0, c1, 0, 0]
}

/// What GUE puts in front of a packet behind the outer header: UDP's and its own. `ends` are the outer
/// header's; the rest as of [`gre`]. None where a packet can be no longer.
pub fn gue(
    tunnel: Tunnel,
    inner: u8,
    source: u16,
    ends: (IpAddr, IpAddr),
    packet: &[u8],
) -> Option<[u8; 12]> {
    let len = u16::try_from(packet.len()).ok()?.checked_add(12)?;
    let [s0, s1] = source.to_be_bytes();
    let [d0, d1] = tunnel.port.to_be_bytes();
    let [l0, l1] = len.to_be_bytes();
    let mut header = [s0, s1, d0, d1, l0, l1, 0, 0, 0, inner, 0, 0];
    if tunnel.is_summed() {
        let pseudo = [0, UDP, l0, l1];
        let sum = match ends {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                csum::of_parts(&[&a.octets(), &b.octets(), &pseudo, &header, packet])
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                csum::of_parts(&[&a.octets(), &b.octets(), &pseudo, &header, packet])
            }
            _ => return None,
        };
        // 0 would say that there is none.
        let sum = if sum == 0 { 0xffff } else { sum };
        let [_, _, _, _, _, _, c0, c1, ..] = &mut header;
        [*c0, *c1] = sum.to_le_bytes();
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Ipv4, Ipv6};
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

    #[test]
    fn routers_may_fragment_what_ipv6_travels_in() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
        packet.extend([0; 40]);
        let inner = Ipv6::parse(&packet, 48).unwrap();
        let mut header = outer(&inner, 68, 41, 63, 0, 0x1234).unwrap().to_vec();
        header.extend(&packet);
        let parsed = Ipv4::parse(&header, 68).unwrap();
        assert!(inner.dont_fragment() && !parsed.dont_fragment());
        assert_eq!(header[4..6], [0x12, 0x34]);
    }

    #[test]
    fn a_tunnel_is_a_word() {
        for kind in TunnelKind::ALL {
            for sum in TunnelSum::ALL {
                let tunnel = Tunnel {
                    kind,
                    sum,
                    port: 6080,
                };
                assert_eq!(Tunnel::from_word(tunnel.to_word()), tunnel);
                assert_eq!(TunnelKind::from_number(kind as u32), Some(kind));
                assert_eq!(TunnelSum::from_number(sum as u32), Some(sum));
            }
        }
        assert_eq!(Tunnel::IPIP.to_word(), 0);
        assert_eq!(TunnelKind::from_number(3), None);
    }

    #[test]
    fn what_it_puts_in_front() {
        let tunnel = |kind, sum| Tunnel { kind, sum, port: 0 };
        use {TunnelKind::*, TunnelSum::*};
        for (kind, sum, bytes, with_partial) in [
            (Ipip, None, 20, 20),
            (Gre, None, 24, 24),
            (Gre, Whole, 28, 28),
            (Gue, None, 32, 32),
            (Gue, Whole, 32, 32),
            (Gue, Remote, 32, 40),
        ] {
            let tunnel = tunnel(kind, sum);
            assert_eq!(tunnel.overhead(false), bytes);
            assert_eq!(tunnel.overhead(true), with_partial);
        }
    }

    #[test]
    fn headers_behind_the_outer_one_are_summed_with_what_follows() {
        let packet: Vec<u8> = (0..41u8).map(|at| at.wrapping_mul(37)).collect();
        let tunnel = |kind, sum, port| Tunnel { kind, sum, port };
        let plain = gre(tunnel(TunnelKind::Gre, TunnelSum::None, 0), IPIP, &packet);
        assert_eq!(plain[..4], [0, 0, 8, 0]);
        let summed = gre(tunnel(TunnelKind::Gre, TunnelSum::Whole, 0), 41, &packet);
        assert_eq!(summed[..4], [0x80, 0, 0x86, 0xdd]);
        assert_eq!(csum::of_parts(&[&summed, &packet]), 0);

        for (a, b) in [("192.0.2.1", "192.0.2.9"), ("2001:db8::1", "2001:db8::9")] {
            let ends: (IpAddr, IpAddr) = (a.parse().unwrap(), b.parse().unwrap());
            let plain = tunnel(TunnelKind::Gue, TunnelSum::None, 6080);
            let header = gue(plain, IPIP, 50_000, ends, &packet).unwrap();
            assert_eq!(header, [0xc3, 0x50, 0x17, 0xc0, 0, 53, 0, 0, 0, 4, 0, 0]);
            assert_eq!(plain.inner_offset(&header, IPIP), Some(12));
            for sum in [TunnelSum::Whole, TunnelSum::Remote] {
                let summed = tunnel(TunnelKind::Gue, sum, 6080);
                let header = gue(summed, IPIP, 50_000, ends, &packet).unwrap();
                let octets = |end| match end {
                    IpAddr::V4(end) => end.octets().to_vec(),
                    IpAddr::V6(end) => end.octets().to_vec(),
                };
                let pseudo = [octets(ends.0), octets(ends.1), vec![0, 17, 0, 53]].concat();
                assert_ne!(header[6..8], [0, 0]);
                assert_eq!(csum::of_parts(&[&pseudo, &header, &packet]), 0);
            }
        }
    }

    #[test]
    fn the_inner_packet_is_found() {
        let gue = Tunnel {
            kind: TunnelKind::Gue,
            sum: TunnelSum::None,
            port: 6080,
        };
        let mut head = vec![0x80, 1, 0x17, 0xc0, 0, 0, 0, 0, 2, 4, 0, 1];
        assert_eq!(gue.inner_offset(&head, IPIP), Some(20));
        head[8] = 0x20; // a control message
        assert_eq!(gue.inner_offset(&head, IPIP), None);
        head[3] = 0; // another port
        assert_eq!(gue.inner_offset(&head, IPIP), None);
        let gre = Tunnel {
            kind: TunnelKind::Gre,
            ..gue
        };
        assert_eq!(gre.inner_offset(&[0, 0, 8, 0], IPIP), Some(4));
        assert_eq!(
            gre.inner_offset(&[0x80, 0, 8, 0, 1, 1, 0, 0], IPIP),
            Some(8)
        );
        assert_eq!(gre.inner_offset(&[0x20, 0, 8, 0], IPIP), None);
        assert_eq!(Tunnel::IPIP.inner_offset(&[0x45, 0, 0, 40], IPIP), Some(0));
        assert_eq!(Tunnel::IPIP.inner_offset(&[], IPIP), None);
        assert_eq!(gre.inner_offset(&[0, 0, 0x86, 0xdd], 41), Some(4));
        assert_eq!(gre.inner_offset(&[0, 0, 0x86, 0xdd], IPIP), None);
    }
}

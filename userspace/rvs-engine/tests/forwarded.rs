// SPDX-License-Identifier: GPL-2.0

//! The table of forwarded packets of `tests/packets`, byte for byte.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]
#![allow(clippy::indexing_slicing, reason = "as above")]

use std::net::SocketAddr;

use rvs_engine::csum;
use rvs_engine::family::{Address, Family, IpHeader, Tuple, V4, V6};
use rvs_engine::nat64;
use rvs_engine::rewrite::{self, Checksum, Deltas};
use rvs_engine::seqadj::{Opening, Shift};
use rvs_engine::tunnel::{outer, Tunnel, TunnelKind, TunnelSum};
use rvs_engine::wire::{ipv6, Error, IcmpError, IcmpFamily, Packet, SCTP, TCP, UDP};

const TABLE: &str = include_str!("../../../tests/packets/forwarded.txt");

/// What `forwarded.py` adds to sequence numbers and timestamps.
const MOVED: (u32, u32) = (0x1234_5678, 0xffff_0000);

struct Case<'a> {
    name: &'a str,
    scene: Vec<&'a str>,
    ends: &'a str,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Case<'_> {
    fn is_to_the_dest(&self) -> bool {
        self.name.starts_with("to the dest")
    }

    /// The ends of what leaves.
    fn to<T: Tuple>(&self, protocol: u8) -> T {
        let (source, destination) = self.ends.split_once(" > ").unwrap();
        let end = |text: &str| {
            let address: SocketAddr = text.parse().unwrap();
            (Address::of(address.ip()).unwrap(), address.port())
        };
        T::between(end(source), end(destination), protocol)
    }

    /// What a connection's numbers are moved by.
    fn shift(&self) -> Shift {
        if self.scene[0] != "fullnat" {
            return Shift::NONE;
        }
        // An opening whose numbers are all 0.
        let mut header = [0; 32];
        header[12] = 8 << 4;
        header[20..24].copy_from_slice(&[1, 1, 8, 10]);
        Shift::new(&Opening::read(&header).unwrap(), MOVED.0, MOVED.1)
    }

    /// Moves the numbers of a segment; what that adds to its checksum.
    fn moved(&self, header: &mut [u8], protocol: u8) -> csum::Delta {
        let shift = self.shift();
        match (protocol, self.is_to_the_dest()) {
            (TCP, true) => shift.toward_dest(header).unwrap(),
            (TCP, false) => shift.toward_client(header).unwrap(),
            _ => csum::Delta::NONE,
        }
    }

    /// Moves those of a segment that an error has, back to what its sender sent.
    fn quoted(&self, quote: &mut [u8], protocol: u8) -> Option<csum::Delta> {
        match protocol {
            TCP => self.shift().quoted(quote, !self.is_to_the_dest()),
            _ => Some(csum::Delta::NONE),
        }
    }
}

fn bytes<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let words = lines.flat_map(str::split_whitespace);
    words
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn cases() -> Vec<Case<'static>> {
    let lines: Vec<&str> = TABLE.lines().filter(|l| !l.starts_with('#')).collect();
    let blocks = lines.split(|l| l.is_empty()).filter(|b| !b.is_empty());
    let case = |block: &[&'static str]| {
        let (scene, ends) = block[1].split_once(": ").unwrap();
        let middle = block.iter().position(|line| *line == "=").unwrap();
        Case {
            name: block[0],
            scene: scene.split(' ').collect(),
            ends,
            before: bytes(block[2..middle].iter().copied()),
            after: bytes(block[middle + 1..].iter().copied()),
        }
    };
    blocks.map(case).collect()
}

/// The packet one hop on.
fn one_hop_on(before: &[u8]) -> Vec<u8> {
    let mut packet = before.to_vec();
    if packet[0] >> 4 == 4 {
        packet[8] -= 1;
        packet[10..12].fill(0);
        let len = usize::from(packet[0] & 15) * 4;
        let sum = csum::of(&packet[..len]).to_le_bytes();
        packet[10..12].copy_from_slice(&sum);
    } else {
        packet[7] -= 1;
    }
    packet
}

/// NAT and FullNAT within a family.
fn translated<F: IcmpFamily>(case: &Case<'_>) -> Vec<u8> {
    let mut packet = one_hop_on(&case.before);
    let parsed = match Packet::<F>::parse(&packet, packet.len()) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(error, Error::Protocol);
            return translated_error::<F>(case, packet);
        }
    };
    let (ip, protocol) = (parsed.ip, parsed.tuple.protocol());
    let to = case.to::<F::Tuple>(protocol);
    let header = &mut packet[ip.header_len()..parsed.headers_len()];
    let deltas = Deltas::new(&parsed.tuple, &to).and(case.moved(header, protocol));
    let rewrite = match protocol {
        SCTP => rewrite::chunks,
        _ => rewrite::packet,
    };
    rewrite(&mut packet, &ip, &to, deltas, Checksum::Whole).unwrap();
    let again = Packet::<F>::parse(&packet, packet.len()).unwrap();
    assert_eq!(again.tuple, to);
    packet
}

fn translated_error<F: IcmpFamily>(case: &Case<'_>, mut packet: Vec<u8>) -> Vec<u8> {
    let ip = F::Ip::parse(&packet, packet.len()).unwrap();
    let error = IcmpError::<F>::parse(&packet, &ip).unwrap();
    let protocol = error.inner.protocol();
    let to = case.to::<F::Tuple>(protocol);
    let outer = match case.is_to_the_dest() {
        true if case.scene[0] == "nat" => Tuple::between((ip.tuple(0).src(), 0), (to.dst(), 0), 0),
        _ => to,
    };
    let quoted = |quote: &mut [u8]| case.quoted(quote, protocol);
    rewrite::icmp_error(&mut packet, &ip, &error, &outer, &to.reversed(), quoted).unwrap();
    packet
}

/// A client's packet to a dest of IPv4.
fn to_v4(case: &Case<'_>) -> Vec<u8> {
    let mut packet = one_hop_on(&case.before);
    let Ok(parsed) = Packet::<V6>::parse(&packet, packet.len()) else {
        let ip = <V6 as Family>::Ip::parse(&packet, packet.len()).unwrap();
        let error = IcmpError::<V6>::parse(&packet, &ip).unwrap();
        let protocol = error.inner.protocol;
        let about = case.to::<<V4 as Family>::Tuple>(protocol).reversed();
        let quoted = |quote: &mut [u8]| case.quoted(quote, protocol);
        let mut made = [0; nat64::ERROR_MAX];
        let len = nat64::error_v4(&mut made, &packet, &error, &about, quoted).unwrap();
        return made[..len].to_vec();
    };
    let (ip, protocol) = (parsed.ip, parsed.tuple.protocol());
    let to = case.to::<<V4 as Family>::Tuple>(protocol);
    let (ttl, payload) = (packet[7], ip.total_len - ip.header_len);
    let moved = case.moved(&mut packet[ip.header_len..parsed.headers_len()], protocol);
    let transport = &mut packet[ip.header_len..];
    let deltas = Deltas::new(&parsed.tuple, &to).and(moved);
    rewrite::segment(transport, protocol, to.ports(), deltas, Checksum::Whole).unwrap();
    let header = nat64::header_v4(&ip, &to, payload, ttl, Some(0));
    [&header, &*transport].concat()
}

/// The answer of such a dest.
fn to_v6(case: &Case<'_>) -> Vec<u8> {
    let mut packet = one_hop_on(&case.before);
    let Ok(parsed) = Packet::<V4>::parse(&packet, packet.len()) else {
        let ip = <V4 as Family>::Ip::parse(&packet, packet.len()).unwrap();
        let error = IcmpError::<V4>::parse(&packet, &ip).unwrap();
        let protocol = error.inner.protocol;
        let about = case.to::<<V6 as Family>::Tuple>(protocol).reversed();
        let quoted = |quote: &mut [u8]| case.quoted(quote, protocol);
        let mut made = [0; nat64::ERROR_MAX];
        let len = nat64::error_v6(&mut made, &packet, &error, &about, 0, quoted).unwrap();
        return made[..len].to_vec();
    };
    let (ip, protocol) = (parsed.ip, parsed.tuple.protocol());
    let to = case.to::<<V6 as Family>::Tuple>(protocol);
    let (ttl, payload) = (packet[8], ip.total_len - ip.header_len);
    let moved = case.moved(&mut packet[ip.header_len..parsed.headers_len()], protocol);
    let transport = &mut packet[ip.header_len..];
    let is_unsummed = protocol == UDP && transport[6..8] == [0, 0];
    let deltas = Deltas::new(&parsed.tuple, &to).and(moved);
    rewrite::segment(transport, protocol, to.ports(), deltas, Checksum::Whole).unwrap();
    if is_unsummed {
        // What a device does with the sum of the pseudo header.
        let pseudo = nat64::pseudo_sum(&to, UDP, payload).to_le_bytes();
        transport[6..8].copy_from_slice(&pseudo);
        let sum = (!csum::sum(transport)).to_le_bytes();
        transport[6..8].copy_from_slice(&sum);
    }
    let header = nat64::header_v6(&ip, &to, payload, ttl);
    [&header, &*transport].concat()
}

/// Checks the outer header and what is in the tunnel; what is between is the kernel's, see the
/// guest test.
fn check_tunnel<F: Family>(case: &Case<'_>, kind: &str) {
    let inner = one_hop_on(&case.before);
    assert!(case.after.ends_with(&inner), "{}", case.name);
    let ip = F::Ip::parse(&inner, inner.len()).unwrap();
    let (kind, sum) = kind.split_once('-').unwrap_or((kind, "nocsum"));
    let kind = TunnelKind::from_name(kind);
    let sum = TunnelSum::from_name(sum);
    let (kind, sum) = (kind.unwrap(), sum.unwrap());
    let port = match kind {
        TunnelKind::Gue => 6080,
        _ => 0,
    };
    let tunnel = Tunnel { kind, sum, port };
    let protocol = tunnel.protocol(F::IN_IP);
    let (ttl, len) = (ip.ttl(), case.after.len());
    let is_v4 = case.after[0] >> 4 == 4;
    if is_v4 {
        let to = case.to::<<V4 as Family>::Tuple>(0);
        let word = |address: std::net::Ipv4Addr| u64::from(u32::from_le_bytes(address.octets()));
        let addresses = word(to.src()) | (word(to.dst()) << 32);
        let header = outer(&ip, len as u32, protocol, ttl, addresses, 0).unwrap();
        assert_eq!(header[..], case.after[..20], "{}", case.name);
        assert_eq!(tunnel.overhead(false) as usize + inner.len(), len);
        let at = tunnel.inner_offset(&case.after[20..], F::IN_IP);
        assert_eq!(at, Some(len - 20 - inner.len()));
    } else {
        let to = case.to::<<V6 as Family>::Tuple>(0);
        let header = ipv6::header(ip.tos(), protocol, &to, len - 40, ttl);
        assert_eq!(header[..], case.after[..40], "{}", case.name);
        assert_eq!(20 + tunnel.overhead(false) as usize + inner.len(), len);
        let at = tunnel.inner_offset(&case.after[40..], F::IN_IP);
        assert_eq!(at, Some(len - 40 - inner.len()));
    }
}

#[test]
fn every_packet_becomes_what_the_table_says() {
    let cases = cases();
    assert!(cases.len() > 350, "only {} cases", cases.len());
    for case in &cases {
        let made = match case.scene[..] {
            ["dr", _] => one_hop_on(&case.before),
            ["nat" | "fullnat", "4"] => translated::<V4>(case),
            ["nat" | "fullnat", "6"] => translated::<V6>(case),
            ["fullnat", "6", "4"] if case.is_to_the_dest() => to_v4(case),
            ["fullnat", "6", "4"] => to_v6(case),
            ["tun", "4", _, kind] => {
                check_tunnel::<V4>(case, kind);
                continue;
            }
            ["tun", "6", _, kind] => {
                check_tunnel::<V6>(case, kind);
                continue;
            }
            _ => panic!("an unknown scene: {:?}", case.scene),
        };
        assert_eq!(made, case.after, "{:?}: {}", case.scene, case.name);
    }
}

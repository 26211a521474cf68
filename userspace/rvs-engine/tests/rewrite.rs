// SPDX-License-Identifier: GPL-2.0

//! Packets before and after they were given another tuple, checksums recomputed from nothing.

use proptest::prelude::*;
use rvs_engine::csum::Delta;
use rvs_engine::family::{IpHeader as _, Tuple as _, V4};
use rvs_engine::rewrite::{self, Checksum, Deltas};
use rvs_engine::tuple::TupleV4;
use rvs_engine::wire::{IcmpError, Ipv4, Packet, TCP, UDP};
use std::net::SocketAddrV4;

const ICMP: u8 = 1;

/// RFC 1071, from its definition.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ip_header(tuple: &TupleV4, protocol: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    header[2..4].copy_from_slice(&((20 + payload) as u16).to_be_bytes());
    header.extend(tuple.src().octets());
    header.extend(tuple.dst().octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn pseudo_header(tuple: &TupleV4, protocol: u8, len: usize) -> Vec<u8> {
    let mut pseudo = Vec::new();
    pseudo.extend(tuple.src().octets());
    pseudo.extend(tuple.dst().octets());
    pseudo.extend([0, protocol]);
    pseudo.extend((len as u16).to_be_bytes());
    pseudo
}

fn segment(tuple: &TupleV4, protocol: u8, data: &[u8], whole: bool) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(tuple.sport().to_be_bytes());
    segment.extend(tuple.dport().to_be_bytes());
    let field = if protocol == TCP {
        segment.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        16
    } else {
        segment.extend(((8 + data.len()) as u16).to_be_bytes());
        segment.extend([0, 0]);
        6
    };
    segment.extend(data);
    let pseudo = pseudo_header(tuple, protocol, segment.len());
    let mut sum = if whole {
        checksum(&[&pseudo, &segment])
    } else {
        !checksum(&[&pseudo])
    };
    if whole && protocol == UDP && sum == 0 {
        sum = 0xffff;
    }
    segment[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    segment
}

fn packet(tuple: &TupleV4, protocol: u8, data: &[u8], whole: bool) -> Vec<u8> {
    let segment = segment(tuple, protocol, data, whole);
    [ip_header(tuple, protocol, segment.len()), segment].concat()
}

/// 0 and 0xffff say the same in a sum; a rewritten header may have either.
fn same_but_for_zeroes(a: &[u8], b: &[u8], fields: &[usize]) -> bool {
    let clean = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for &at in fields {
            if bytes[at..at + 2] == [0xff, 0xff] {
                bytes[at..at + 2].fill(0);
            }
        }
        bytes
    };
    clean(a) == clean(b)
}

fn endpoint() -> impl Strategy<Value = SocketAddrV4> {
    (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port))
}

proptest! {
    #[test]
    fn a_rewritten_packet_is_the_one_its_new_sender_would_send(
        ends in [endpoint(), endpoint(), endpoint(), endpoint()],
        tcp in any::<bool>(),
        whole in any::<bool>(),
        data in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let from = TupleV4::new(ends[0], ends[1], protocol);
        let to = TupleV4::new(ends[2], ends[3], protocol);
        let before = packet(&from, protocol, &data, whole);
        let expected = packet(&to, protocol, &data, whole);
        let field = if tcp { 36 } else { 26 };
        let kind = if whole { Checksum::Whole } else { Checksum::PseudoHeader };

        let mut head = before.clone();
        let ip = Ipv4::parse(&head, head.len()).unwrap();
        let deltas = Deltas::new(&from, &to);
        prop_assert!(rewrite::packet(&mut head, &ip, &to, deltas, kind).is_some());
        prop_assert!(same_but_for_zeroes(&head, &expected, &[10, field]));
        prop_assert_eq!(Packet::<V4>::parse(&head, head.len()).unwrap().tuple, to);

        prop_assert!(rewrite::packet(&mut head, &ip, &from, deltas.reversed(), kind).is_some());
        prop_assert!(same_but_for_zeroes(&head, &before, &[10, field]));
    }

    #[test]
    fn a_rewritten_error_is_about_the_new_senders_packet(
        ends in [endpoint(), endpoint(), endpoint(), endpoint()],
        router in endpoint(),
        tcp in any::<bool>(),
        cut in 8usize..60,
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let from = TupleV4::new(ends[0], ends[1], protocol);
        let to = TupleV4::new(ends[2], ends[3], protocol);
        let error = |about: &TupleV4| {
            let inner = packet(about, protocol, &[7; 40], true);
            let outer = TupleV4::new(router, SocketAddrV4::new(about.src(), 0), ICMP);
            let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
            message.extend(&inner[..20 + cut.min(inner.len() - 20)]);
            let sum = checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            [ip_header(&outer, ICMP, message.len()), message].concat()
        };
        let mut head = error(&from);
        let expected = error(&to);
        let ip = Ipv4::parse(&head, head.len()).unwrap();
        let parsed = IcmpError::<V4>::parse(&head, &ip).unwrap();
        let outer = TupleV4::new(router, SocketAddrV4::new(to.src(), 0), ICMP);
        prop_assert!(rewrite::icmp_error(&mut head, &ip, &parsed, &outer, &to, |_| Some(Delta::NONE)).is_some());
        let inner_field = 48 + if tcp { 16 } else { 6 };
        let mut fields = vec![10, 22, 38];
        if inner_field + 2 <= head.len() {
            fields.push(inner_field);
            // An inner sum of the other zero makes another outer sum.
            let recomputed = |packet: &[u8]| checksum(&[&packet[20..]]) % 0xffff;
            prop_assert_eq!(recomputed(&head), 0);
            let mut a = head.clone();
            let mut b = expected.clone();
            a[22..24].fill(0);
            b[22..24].fill(0);
            prop_assert!(same_but_for_zeroes(&a, &b, &fields));
        } else if cut != inner_field - 48 + 1 {
            prop_assert!(same_but_for_zeroes(&head, &expected, &fields));
        }
    }

    #[test]
    fn a_packet_cut_short_is_left_alone(cut in 0usize..38) {
        let end = "192.0.2.1:80".parse().unwrap();
        let other = "198.51.100.7:4000".parse().unwrap();
        let from = TupleV4::new(other, end, TCP);
        let to = TupleV4::new(end, other, TCP);
        let whole = packet(&from, TCP, &[], true);
        let ip = Ipv4::parse(&whole, whole.len()).unwrap();
        let mut head = whole[..cut].to_vec();
        prop_assert!(
            rewrite::packet(&mut head, &ip, &to, Deltas::new(&from, &to), Checksum::Whole).is_none()
        );
        prop_assert_eq!(&head[..], &whole[..cut]);
    }
}

#[test]
fn an_unsummed_udp_packet_stays_unsummed() {
    let from = TupleV4::new(
        "192.0.2.1:5".parse().unwrap(),
        "203.0.113.1:53".parse().unwrap(),
        UDP,
    );
    let to = TupleV4::new(
        "192.0.2.1:5".parse().unwrap(),
        "10.0.0.1:53".parse().unwrap(),
        UDP,
    );
    let mut head = packet(&from, UDP, b"abc", true);
    head[26..28].fill(0);
    let ip = Ipv4::parse(&head, head.len()).unwrap();
    rewrite::packet(
        &mut head,
        &ip,
        &to,
        Deltas::new(&from, &to),
        Checksum::Whole,
    )
    .unwrap();
    assert_eq!(head[26..28], [0, 0]);
}

// SPDX-License-Identifier: GPL-2.0

//! The packet tables of `tests/packets`, and what must hold for any bytes at all.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

use proptest::prelude::*;
use rvs_engine::family::{IpHeader, Tuple, V4, V6};
use rvs_engine::wire::icmp::Report;
use rvs_engine::wire::{self, Error, IcmpError, IcmpFamily, Packet};
use std::net::IpAddr;

/// Name, packets, how they are read.
const TABLES: [(&str, &str, Reader); 4] = [
    (
        "ipv4",
        include_str!("../../../tests/packets/ipv4.txt"),
        read::<V4>,
    ),
    (
        "icmp",
        include_str!("../../../tests/packets/icmp.txt"),
        read::<V4>,
    ),
    (
        "ipv6",
        include_str!("../../../tests/packets/ipv6.txt"),
        read::<V6>,
    ),
    (
        "icmpv6",
        include_str!("../../../tests/packets/icmpv6.txt"),
        read::<V6>,
    ),
];

type Reader = fn(&[u8], usize) -> Result<String, Error>;

struct Case {
    name: String,
    bytes: Vec<u8>,
    length: usize,
    expected: String,
}

fn cases(table: &str) -> Vec<Case> {
    let lines: Vec<&str> = table.lines().filter(|l| !l.starts_with('#')).collect();
    let blocks = lines.split(|l| l.is_empty()).filter(|b| !b.is_empty());
    blocks.map(case).collect()
}

fn case(block: &[&str]) -> Case {
    let (name, rest) = block.split_first().unwrap();
    let (mut bytes, mut length, mut expected) = (vec![], None, None);
    for line in rest {
        if let Some(number) = line.strip_prefix("length: ") {
            length = Some(number.parse().unwrap());
        } else if let Some(text) = line.strip_prefix("= ") {
            expected = Some(text.to_owned());
        } else {
            assert!(line.starts_with("  "), "{name}: {line}");
            let hex = line.split_whitespace().filter(|&byte| byte != "-");
            bytes.extend(hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
    }
    Case {
        name: (*name).to_owned(),
        length: length.unwrap_or(bytes.len()),
        expected: expected.unwrap_or_else(|| panic!("{name}: nothing expected")),
        bytes,
    }
}

fn flow(tuple: &impl Tuple) -> String {
    let protocol = match tuple.protocol() {
        wire::TCP => "tcp",
        wire::UDP => "udp",
        _ => "sctp",
    };
    format!("{protocol} {} > {}", tuple.source(), tuple.destination())
}

fn read<F: IcmpFamily>(head: &[u8], len: usize) -> Result<String, Error> {
    let ip = F::Ip::parse(head, len)?;
    if ip.protocol() == F::ICMP {
        let error = IcmpError::<F>::parse(head, &ip)?;
        let mtu = match error.report {
            Report::TooBig(mtu) => mtu,
            _ => 0,
        };
        let (kind, code) = (error.kind, error.code);
        let about = flow(&error.tuple);
        return Ok(format!("icmp {kind}/{code} mtu {mtu} about {about}"));
    }
    let packet = Packet::<F>::parse(head, len)?;
    assert_eq!(Packet::<F>::from_ip(head, ip), Ok(packet));
    let flow = flow(&packet.tuple);
    Ok(match ip.protocol() {
        wire::TCP => format!("{flow} {:?}", packet.segment.flags),
        _ => flow,
    })
}

fn verdict(read: Reader, head: &[u8], len: usize) -> String {
    read(head, len).unwrap_or_else(|error| format!("error {error:?}"))
}

#[test]
fn every_packet_of_the_tables_reads_as_it_says() {
    let mut wrong = vec![];
    for (file, table, read) in TABLES {
        let cases = cases(table);
        assert!(cases.len() > 20, "{file}: only {} cases", cases.len());
        for case in cases {
            let got = verdict(read, &case.bytes, case.length);
            if got != case.expected {
                wrong.push(format!(
                    "{file}: {}: {got}, not {}",
                    case.name, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever part of a packet is linear, the verdict is that of the whole packet or a request for
/// more that leads on.
fn leads_to_the_same_verdict(read: Reader, bytes: &[u8]) {
    let whole = verdict(read, bytes, bytes.len());
    assert!(!whole.contains("NotLinear"), "{whole}");
    for linear in 0..=bytes.len() {
        let mut have = linear;
        loop {
            match read(&bytes[..have], bytes.len()) {
                Err(Error::NotLinear(need)) => {
                    assert!(need > have && need <= bytes.len(), "{have} {need}");
                    have = need;
                }
                done => {
                    let got = done.unwrap_or_else(|error| format!("error {error:?}"));
                    assert_eq!(got, whole, "{linear} bytes linear");
                    break;
                }
            }
        }
    }
}

#[test]
fn it_does_not_matter_how_much_is_linear() {
    for (_, table, read) in TABLES {
        for case in cases(table).iter().filter(|c| c.length == c.bytes.len()) {
            leads_to_the_same_verdict(read, &case.bytes);
        }
    }
}

#[test]
fn cut_packets_are_refused() {
    for (_, table, read) in TABLES {
        for case in cases(table) {
            let whole = case.length == case.bytes.len() && !case.name.contains("padding");
            if !whole || case.expected.starts_with("error") {
                continue;
            }
            for len in 0..case.bytes.len() {
                let got = read(&case.bytes[..len], len);
                assert!(
                    matches!(got, Err(error) if error.is_malformed()),
                    "{} cut to {len}: {got:?}",
                    case.name
                );
            }
        }
    }
}

/// Bytes that are random, or one of the tables' packets with some bytes changed.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let packets: Vec<Vec<u8>> = TABLES
        .iter()
        .flat_map(|(_, table, _)| cases(table))
        .map(|case| case.bytes)
        .collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let changed = (prop::sample::select(packets), changes).prop_map(|(mut bytes, changes)| {
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    });
    prop_oneof![1 => prop::collection::vec(any::<u8>(), 0..120), 4 => changed]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..Default::default() })]

    #[test]
    fn any_bytes_have_a_verdict(bytes in bytes()) {
        leads_to_the_same_verdict(read::<V4>, &bytes);
        leads_to_the_same_verdict(read::<V6>, &bytes);
    }

    #[test]
    fn what_is_read_lies_within_the_packet(bytes in bytes()) {
        lies_within::<V4>(&bytes, 12)?;
        lies_within::<V6>(&bytes, 8)?;
    }
}

fn lies_within<F: IcmpFamily>(bytes: &[u8], addresses: usize) -> Result<(), TestCaseError> {
    let Ok(packet) = Packet::<F>::parse(bytes, bytes.len()) else {
        return Ok(());
    };
    let end = packet.ip.header_len() + packet.segment.header_len;
    prop_assert!(end <= packet.ip.total_len() && packet.ip.total_len() <= bytes.len());
    prop_assert_eq!(packet.tuple.protocol(), packet.ip.protocol());
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let [src, dst] = [packet.tuple.src().into(), packet.tuple.dst().into()].map(octets);
    let both = [src, dst].concat();
    prop_assert_eq!(&both[..], &bytes[addresses..addresses + both.len()]);
    let ports = &bytes[packet.ip.header_len()..];
    prop_assert_eq!(&packet.tuple.sport().to_be_bytes()[..], &ports[..2]);
    prop_assert_eq!(&packet.tuple.dport().to_be_bytes()[..], &ports[2..4]);
    Ok(())
}

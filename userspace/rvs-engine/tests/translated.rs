// SPDX-License-Identifier: GPL-2.0

//! The table of translated packets of `tests/packets`, byte for byte.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

use std::net::SocketAddrV4;

use rvs_engine::family::Tuple as _;
use rvs_engine::family::V4;
use rvs_engine::rewrite::{self, Checksum, Deltas};
use rvs_engine::tuple::TupleV4;
use rvs_engine::wire::{Packet, SCTP};

const TABLE: &str = include_str!("../../../tests/packets/translated.txt");

struct Case {
    name: String,
    from: SocketAddrV4,
    to: SocketAddrV4,
    before: Vec<u8>,
    after: Vec<u8>,
}

fn bytes<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let words = lines.flat_map(str::split_whitespace);
    words
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn cases() -> Vec<Case> {
    let lines: Vec<&str> = TABLE.lines().filter(|l| !l.starts_with('#')).collect();
    let blocks = lines.split(|l| l.is_empty()).filter(|b| !b.is_empty());
    let case = |block: &[&str]| {
        let (_, ends) = block[1].split_once(": ").unwrap();
        let (from, to) = ends.split_once(" > ").unwrap();
        let middle = block.iter().position(|line| *line == "=").unwrap();
        Case {
            name: block[0].to_owned(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            before: bytes(block[2..middle].iter().copied()),
            after: bytes(block[middle + 1..].iter().copied()),
        }
    };
    blocks.map(case).collect()
}

#[test]
fn every_packet_becomes_what_the_table_says_and_back() {
    let cases = cases();
    assert!(cases.len() > 20, "only {} cases", cases.len());
    for case in cases {
        let packet = Packet::<V4>::parse(&case.before, case.before.len()).unwrap();
        let to = TupleV4::new(case.from, case.to, packet.tuple.protocol());
        let deltas = Deltas::new(&packet.tuple, &to);
        let mut translated = case.before.clone();
        let rewrite = match packet.tuple.protocol() {
            SCTP => rewrite::chunks,
            _ => rewrite::packet,
        };
        rewrite(&mut translated, &packet.ip, &to, deltas, Checksum::Whole).unwrap();
        assert_eq!(translated, case.after, "{}", case.name);
        let packet = Packet::<V4>::parse(&translated, translated.len()).unwrap();
        assert_eq!(packet.tuple, to);
    }
}

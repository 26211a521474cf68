// SPDX-License-Identifier: GPL-2.0

//! What directors tell each other: datagrams of a stock `ip_vs`, and bad ones. [`any`] has any bytes at all.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod any;
mod streams;

use rvs_engine::helper::lengths::Lengths;
use rvs_engine::proto::State;
use rvs_engine::spec::{DestId, Mode, Protocol, ServiceId};
use rvs_engine::sync::{
    flags, is_told, Connection, Datagram, Draft, Entry, Fault, Own, Template, Told, ENTRY_V4,
    ENTRY_V6, HEADER,
};
use std::net::{IpAddr, SocketAddr};

/// What a stock master sent: see the file's head.
const STOCK: &str = include_str!("../../../../tests/packets/sync.txt");

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn told(entry: &Entry) -> String {
    match Told::of(entry) {
        Ok(Told::Connection(it)) => format!(
            "{} {} > {} > {} {} {} {} s",
            it.protocol.name(),
            it.client,
            it.virtual_address,
            it.dest,
            it.mode.name(),
            it.state.name(),
            it.seconds
        ),
        Ok(Told::Template(it)) => format!(
            "template {} > {} > {} {} {} {} s",
            it.network,
            it.service,
            it.dest,
            it.mode.name(),
            if it.assured { "assured" } else { "fresh" },
            it.seconds
        ),
        Err(fault) => format!("fault {}", fault.name()),
    }
}

/// A datagram of the table: its bytes, and what each entry says.
fn blocks() -> Vec<(Vec<u8>, Vec<&'static str>)> {
    let lines: Vec<&str> = STOCK.lines().filter(|l| !l.starts_with('#')).collect();
    let blocks = lines
        .split(|line| line.is_empty())
        .filter(|b| !b.is_empty());
    let blocks = blocks.map(|block| {
        let (said, bytes): (Vec<&str>, Vec<&str>) = block.iter().partition(|l| l.starts_with("= "));
        let said = said.iter().map(|line| &line[2..]).collect();
        (hex(&bytes.concat()), said)
    });
    blocks.collect()
}

#[test]
fn what_a_stock_master_sends_is_understood() {
    let blocks = blocks();
    assert!(blocks.len() > 3, "{}", blocks.len());
    for (bytes, said) in blocks {
        let datagram = Datagram::read(&bytes, 0).unwrap();
        let entries: Vec<Entry> = datagram.entries().map(Result::unwrap).collect();
        let read: Vec<String> = entries.iter().map(told).collect();
        assert_eq!(read, said);
        assert_eq!(Datagram::read(&bytes, 8).unwrap_err(), Fault::Id);
    }
}

/// Entries of IPv4 and IPv6 are the stock master's to the byte when they are written again.
#[test]
fn what_is_written_is_what_a_stock_master_writes() {
    for (bytes, _) in blocks() {
        let entries = Datagram::read(&bytes, 7).unwrap().entries();
        let mut buffer = [0xaa; 2000];
        let mut draft = Draft::begin(&mut buffer, 7).unwrap();
        for entry in entries.map(Result::unwrap) {
            let mut again = match Told::of(&entry).unwrap() {
                Told::Connection(it) => Entry::from(&it),
                Told::Template(it) => Entry::from(&it),
            };
            // A stock master has seen answers of the dest by the router's mistake, or has not.
            again.flags &= !flags::NO_OUTPUT;
            again.flags |= entry.flags & flags::NO_OUTPUT;
            assert!(draft.add(&mut buffer, &again));
        }
        assert!(buffer[..draft.len()] == bytes, "{bytes:02x?}");
    }
}

fn connection(own: Option<Own>) -> Connection {
    Connection {
        protocol: Protocol::Tcp,
        client: "198.51.100.2:1025".parse().unwrap(),
        virtual_address: "203.0.113.10:80".parse().unwrap(),
        dest: "192.168.56.101:8080".parse().unwrap(),
        mode: if own.is_some() {
            Mode::FullNat
        } else {
            Mode::Nat
        },
        state: State::Established,
        mark: 0,
        seconds: 900,
        own,
        inactive: false,
        ended: false,
        lengths: None,
    }
}

/// As `ip_vs` has it: the client's first, each the number behind which they count, and what is added from
/// there on and before.
#[test]
fn what_a_helper_has_moved_is_told_as_ip_vs_tells_it() {
    let client = Lengths::NONE.and(1000, 7).and_then(|it| it.and(2000, -3));
    let dest = Lengths::NONE.and(u32::MAX, 2);
    let told = Connection {
        lengths: Some([client.unwrap(), dest.unwrap()]),
        ..connection(None)
    };
    let bytes = written(&[Entry::from(&told)]);
    let flags = u32::from_be_bytes(bytes[12..16].try_into().unwrap());
    assert_eq!(flags & 0x600, 0x600);
    let words = [2000, 4, 7, u32::MAX, 2, 0].map(u32::to_be_bytes);
    assert_eq!(bytes[44..46], [1, 24]);
    assert_eq!(bytes[46..70], *words.as_flattened());
    let read = Datagram::read(&bytes, 9).unwrap();
    let entry = read.entries().next().unwrap().unwrap();
    assert_eq!(Told::of(&entry), Ok(Told::Connection(told)));
    // More than there is room for.
    for (at, word) in [(50, 1u32 << 22), (54, 200), (62, 0x8000_0000)] {
        let mut lies = bytes.clone();
        lies[at..at + 4].copy_from_slice(&word.to_be_bytes());
        let read = Datagram::read(&lies, 9).unwrap();
        assert_eq!(read.entries().next(), Some(Err(Fault::UnknownOption)));
    }
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut buffer = vec![0; 1472];
    let mut draft = Draft::begin(&mut buffer, 9).unwrap();
    for entry in entries {
        assert!(draft.add(&mut buffer, entry));
    }
    buffer.truncate(draft.len());
    buffer
}

fn own() -> Own {
    Own {
        local: "192.168.56.201:5001".parse().unwrap(),
        sequence: 0xfff0_0001,
        timestamps: 3,
        stage: 2,
        toa_kind: 254,
        telling: [7, 0x8000_0000],
    }
}

#[test]
fn datagrams_that_lie_are_not_taken_at_all() {
    let good = written(&[
        (&connection(None)).into(),
        (&connection(Some(own()))).into(),
    ]);
    let read = |bytes: &[u8]| Datagram::read(bytes, 9).map(|_| ());
    assert_eq!(read(&good), Ok(()));
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_err(), "cut to {len}");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(read(&longer), Err(Fault::Length));
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = good.clone();
        changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        read(&bytes)
    };
    let (first, second) = (HEADER, HEADER + ENTRY_V4);
    let option = second + ENTRY_V4;
    for (changes, expected) in [
        (&[(0, 1)][..], Err(Fault::Version)),
        (&[(5, 0)], Err(Fault::Version)),
        (&[(5, 2)], Err(Fault::Version)),
        (&[(6, 1)], Err(Fault::Version)),
        (&[(1, 8)], Err(Fault::Id)),
        (&[(3, 0)], Err(Fault::Length)),
        (&[(4, 3)], Err(Fault::Entry)),
        (&[(4, 255)], Err(Fault::Entry)),
        (&[(4, 1)], Ok(())),
        (&[(first, 2)], Err(Fault::Entry)),
        (&[(first, 1)], Err(Fault::Entry)),
        (&[(first + 2, 0x10)], Err(Fault::Entry)),
        (&[(first + 3, 35)], Err(Fault::Entry)),
        (&[(first + 3, 0)], Err(Fault::Entry)),
        (&[(first + 2, 0x0f)], Err(Fault::Entry)),
        (&[(option + 1, 0)], Err(Fault::Option)),
        (&[(option + 1, 23)], Err(Fault::Option)),
        (&[(option + 1, 25)], Err(Fault::Option)),
        (&[(option, 1)], Err(Fault::Option)),
        (&[(option, 3)], Err(Fault::Option)),
    ] {
        assert_eq!(with(changes), expected, "{changes:?}");
    }
}

#[test]
fn entries_that_cannot_be_are_left_out_alone() {
    let base = Entry::from(&connection(None));
    let meant = |change: fn(&mut Entry)| {
        let mut entry = base;
        change(&mut entry);
        Told::of(&entry).map(|_| ())
    };
    let end = |text: &str| -> SocketAddr { text.parse().unwrap() };
    assert_eq!(end("0.0.0.0:1").port(), 1);
    for (change, expected) in [
        ((|_| {}) as fn(&mut Entry), Ok(())),
        (|e| e.state = 10, Ok(())),
        (|e| e.state = 11, Err(Fault::State)),
        (|e| e.state = 0xffff, Err(Fault::State)),
        (|e| e.protocol = 17, Err(Fault::State)),
        (|e| (e.protocol, e.state) = (17, 0), Ok(())),
        (|e| (e.protocol, e.state) = (132, 13), Ok(())),
        (|e| (e.protocol, e.state) = (132, 14), Err(Fault::State)),
        (|e| e.protocol = 50, Err(Fault::Protocol)),
        (|e| e.protocol = 0, Err(Fault::Protocol)),
        (|e| e.flags |= flags::ONE_PACKET, Err(Fault::Flags)),
        (|e| e.flags |= flags::NO_CLIENT_PORT, Err(Fault::Flags)),
        (|e| e.flags = 4, Err(Fault::Mode)),
        (|e| e.flags = 7, Err(Fault::Mode)),
        (|e| e.client.set_port(0), Err(Fault::Address)),
        (|e| e.virtual_address.set_port(0), Err(Fault::Address)),
        (|e| e.dest.set_port(0), Err(Fault::Address)),
        (
            |e| e.client.set_ip([0, 0, 0, 0].into()),
            Err(Fault::Address),
        ),
        (
            |e| e.client.set_ip([224, 0, 0, 1].into()),
            Err(Fault::Address),
        ),
        (|e| e.dest.set_ip([255; 4].into()), Err(Fault::Address)),
        (
            |e| e.virtual_address.set_ip([239, 1, 1, 1].into()),
            Err(Fault::Address),
        ),
        (|e| e.flags |= flags::TEMPLATE, Err(Fault::Address)),
    ] {
        assert_eq!(meant(change), expected);
    }
}

#[test]
fn templates_by_mark_have_no_protocol() {
    for ipv6 in [false, true] {
        let network: IpAddr = if ipv6 { "2001:db8::" } else { "198.51.100.0" }
            .parse()
            .unwrap();
        let dest: IpAddr = if ipv6 {
            "2001:db8:56::101"
        } else {
            "192.168.56.101"
        }
        .parse()
        .unwrap();
        let template = Template {
            service: ServiceId::Marked { mark: 7, ipv6 },
            network,
            dest: DestId {
                address: dest,
                port: 0,
            },
            mode: Mode::Dr,
            seconds: 300,
            assured: true,
            call: &[],
        };
        let entry = Entry::from(&template);
        assert_eq!((entry.protocol, entry.mark), (0, 7));
        assert_eq!(Told::of(&entry), Ok(Told::Template(template)));
        let nobody = Entry { mark: 0, ..entry };
        assert_eq!(Told::of(&nobody), Err(Fault::Protocol));
        let later = Entry { state: 2, ..entry };
        assert_eq!(Told::of(&later), Err(Fault::State));
    }
}

#[test]
fn templates_of_calls_say_which_as_ip_vs_does() {
    let longest = [b'c'; 255];
    for (ends, call) in [
        (
            ["198.51.100.10", "203.0.113.10", "192.168.56.101"],
            &b"f81d4fae@host"[..],
        ),
        (
            ["2001:db8::10", "2001:db8:1::10", "2001:db8:56::101"],
            &longest,
        ),
    ] {
        let [network, address, dest] = ends.map(|end| end.parse().unwrap());
        let template = Template {
            service: ServiceId::Virtual {
                protocol: Protocol::Udp,
                address,
                port: 5060,
            },
            network,
            dest: DestId {
                address: dest,
                port: 5060,
            },
            mode: Mode::Nat,
            seconds: 300,
            assured: false,
            call,
        };
        let bytes = written(&[Entry::from(&template)]);
        // {kind, length, data} of the call, and of the engine's name, which ends the entry.
        let options = [&[2, call.len() as u8], call, &[3, 3], b"sip"].concat();
        assert!(bytes.ends_with(&options));
        let datagram = Datagram::read(&bytes, 0).unwrap();
        let entry = datagram.entries().next().unwrap().unwrap();
        assert_eq!(Told::of(&entry), Ok(Told::Template(template)));
    }
}

#[test]
fn calls_of_other_engines_are_not_taken() {
    let read = |options: &[u8]| {
        let bytes = with_options(options);
        let datagram = Datagram::read(&bytes, 0)?;
        let mut entries = datagram.entries();
        entries.next().unwrap().map(|entry| entry.call.len())
    };
    let sip = b"\x03\x03sip";
    let data = b"\x02\x04call";
    assert_eq!(read(&[&data[..], sip].concat()), Ok(4));
    assert_eq!(read(&[&sip[..], data].concat()), Ok(4));
    assert_eq!(read(data), Err(Fault::UnknownOption));
    assert_eq!(read(sip), Err(Fault::UnknownOption));
    let other = [&data[..], b"\x03\x04sips"].concat();
    assert_eq!(read(&other), Err(Fault::UnknownOption));
    // It would not be found again by what is read of messages.
    let spaced = [&b"\x02\x04c ll"[..], sip].concat();
    assert_eq!(read(&spaced), Err(Fault::UnknownOption));
    let mut cut = [&data[..], sip].concat();
    cut[1] = 40;
    assert_eq!(read(&cut), Err(Fault::Option));
}

/// Options, as bytes, put at the end of an entry that is alone.
fn with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = written(&[(&connection(None)).into()]);
    bytes.extend(options);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let size = len - HEADER as u16;
    bytes[HEADER + 2..HEADER + 4].copy_from_slice(&size.to_be_bytes());
    bytes
}

#[test]
fn options_that_are_not_known_are_passed_over_or_not() {
    let read = |options: &[u8]| {
        let bytes = with_options(options);
        let datagram = Datagram::read(&bytes, 0)?;
        let mut entries = datagram.entries();
        entries.next().unwrap().map(|entry| entry.own.is_some())
    };
    let sequences = [&[1u8, 24][..], &[0; 24]].concat();
    let name = [&[3u8, 3][..], b"sip"].concat();
    assert_eq!(read(&[]), Ok(false));
    assert_eq!(read(&sequences), Ok(false));
    assert_eq!(
        read(&[&sequences[..], &sequences].concat()),
        Err(Fault::Option)
    );
    assert_eq!(read(&[1, 2, 0, 0]), Err(Fault::Option));
    assert_eq!(read(&name), Err(Fault::UnknownOption));
    assert_eq!(
        read(&[&[3u8, 17][..], &[b'x'; 17]].concat()),
        Err(Fault::Option)
    );
    assert_eq!(read(&[9, 1, 0]), Err(Fault::UnknownOption));
    assert_eq!(read(&[0x49, 1, 0]), Ok(false));
    // RVS's own of another version, or cut: the connection is what it is without it.
    assert_eq!(read(&[0x70, 3, 9, 9, 9]), Ok(false));
    assert_eq!(read(&[0x30, 3, 9, 9, 9]), Err(Fault::UnknownOption));
    assert_eq!(read(&[0x49]), Err(Fault::Option));
    assert_eq!(read(&[0x49, 0]), Err(Fault::Option));
}

#[test]
fn a_full_buffer_stays_as_it_is() {
    let entry = Entry::from(&connection(None));
    let mut buffer = [0; HEADER + ENTRY_V4 + 10];
    let mut draft = Draft::begin(&mut buffer, 1).unwrap();
    assert!(draft.is_empty());
    assert!(draft.add(&mut buffer, &entry));
    let (before, full) = (buffer, draft);
    assert!(!draft.add(&mut buffer, &entry));
    assert_eq!((buffer, draft), (before, full));
    assert_eq!(Draft::begin(&mut [0; 7], 1), None);
    // No more than the header can count.
    let mut buffer = vec![0; 60_000];
    let mut draft = Draft::begin(&mut buffer, 1).unwrap();
    let added = (0..300)
        .take_while(|_| draft.add(&mut buffer, &entry))
        .count();
    assert_eq!(added, 255);
    let read = Datagram::read(&buffer[..draft.len()], 1).unwrap();
    assert_eq!((read.len(), read.entries().flatten().count()), (255, 255));
}

#[test]
fn those_that_have_only_begun_are_not_told_of() {
    assert!(is_told(State::Established) && is_told(State::Udp) && is_told(State::Close));
    assert!(!is_told(State::SynRecv) && !is_told(State::SctpInit));
    assert_eq!(ENTRY_V6 - ENTRY_V4, 36);
    let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    let numbers: Vec<_> = Fault::ALL.iter().map(|fault| *fault as usize).collect();
    assert_eq!(numbers, (0..names.len()).collect::<Vec<_>>());
}

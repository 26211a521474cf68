// SPDX-License-Identifier: GPL-2.0

//! Records: what is written is read by this version and by later ones, and nothing else is.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

use std::fmt::Write as _;

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use rvs_engine::proto::State;
use rvs_engine::record::{Connection, Counts, Ends, Fault, Owner, Record, Template, MAX};
use rvs_engine::spec::{DestId, Mode, Protocol, ServiceId};

fn written(record: &Record) -> Vec<u8> {
    record.write(&mut [0; MAX]).unwrap().to_vec()
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn fullnat() -> Connection {
    Connection {
        service: ServiceId::Virtual {
            protocol: Protocol::Tcp,
            address: IpAddr::from([203, 0, 113, 10]),
            port: 443,
        },
        dest: DestId {
            address: IpAddr::from([192, 0, 2, 1]),
            port: 0,
        },
        mode: Mode::FullNat,
        protocol: Protocol::Tcp,
        state: State::Established,
        client: end("198.51.100.7:40000"),
        virtual_address: end("203.0.113.10:443"),
        silent: 1500,
        is_of_others: false,
        ends: Some(Ends {
            dest: end("192.0.2.1:443"),
            local: end("192.0.2.200:5001"),
            shift: [0x0102_0304, 5],
            stage: 3,
            toa_kind: 254,
            telling: [6, 7],
        }),
        account: Some((9, [1, 2, 3, 4])),
        helped: None,
    }
}

/// One that a helper follows.
fn helped() -> Connection {
    let mut it = fullnat();
    it.ends.as_mut().unwrap().stage = 11;
    it.helped = Some(([5, u64::MAX], true));
    it
}

/// What this version writes, later ones read: a change of it is another version.
#[test]
fn bytes_of_version_1() {
    let bytes = written(&Record::Connection(fullnat()));
    let mut hex = String::new();
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    let want = concat!(
        "0101",
        "06060104",
        "000005dc",
        "000604cb00710a01bb",
        "04c00002010000",
        "04c63364079c40",
        "04cb00710a01bb",
        "03fe",
        "04c000020101bb",
        "04c00002c81389",
        "01020304",
        "00000005",
        "00000006",
        "00000007",
        "00000009",
        "0000000000000001",
        "0000000000000002",
        "0000000000000003",
        "0000000000000004",
    );
    assert_eq!(hex, want);
    let helped = Record::Connection(helped());
    assert_eq!(Record::read(&written(&helped)), Ok(helped));
    let template = Template {
        service: ServiceId::Marked {
            mark: 7,
            ipv6: true,
        },
        network: "2001:db8::".parse().unwrap(),
        dest: DestId {
            address: "2001:db8:1::1".parse().unwrap(),
            port: 80,
        },
        mode: Mode::Dr,
        left: 1000,
        assured: true,
        call: &[],
    };
    let whole = Record::Template(template);
    assert_eq!(Record::read(&written(&whole)), Ok(whole));
    let longest = [b'x'; 255];
    for call in [&b"a"[..], b"a84b4c76e66710@pc33.atlanta.com", &longest] {
        let record = Record::Template(Template { call, ..template });
        let bytes = written(&record);
        assert_eq!(Record::read(&bytes), Ok(record));
        assert_eq!(Record::read(&bytes[..bytes.len() - 1]), Err(Fault::Length));
    }
    for call in [&b"a b"[..], b"a@", b"a\r\n", b"a@b@c"] {
        let record = Record::Template(Template { call, ..template });
        assert_eq!(Record::read(&written(&record)), Err(Fault::Content));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let bytes = written(&Record::Connection(fullnat()));
    for end in 0..bytes.len() {
        assert_eq!(Record::read(&bytes[..end]), Err(Fault::Length), "{end}");
    }
    let with = |at: usize, byte| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        Record::read(&changed).map(drop)
    };
    assert_eq!(with(0, 2), Err(Fault::Version(2)));
    assert_eq!(with(1, 9), Err(Fault::Kind(9)));
    // Bits that are none, a protocol, a state of UDP, one that is none, a mode.
    for (at, byte) in [(2, 0x80), (3, 50), (4, 11), (4, 77), (5, 9)] {
        assert_eq!(with(at, byte), Err(Fault::Content), "{at}");
    }
    let cannot = |change: fn(&mut Connection)| {
        let mut it = fullnat();
        change(&mut it);
        Record::read(&written(&Record::Connection(it))).map(drop)
    };
    let refused = Err(Fault::Content);
    assert_eq!(cannot(|it| it.client = end("[2001:db8::1]:1")), refused);
    assert_eq!(cannot(|it| it.ends.as_mut().unwrap().stage = 6), refused);
    assert_eq!(cannot(|it| it.ends.as_mut().unwrap().stage = 8), refused);
    assert_eq!(cannot(|it| it.helped = Some(([0, 0], false))), refused);
    assert_eq!(
        cannot(|it| *it = Connection {
            ends: None,
            ..helped()
        }),
        refused
    );
    assert_eq!(cannot(|it| it.ends.as_mut().unwrap().toa_kind = 8), refused);
    assert_eq!(
        cannot(|it| it.ends.as_mut().unwrap().local = end("[::1]:1")),
        refused
    );
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Record::read(&longer), Err(Fault::Length));
}

fn any_end(ipv6: bool) -> impl Strategy<Value = SocketAddr> {
    (any::<u128>(), any::<u16>()).prop_map(move |(bits, port)| {
        let address = match ipv6 {
            true => IpAddr::from((bits | 1).to_be_bytes()),
            false => IpAddr::from((bits as u32).to_be_bytes()),
        };
        SocketAddr::new(address, port)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read(
        (client, dest) in any::<[bool; 2]>().prop_flat_map(|[client, dest]| {
            ((any_end(client), any_end(client)), (any_end(client && dest), any_end(client && dest)))
        }),
        state in prop::sample::select(vec![State::Established, State::Udp, State::SctpEstablished]),
        words in any::<[u32; 5]>(),
        account in prop::option::of(any::<(u32, [u64; 4])>()),
        has_ends: bool,
        is_of_others: bool,
    ) {
        let (protocol, stage) = match state {
            State::Udp => (Protocol::Udp, 7),
            State::Established => (Protocol::Tcp, 4),
            _ => (Protocol::Sctp, 6),
        };
        let has_ends = has_ends || client.0.is_ipv6() != dest.0.is_ipv6();
        let ends = has_ends.then_some(Ends {
            dest: dest.0,
            local: dest.1,
            shift: [words[1], words[2]],
            stage,
            toa_kind: 0,
            telling: [words[3], words[4]],
        });
        let record = Record::Connection(Connection {
            service: ServiceId::Marked { mark: words[0] | 1, ipv6: client.0.is_ipv6() },
            dest: DestId { address: dest.0.ip(), port: dest.0.port() },
            protocol,
            state,
            client: client.0,
            virtual_address: client.1,
            silent: words[0],
            is_of_others,
            ends,
            account,
            ..fullnat()
        });
        let bytes = written(&record);
        prop_assert_eq!(Record::read(&bytes), Ok(record));
    }

    #[test]
    fn counts_are_read(numbers in prop::collection::vec(any::<u64>(), 0..30), which in 0..4) {
        let it = fullnat();
        let owner = match which {
            0 => Owner::Dest(it.service, it.dest),
            1 => Owner::Service(it.service),
            2 => Owner::Namespace,
            _ => Owner::Events,
        };
        let counts = Counts::new(owner, &numbers);
        prop_assert_eq!(counts.numbers(), &numbers[..numbers.len().min(24)]);
        let bytes = written(&Record::Counts(counts));
        prop_assert_eq!(Record::read(&bytes), Ok(Record::Counts(counts)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        change in any::<(prop::sample::Index, u8)>(),
    ) {
        let _ = Record::read(&bytes);
        let mut framed = vec![1, bytes.first().copied().unwrap_or(0) % 4];
        framed.extend(&bytes);
        let _ = Record::read(&framed);
        let mut changed = written(&Record::Connection(fullnat()));
        let at = change.0.index(changed.len());
        changed[at] = change.1;
        if let Ok(record) = Record::read(&changed) {
            prop_assert_eq!(written(&record), changed);
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What must hold for any connections, and for any bytes.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use rvs_engine::helper::lengths::Lengths;
use rvs_engine::proto::State;
use rvs_engine::spec::{Mode, Protocol};
use rvs_engine::sync::{
    Brief, Connection, Datagram, Draft, Entry, Fault, Own, Told, ENTRY_V4, HEADER,
};
use rvs_engine::tuple::{TupleV4, TupleV6};

use super::written;

fn address(ipv6: bool) -> impl Strategy<Value = IpAddr> {
    // Unicast.
    any::<u128>().prop_map(move |bits| {
        if ipv6 {
            IpAddr::from(((bits >> 4) | (2 << 124)).to_be_bytes())
        } else {
            IpAddr::from(((bits as u32 >> 2) | (1 << 24)).to_be_bytes())
        }
    })
}

fn end(ipv6: bool) -> impl Strategy<Value = SocketAddr> {
    (address(ipv6), 1u16..).prop_map(SocketAddr::from)
}

fn any_own(ipv6: bool) -> impl Strategy<Value = Option<Own>> {
    let own = (
        end(ipv6),
        any::<[u32; 2]>(),
        any::<[u8; 2]>(),
        any::<[u32; 2]>(),
    );
    proptest::option::of(
        own.prop_map(
            |(local, [sequence, timestamps], [stage, kind], telling)| Own {
                local,
                sequence,
                timestamps,
                stage,
                toa_kind: kind,
                telling,
            },
        ),
    )
}

fn any_lengths() -> impl Strategy<Value = Lengths> {
    let grown = |(position, bytes): (u32, i8)| Lengths::NONE.and(position, bytes.into());
    let any_lines = prop::collection::vec(any::<(u32, i8)>(), 0..4);
    any_lines.prop_map(move |lines| {
        let add = |all: Lengths, (position, bytes): (u32, i8)| all.and(position, bytes.into());
        let mut lines = lines.into_iter();
        let first = lines.next().and_then(grown).unwrap_or_default();
        lines.fold(first, |all, line| add(all, line).unwrap_or(all))
    })
}

fn any_connection() -> impl Strategy<Value = Connection> {
    let states: Vec<State> = State::all().collect();
    let of_family = |ipv6| (end(ipv6), end(ipv6), end(ipv6), any_own(ipv6));
    let ends = any::<bool>().prop_flat_map(of_family);
    let modes = vec![Mode::Dr, Mode::Nat, Mode::Tun, Mode::Local];
    (
        ends,
        prop::sample::select(states),
        prop::sample::select(modes),
        any::<[u32; 2]>(),
        any::<[bool; 2]>(),
        proptest::option::of([any_lengths(), any_lengths()]),
    )
        .prop_map(
            |(ends, state, mode, [mark, seconds], [inactive, ended], lengths)| {
                let (client, virtual_address, dest, own) = ends;
                Connection {
                    protocol: match state.number() {
                        11 => Protocol::Udp,
                        number if number > 11 => Protocol::Sctp,
                        _ => Protocol::Tcp,
                    },
                    client,
                    virtual_address,
                    dest,
                    mode: if own.is_some() { Mode::FullNat } else { mode },
                    state,
                    mark,
                    seconds,
                    own,
                    inactive,
                    ended,
                    lengths,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_read(told in prop::collection::vec(any_connection(), 0..12)) {
        let entries: Vec<Entry> = told.iter().map(Entry::from).collect();
        let bytes = written(&entries);
        let datagram = Datagram::read(&bytes, 9).unwrap();
        prop_assert_eq!(datagram.len(), told.len());
        prop_assert_eq!(datagram.is_empty(), told.is_empty());
        let read: Vec<Told> = datagram.entries().map(|e| Told::of(&e.unwrap()).unwrap()).collect();
        let told: Vec<Told> = told.into_iter().map(Told::Connection).collect();
        prop_assert_eq!(read, told);
    }

    /// Those that are written at once have the bytes of those that are written part by part.
    #[test]
    fn what_is_written_at_once_is_the_same(mut told in any_connection()) {
        (told.ended, told.inactive) = (false, !told.state.is_active());
        told.lengths = None;
        let brief = Brief {
            mode: told.mode,
            state: told.state,
            port: told.dest.port(),
            mark: told.mark,
            seconds: told.seconds,
        };
        let protocol = told.protocol.number();
        let mut bytes = [0; 200];
        let mut draft = Draft::begin(&mut bytes, 9).unwrap();
        let own = told.own.map(|own| (own, own.local.ip()));
        let added = match (told.client, told.virtual_address, told.dest.ip()) {
            (SocketAddr::V4(client), SocketAddr::V4(there), IpAddr::V4(dest)) => {
                let tuple = TupleV4::new(client, there, protocol);
                match own {
                    Some((own, IpAddr::V4(local))) => {
                        let entry = || brief.fullnat_v4(&tuple, dest, (&own, local));
                        draft.add_brief(&mut bytes, entry)
                    }
                    _ => draft.add_brief(&mut bytes, || brief.v4(&tuple, dest)),
                }
            }
            (SocketAddr::V6(client), SocketAddr::V6(there), IpAddr::V6(dest)) => {
                let tuple = TupleV6::new(client, there, protocol);
                match own {
                    Some((own, IpAddr::V6(local))) => {
                        let entry = || brief.fullnat_v6(&tuple, dest, (&own, local));
                        draft.add_brief(&mut bytes, entry)
                    }
                    _ => draft.add_brief(&mut bytes, || brief.v6(&tuple, dest)),
                }
            }
            _ => unreachable!("of one family"),
        };
        prop_assert!(added);
        prop_assert_eq!(&bytes[..draft.len()], &written(&[Entry::from(&told)])[..]);
        // None that does not fit is written in part.
        let before = (draft, bytes);
        let end = draft.len() + 10;
        prop_assert!(!draft.add_brief(&mut bytes[..end], || [7; 36]));
        prop_assert_eq!((draft, bytes), before);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        look(&bytes);
        let mut framed = bytes;
        if framed.len() >= HEADER {
            let [high, low] = (framed.len() as u16).to_be_bytes();
            (framed[0], framed[2], framed[3]) = (0, high, low);
            (framed[5], framed[6], framed[7]) = (1, 0, 0);
            look(&framed);
        }
    }

    #[test]
    fn changed_datagrams_are_read_or_refused(
        told in prop::collection::vec(any_connection(), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = written(&told.iter().map(Entry::from).collect::<Vec<_>>());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        look(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        look(&bytes);
    }
}

/// Nothing panics, and no more is read than there is.
fn look(bytes: &[u8]) {
    if let Ok(datagram) = Datagram::read(bytes, 0) {
        let entries: Vec<_> = datagram.entries().collect();
        assert_eq!(entries.len(), datagram.len());
        assert!(entries.len() * ENTRY_V4 <= bytes.len());
        let known = entries.iter().flatten();
        known.for_each(|entry| assert!(Told::of(entry) == Told::of(entry)));
        let whole = |entry: &Result<Entry, Fault>| {
            !matches!(entry, Err(Fault::Length | Fault::Entry | Fault::Option))
        };
        assert!(entries.iter().all(whole), "what was checked was not found");
    }
}

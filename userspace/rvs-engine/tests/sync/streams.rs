// SPDX-License-Identifier: GPL-2.0

//! Numbers of datagrams: whatever gets lost, comes late or twice, a backup ends with what the master has.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rvs_engine::sync::{
    tail::{ROOM, SIGNATURE, TAIL_MAX},
    Datagram, Draft, Fault, Kind, Range, Stream, Tail, Verdict, HEADER,
};

fn tail(kind: Kind) -> Tail {
    Tail {
        kind,
        stream: 0x0102_0304_0506_0708,
        number: 7,
        beat: 9,
        nonce: 11,
        signed: false,
    }
}

/// A datagram that is only a tail.
fn only(tail: &Tail, ranges: &[Range]) -> Vec<u8> {
    let mut buffer = [0xaa; TAIL_MAX];
    let draft = Draft::begin(&mut buffer, 5).unwrap();
    let len = draft.close(&mut buffer, tail, ranges).unwrap();
    buffer[..len].to_vec()
}

fn range(from: u64, to: u64) -> Range {
    Range::new(from, to).unwrap()
}

#[test]
fn tails_are_read_as_they_are_written() {
    let many: Vec<Range> = (0..17).map(|n| range(n * 3, n * 3 + 1)).collect();
    for kind in [Kind::Entries, Kind::Hearsay, Kind::Beat, Kind::Ask] {
        for signed in [false, true] {
            for ranges in [&many[..0], &many[..1], &many] {
                let tail = Tail {
                    signed,
                    ..tail(kind)
                };
                let bytes = only(&tail, ranges);
                let datagram = Datagram::read(&bytes, 5).unwrap();
                let tailed = datagram.tailed().unwrap();
                assert_eq!(tailed.tail, tail);
                assert_eq!(tailed.ranges().collect::<Vec<_>>(), ranges);
                assert!(datagram.is_empty() && datagram.id() == 5);
                let room = ROOM - if signed { 0 } else { SIGNATURE };
                assert!(!ranges.is_empty() || bytes.len() <= HEADER + room);
            }
        }
    }
}

#[test]
fn tails_that_lie_are_not_taken() {
    let good = only(&tail(Kind::Beat), &[range(1, 2)]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[HEADER + at] = value;
        Datagram::read(&bytes, 5).map(|d| d.tailed().is_some())
    };
    assert_eq!(changed(4, 3), Ok(true));
    // Of another version, or of somebody else: passed over.
    assert_eq!(changed(3, 2), Ok(false));
    assert_eq!(changed(0, b'X'), Ok(false));
    for (at, value) in [
        (4, 0),
        (4, 5),
        (5, 0),
        (5, 2),
        (5, 255),
        (6, 1),
        (6, 2),
        (7, 1),
    ] {
        assert_eq!(changed(at, value), Err(Fault::Tail), "{at} {value}");
    }
    // An empty range.
    assert_eq!(changed(36 + 15, 3), Ok(true));
    assert_eq!(changed(36 + 15, 1), Err(Fault::Tail));
    let none = Tail {
        number: u64::MAX,
        ..tail(Kind::Entries)
    };
    assert_eq!(
        Datagram::read(&only(&none, &[]), 5).unwrap_err(),
        Fault::Tail
    );
}

/// A master of connections that have a value each; what it has sent, by number.
struct Master {
    state: BTreeMap<u8, u32>,
    sent: Vec<Vec<u8>>,
    again: Vec<Range>,
}

impl Master {
    fn change(&mut self, key: u8, value: Option<u32>) -> (u64, Vec<u8>) {
        match value {
            Some(value) => self.state.insert(key, value),
            None => self.state.remove(&key),
        };
        self.send(vec![key])
    }

    fn send(&mut self, keys: Vec<u8>) -> (u64, Vec<u8>) {
        self.sent.push(keys.clone());
        (self.sent.len() as u64 - 1, keys)
    }
}

/// What a datagram tells at the time it is sent.
type Told = Vec<(u8, Option<u32>)>;

#[derive(Clone, Debug)]
enum Step {
    Change(u8, Option<u32>),
    Lose(u8, Option<u32>),
    /// It comes that many steps later.
    Late(u8, Option<u32>),
    Again,
    Repair,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = || (0u8..6, proptest::option::of(any::<u32>()));
    let step = prop_oneof![
        4 => change().prop_map(|(key, value)| Step::Change(key, value)),
        2 => change().prop_map(|(key, value)| Step::Lose(key, value)),
        2 => change().prop_map(|(key, value)| Step::Late(key, value)),
        1 => Just(Step::Again),
        1 => Just(Step::Repair),
    ];
    prop::collection::vec(step, 0..60)
}

struct Both {
    master: Master,
    backup: BTreeMap<u8, u32>,
    stream: Stream,
    late: Vec<(u64, Told)>,
}

impl Both {
    fn told(&self, keys: &[u8]) -> Told {
        let of = |key: &u8| (*key, self.master.state.get(key).copied());
        keys.iter().map(of).collect()
    }

    fn take(&mut self, number: u64, told: &Told) {
        let tail = Tail {
            number,
            ..tail(Kind::Entries)
        };
        if let Verdict::Take { .. } = self.stream.entries(&tail) {
            for (key, value) in told {
                match value {
                    Some(value) => self.backup.insert(*key, *value),
                    None => self.backup.remove(key),
                };
            }
        }
    }

    fn beat(&mut self) {
        let beat = Tail {
            number: self.master.sent.len() as u64,
            ..tail(Kind::Beat)
        };
        for again in self.master.again.clone() {
            let bytes = only(&beat, &[again]);
            let datagram = Datagram::read(&bytes, 0).unwrap();
            self.stream.beat(&datagram.tailed().unwrap());
        }
        let bytes = only(&beat, &[]);
        self.stream
            .beat(&Datagram::read(&bytes, 0).unwrap().tailed().unwrap());
    }

    /// One question and its answer; of the answer's datagrams some may be lost too.
    fn repair(&mut self, loses: bool) {
        let missing = self.stream.ask().1.as_slice().to_vec();
        for range in missing {
            for number in range.from..range.to {
                let keys = std::mem::take(&mut self.master.sent[number as usize]);
                let (number, keys) = self.master.send(keys);
                let told = self.told(&keys);
                if !(loses && number % 3 == 0) {
                    self.take(number, &told);
                }
            }
            self.master.again.push(range);
        }
        self.beat();
    }
}

proptest! {
    #[test]
    fn a_backup_ends_with_what_the_master_has(steps in steps(), joins in 0u64..4) {
        let master = Master { state: BTreeMap::new(), sent: Vec::new(), again: Vec::new() };
        let stream = Stream::new(1, 77, true);
        let mut both = Both { master, backup: BTreeMap::new(), stream, late: Vec::new() };
        for n in 0..joins {
            // Before the backup was there.
            both.master.change(n as u8, Some(n as u32));
        }
        for step in steps {
            match step {
                Step::Change(key, value) => {
                    let (number, keys) = both.master.change(key, value);
                    let told = both.told(&keys);
                    both.take(number, &told);
                }
                Step::Lose(key, value) => {
                    both.master.change(key, value);
                }
                Step::Late(key, value) => {
                    let (number, keys) = both.master.change(key, value);
                    let told = both.told(&keys);
                    both.late.push((number, told));
                }
                Step::Again => {
                    for (number, told) in std::mem::take(&mut both.late) {
                        both.take(number, &told);
                        both.take(number, &told);
                    }
                }
                Step::Repair => both.repair(true),
            }
        }
        both.beat();
        for _ in 0..20 {
            both.repair(false);
        }
        prop_assert!(!both.stream.lacks());
        prop_assert_eq!(both.backup, both.master.state);
        for (number, told) in both.late.clone() {
            let tail = Tail { number, ..tail(Kind::Entries) };
            prop_assert_eq!(both.stream.entries(&tail), Verdict::Late, "{:?}", told);
        }
    }
}

#[test]
fn copies_of_an_old_stream_prove_nothing() {
    let mut stream = Stream::new(tail(Kind::Beat).stream, 77, false);
    assert!(stream.lacks());
    assert_eq!(stream.entries(&tail(Kind::Entries)), Verdict::Unproven);
    let say = |stream: &mut Stream, number, nonce, again: &[Range]| {
        let beat = Tail {
            number,
            nonce,
            ..tail(Kind::Beat)
        };
        let bytes = only(&beat, again);
        stream.beat(&Datagram::read(&bytes, 0).unwrap().tailed().unwrap())
    };
    say(&mut stream, 20, 76, &[range(0, 20)]);
    assert!(stream.lacks() && stream.ask().1.as_slice() == [range(0, 20)]);
    say(&mut stream, 20, 77, &[]);
    // It is one of now; what was told meanwhile is missing.
    assert_eq!(stream.ask().1.as_slice(), [range(0, 20)]);
    let next = Tail {
        number: 22,
        ..tail(Kind::Entries)
    };
    assert_eq!(stream.entries(&next), Verdict::Take { lost: 2 });
    assert_eq!(stream.entries(&next), Verdict::Late);
    assert_eq!(stream.ask().1.as_slice(), [range(0, 22)]);
    say(&mut stream, 23, 0, &[range(0, 22)]);
    assert!(!stream.lacks());
    assert_eq!((stream.id(), stream.ask().0.beat), (next.stream, 9));
}

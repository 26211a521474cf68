// SPDX-License-Identifier: GPL-2.0

//! UDP flows whose clients are known.

use core::sync::atomic::{AtomicU32, Ordering};

use kernel::prelude::*;

use crate::{
    engine::{family::Tuple, hash::Key, wire::UDP},
    kapi::{random, rcu::Rcu, rcu_map::RcuMap, time},
};

/// Ticks of silence after which a flow is forgotten: twice what a director waits.
const SILENCE: u32 = time::seconds(600);

/// Most flows of a namespace.
const FLOWS_MAX: usize = 1 << 20;

/// One end of a flow, as its packets have it.
pub(crate) type End<T> = (<T as Tuple>::Address, u16);

/// Whom a director's datagrams are from.
struct Inward<T: Tuple> {
    client: End<T>,
    /// Tick of the last datagram.
    seen: AtomicU32,
}

/// Where the answers to a client go.
struct Outward<T: Tuple> {
    director: End<T>,
    /// Tick of the last answer.
    seen: AtomicU32,
}

/// The flows of a namespace and IP version. Each is found by what the director's datagrams carry, and by what a
/// program's answers do.
pub(crate) struct Flows<T: Tuple> {
    key: Key,
    inward: RcuMap<T, Inward<T>>,
    outward: RcuMap<T, Outward<T>>,
}

impl<T: Tuple> Flows<T> {
    /// None yet. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            key: Key::new(random::u64(), random::u64()),
            inward: RcuMap::new()?,
            outward: RcuMap::new()?,
        })
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.inward.len()
    }

    fn hash(&self, tuple: &T) -> u32 {
        tuple.hash(&self.key) as u32
    }

    /// The client that a director's datagrams with `tuple` are from. A datagram has come, so its
    /// client's next answer goes this way.
    pub(crate) fn client(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let inward = self.inward.find(self.hash(tuple), tuple, rcu)?;
        touch(&inward.seen);
        self.lead(tuple, inward.client, rcu).ok()?;
        Some(inward.client)
    }

    /// The director that answers with `tuple`, a program's to a client, go to.
    pub(crate) fn director(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let outward = self.outward.find(self.hash(tuple), tuple, rcu)?;
        touch(&outward.seen);
        Some(outward.director)
    }

    /// As [`Flows::client`] for a datagram that somebody else tells of: no sign of life.
    pub(crate) fn client_of(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let inward = self.inward.find(self.hash(tuple), tuple, rcu)?;
        Some(inward.client)
    }

    /// A director has said that its datagrams with `tuple` are from `client`. True when that is
    /// new.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when there is no memory, or too many flows.
    pub(crate) fn learn(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) -> Result<bool> {
        let hash = self.hash(tuple);
        if let Some(known) = self.inward.find(hash, tuple, rcu) {
            if known.client == client {
                return Ok(false);
            }
            // The director has given the port to another client.
            let answer = answer(tuple, known.client);
            if self.leads(&answer, tuple, rcu) {
                self.outward.remove(self.hash(&answer), &answer, rcu);
            }
        } else if self.len() >= FLOWS_MAX {
            return Err(ENOMEM);
        }
        let inward = Inward {
            client,
            seen: AtomicU32::new(time::now()),
        };
        self.inward.insert(hash, *tuple, inward).0?;
        Ok(true)
    }

    /// Has answers to `client` go where datagrams with `tuple` come from.
    fn lead(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) -> Result {
        let answer = answer(tuple, client);
        if self.leads(&answer, tuple, rcu) {
            return Ok(());
        }
        let outward = Outward {
            director: source(tuple),
            seen: AtomicU32::new(time::now()),
        };
        self.outward.insert(self.hash(&answer), answer, outward).0
    }

    /// Whether answers with `answer` go where datagrams with `tuple` come from.
    fn leads(&self, answer: &T, tuple: &T, rcu: Rcu<'_>) -> bool {
        let outward = self.outward.find(self.hash(answer), answer, rcu);
        outward.is_some_and(|outward| outward.director == source(tuple))
    }

    /// Forgets the flows that are silent, or all of them. May sleep; one at a time.
    pub(crate) fn sweep(&self, all: bool) {
        let now = time::now();
        self.inward.retain(|tuple, inward| {
            let guard = kernel::sync::rcu::read_lock();
            let answer = answer(tuple, inward.client);
            let outward = || {
                let outward = self
                    .outward
                    .find(self.hash(&answer), &answer, Rcu::of(&guard));
                outward.is_some_and(|outward| {
                    outward.director == source(tuple) && !is_silent(&outward.seen, now)
                })
            };
            !all && (!is_silent(&inward.seen, now) || outward())
        });
        self.outward.retain(|answer, outward| {
            let guard = kernel::sync::rcu::read_lock();
            let tuple = T::between(outward.director, source(answer), UDP);
            let client = self.client_of(&tuple, Rcu::of(&guard));
            client == Some(destination(answer))
        });
        self.inward.fit();
        self.outward.fit();
    }
}

/// Tuple of the answers to datagrams with `tuple` that are from `client`.
fn answer<T: Tuple>(tuple: &T, client: End<T>) -> T {
    T::between(destination(tuple), client, UDP)
}

/// Source address and port.
pub(crate) fn source<T: Tuple>(tuple: &T) -> End<T> {
    (tuple.src(), tuple.sport())
}

/// Destination address and port.
pub(crate) fn destination<T: Tuple>(tuple: &T) -> End<T> {
    (tuple.dst(), tuple.dport())
}

fn touch(seen: &AtomicU32) {
    let now = time::now();
    if seen.load(Ordering::Relaxed) != now {
        seen.store(now, Ordering::Relaxed);
    }
}

fn is_silent(seen: &AtomicU32, now: u32) -> bool {
    let silent = now.wrapping_sub(seen.load(Ordering::Relaxed));
    // Seen since `now` was read.
    silent > SILENCE && silent < u32::MAX / 2
}

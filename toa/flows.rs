// SPDX-License-Identifier: GPL-2.0

//! UDP flows whose clients are known.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel::prelude::*;

use crate::{
    engine::{
        family::{Address, Tuple},
        hash::Key,
        wire::UDP,
    },
    kapi::{memcg::Owner, random, rcu::Rcu, rcu_map::RcuMap, time},
};

/// Ticks of silence after which a flow is forgotten: twice what a director waits.
const SILENCE: u32 = time::seconds(600);

/// Most flows of a namespace and IP version, unless the module is told otherwise.
pub(crate) const FLOWS_MAX: u32 = 1 << 20;

/// Of how many flows one goes when there is no room for a new one.
const CANDIDATES: usize = 16;

/// Ticks of silence within which a flow stays in which client and program have had answers.
const LIVELY: u32 = time::seconds(60);

/// One end of a flow, as its packets have it.
pub(crate) type End<T> = (<T as Tuple>::Address, u16);

/// Whom a director's datagrams are from.
struct Inward<T: Tuple> {
    client: End<T>,
    /// Tick of the last datagram.
    seen: AtomicU32,
    /// Whether the client has gone on after an answer: nobody does who lies about where it is.
    is_lively: AtomicBool,
}

/// Where the answers to a client go.
struct Outward<T: Tuple> {
    director: End<T>,
    /// Tick of the last answer.
    seen: AtomicU32,
    /// Whether there was an answer.
    has_answered: AtomicBool,
}

/// What came of a client that a director has told of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learned {
    /// It was known.
    Known,
    /// It is now.
    New,
    /// It is now, in the place of another flow.
    Instead,
    /// It is not: all flows are in use, or there is no memory.
    No,
}

/// The flows of a namespace and IP version. Each is found by what the director's datagrams carry, and by what a
/// program's answers do.
pub(crate) struct Flows<T: Tuple> {
    key: Key,
    max: usize,
    /// Who pays for them.
    owner: Owner,
    inward: RcuMap<T, Inward<T>>,
    outward: RcuMap<T, Outward<T>>,
}

impl<T: Tuple> Flows<T> {
    /// None yet, and never more than `max`. May sleep.
    pub(crate) fn new(max: usize) -> Result<Self> {
        Ok(Self {
            key: Key::new(random::u64(), random::u64()),
            max,
            owner: Owner::new(),
            inward: RcuMap::new()?,
            outward: RcuMap::new()?,
        })
    }

    /// Whom a datagram to the end `to` is from that a program got from `from`, as far as directors
    /// have told. The address of `to` may be the unspecified one.
    pub(crate) fn told_of(&self, from: End<T>, to: End<T>, rcu: Rcu<'_>) -> Option<End<T>> {
        // The program has seen the client, as its address was restored.
        let answer = T::between(to, from, UDP);
        let is_any = to.0.into().is_unspecified();
        let is_meant = |key: &T| {
            (is_any || key.src() == to.0) && key.sport() == to.1 && destination(key) == from
        };
        if self
            .outward
            .has(self.hash_of_answer(&answer), is_meant, rcu)
        {
            return Some(from);
        }
        self.client_of(&T::between(from, to, UDP), rcu)
    }

    /// Has the present task's memory cgroup pay for them, unless another does.
    pub(crate) fn set_owner(&self) {
        self.owner.set_to_caller();
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.inward.len()
    }

    fn hash(&self, tuple: &T) -> u32 {
        tuple.hash(&self.key) as u32
    }

    /// As [`Flows::hash`] of an answer's tuple: without this host's address, which programs that ask do
    /// not always say.
    fn hash_of_answer(&self, answer: &T) -> u32 {
        let any = match T::VERSION {
            4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let address = Address::of(any).unwrap_or(answer.src());
        self.hash(&T::between(
            (address, answer.sport()),
            destination(answer),
            UDP,
        ))
    }

    /// The client that a director's datagrams with `tuple` are from. A datagram has come, so its
    /// client's next answer goes this way.
    pub(crate) fn client(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let inward = self.inward.find(self.hash(tuple), tuple, rcu)?;
        touch(&inward.seen);
        if self.lead(tuple, inward.client, rcu).ok()? {
            set(&inward.is_lively);
        }
        Some(inward.client)
    }

    /// A datagram with `tuple` has come from the client itself, without a director: its next answer
    /// goes the same way.
    pub(crate) fn came_straight(&self, tuple: &T, rcu: Rcu<'_>) {
        let answer = tuple.reversed();
        self.outward
            .remove(self.hash_of_answer(&answer), &answer, rcu);
    }

    /// The director that answers with `tuple`, a program's to a client, go to.
    pub(crate) fn director(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let outward = self.outward.find(self.hash_of_answer(tuple), tuple, rcu)?;
        touch(&outward.seen);
        set(&outward.has_answered);
        Some(outward.director)
    }

    /// As [`Flows::client`] for a datagram that somebody else tells of: no sign of life.
    pub(crate) fn client_of(&self, tuple: &T, rcu: Rcu<'_>) -> Option<End<T>> {
        let inward = self.inward.find(self.hash(tuple), tuple, rcu)?;
        Some(inward.client)
    }

    /// A director has said that its datagrams with `tuple` are from `client`.
    pub(crate) fn learn(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) -> Learned {
        let hash = self.hash(tuple);
        let mut learned = Learned::New;
        if let Some(known) = self.inward.find(hash, tuple, rcu) {
            if known.client == client {
                return Learned::Known;
            }
            // The director has given the port to another client.
            self.stop_leading(tuple, known.client, rcu);
        } else if self.len() >= self.max {
            if !self.make_room(hash, rcu) {
                return Learned::No;
            }
            learned = Learned::Instead;
        }
        let inward = Inward {
            client,
            seen: AtomicU32::new(time::now()),
            is_lively: AtomicBool::new(false),
        };
        let _charge = self.owner.charge();
        match self.inward.insert(hash, *tuple, inward).0 {
            Ok(()) => learned,
            Err(_) => Learned::No,
        }
    }

    /// Forgets one of the flows near `hash`: one without an answer if there is such, else one whose
    /// client has not gone on after it, else one that is silent; always the most silent.
    fn make_room(&self, hash: u32, rcu: Rcu<'_>) -> bool {
        let now = time::now();
        let worth = |tuple: &T, inward: &Inward<T>| {
            let silent = now.wrapping_sub(inward.seen.load(Ordering::Relaxed));
            // It was heard since `now` was read.
            let silent = if silent > u32::MAX / 2 { 0 } else { silent };
            let kept = match inward.is_lively.load(Ordering::Relaxed) {
                true if silent < LIVELY => 3,
                true => 2,
                false => u64::from(self.has_answered(tuple, inward.client, rcu)),
            };
            kept << 32 | u64::from(!silent)
        };
        let Some((tuple, worth)) = self.inward.least(hash, CANDIDATES, worth, rcu) else {
            return false;
        };
        if worth >= 3 << 32 {
            return false;
        }
        if let Some(client) = self.client_of(&tuple, rcu) {
            self.stop_leading(&tuple, client, rcu);
        }
        self.inward.remove(self.hash(&tuple), &tuple, rcu)
    }

    /// Whether the program has answered datagrams with `tuple` that are from `client`.
    fn has_answered(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) -> bool {
        let answer = answer(tuple, client);
        let outward = self
            .outward
            .find(self.hash_of_answer(&answer), &answer, rcu);
        outward.is_some_and(|outward| outward.has_answered.load(Ordering::Relaxed))
    }

    /// Has answers to `client` go where datagrams with `tuple` come from. True when there were some.
    fn lead(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) -> Result<bool> {
        let answer = answer(tuple, client);
        let hash = self.hash_of_answer(&answer);
        let known = self.outward.find(hash, &answer, rcu);
        if let Some(known) = known.filter(|known| known.director == source(tuple)) {
            return Ok(known.has_answered.load(Ordering::Relaxed));
        }
        let outward = Outward {
            director: source(tuple),
            seen: AtomicU32::new(time::now()),
            has_answered: AtomicBool::new(false),
        };
        let _charge = self.owner.charge();
        self.outward.insert(hash, answer, outward).0.map(|()| false)
    }

    /// Has answers to `client` no longer go where datagrams with `tuple` come from.
    fn stop_leading(&self, tuple: &T, client: End<T>, rcu: Rcu<'_>) {
        let answer = answer(tuple, client);
        if self.leads(&answer, tuple, rcu) {
            self.outward
                .remove(self.hash_of_answer(&answer), &answer, rcu);
        }
    }

    /// Whether answers with `answer` go where datagrams with `tuple` come from.
    fn leads(&self, answer: &T, tuple: &T, rcu: Rcu<'_>) -> bool {
        let outward = self.outward.find(self.hash_of_answer(answer), answer, rcu);
        outward.is_some_and(|outward| outward.director == source(tuple))
    }

    /// Forgets the flows that are silent, or all of them. May sleep; one at a time.
    pub(crate) fn sweep(&self, all: bool) {
        let now = time::now();
        self.inward.retain(|tuple, inward| {
            let guard = kernel::sync::rcu::read_lock();
            let answer = answer(tuple, inward.client);
            let outward = || {
                let outward =
                    self.outward
                        .find(self.hash_of_answer(&answer), &answer, Rcu::of(&guard));
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
        let _charge = self.owner.charge();
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

/// Sets what is seldom not set.
fn set(flag: &AtomicBool) {
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}

fn is_silent(seen: &AtomicU32, now: u32) -> bool {
    let silent = now.wrapping_sub(seen.load(Ordering::Relaxed));
    // Seen since `now` was read.
    silent > SILENCE && silent < u32::MAX / 2
}

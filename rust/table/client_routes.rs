// SPDX-License-Identifier: GPL-2.0

//! Ways back to clients, shared by connections.
//!
//! Replies of NAT and FullNAT need a route to the client. A route a connection would cost memory,
//! and hold on to devices for as long as connections are idle; most clients are behind a few
//! gateways anyway. So a namespace has a small array of ways by the neighbour they lead to, and a
//! connection keeps the number of its way. A way that is replaced or dropped has its number no
//! more, and the connection looks again.
//!
//! Only clients share a way whose routes do the same to packets: one may have an MTU of its own.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel::prelude::*;

use super::ways::Which;
use crate::kapi::{
    netns::Net,
    rcu::{Rcu, RcuBox, RcuSlot},
    route::{self, NextHop, Reply},
};

/// Ways at once: more neighbours than a director has on its networks, as a rule.
const SLOTS: usize = 1024;

/// Places side by side. A way may have those of two such groups, so that hardly ever some that are
/// used at the same time drive each other out.
const GROUP: usize = 4;

/// In [`ClientRoutes::rules`]: they do.
const ASK: u64 = 1;

/// In [`ClientRoutes::rules`]: somebody has looked.
const KNOWN: u64 = 2;

/// A way to a client, and whether the flow's next packet may take another one.
pub(super) struct Found<'a> {
    pub(super) way: &'a NextHop,
    pub(super) asked: bool,
}

/// A way with the number that connections know it by: its slot in the low bits, never 0.
struct Numbered {
    number: u32,
    way: NextHop,
}

/// The ways of a namespace.
pub(crate) struct ClientRoutes {
    slots: KVVec<RcuSlot<Numbered>>,
    last: AtomicU32,
    /// Whether rules of policy routing ask for what differs between a flow's packets ([`ASK`]), of
    /// IPv4 and IPv6: above it a generation of routes, or 0.
    rules: [AtomicU64; 2],
}

impl ClientRoutes {
    #[inline(never)] // For the frame of who makes all of a namespace.
    pub(super) fn new() -> Result<Self> {
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..SLOTS {
            slots.push(RcuSlot::empty(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            slots,
            last: AtomicU32::new(0),
            rules: [const { AtomicU64::new(0) }; 2],
        })
    }

    /// The way with that number, if it still is one.
    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, number: u32, rcu: Rcu<'a>) -> Option<&'a NextHop> {
        let slot = self.slots.get(number as usize % SLOTS)?.get(rcu)?;
        (slot.number == number && slot.way.is_good()).then_some(&slot.way)
    }

    /// Looks up the way of a reply, and stores its number in `number` if it is kept: not until its
    /// neighbour is found, which may never be, and not where rules ask for each packet.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(super) fn find<'a>(
        &'a self,
        net: &'static Net,
        reply: &Reply<'_>,
        number: &AtomicU32,
        rcu: Rcu<'a>,
    ) -> Result<Found<'a>> {
        let (way, asked) = self.look_up(net, reply)?;
        let found = |way| Found { way, asked };
        let keep = |new| {
            if !asked {
                number.store(new, Ordering::Relaxed);
            }
        };
        // A byte tells one.
        const { assert!(SLOTS / GROUP == 1 << 8) };
        let groups = way.hash().to_be_bytes().into_iter().take(2);
        let indices = groups.flat_map(|group| {
            let first = usize::from(group).wrapping_mul(GROUP);
            first..first.wrapping_add(GROUP)
        });
        let places = indices.filter_map(|index| Some((index, self.slots.get(index)?)));
        let mut known = places.clone().filter_map(|(_, slot)| slot.get(rcu));
        if let Some(known) = known.find(|known| known.way.is_as_good_as(&way)) {
            keep(known.number);
            return Ok(found(&known.way));
        }
        let is_idle = way.is_idle();
        let (index, slot) = places
            .max_by_key(|(_, slot)| self.age(slot.get(rcu)))
            .ok_or(EINVAL)?;
        let new = self.number(index);
        let way = RcuBox::new(Numbered { number: new, way }, GFP_ATOMIC | __GFP_NOWARN)?;
        if is_idle {
            return Ok(found(&RcuBox::lend(way, rcu).way));
        }
        let way = slot.publish(way, rcu);
        keep(new);
        Ok(found(&way.way))
    }

    /// The way of a reply, and whether rules asked for more than what all of its flow have in common.
    fn look_up(&self, net: &'static Net, reply: &Reply<'_>) -> Result<(NextHop, bool)> {
        let version = reply.version();
        let generation = route::generation(net, version);
        let asked = self.rules_ask(net, version, generation);
        let way = NextHop::lookup_back(net, &reply.asked(asked))?;
        // A way is good until the next change; this one may be of rules that came in between.
        let same = generation == route::generation(net, version);
        Ok((way, asked || !same))
    }

    /// Whether rules ask for what differs between a flow's packets, in this generation of routes.
    fn rules_ask(&self, net: &Net, version: u8, generation: u32) -> bool {
        let [v4, v6] = &self.rules;
        let rules = if version == 6 { v6 } else { v4 };
        let known = u64::from(generation) << 2 | KNOWN;
        let last = rules.load(Ordering::Relaxed);
        if last & !ASK == known {
            return last & ASK != 0;
        }
        let ask = route::rules_ask(net, version);
        rules.store(known | u64::from(ask), Ordering::Relaxed);
        ask
    }

    /// How many ways are younger than `known`; more than any other has where it is none.
    fn age(&self, known: Option<&Numbered>) -> u32 {
        let Some(known) = known.filter(|known| known.way.is_good()) else {
            return u32::MAX;
        };
        let last = self.last.load(Ordering::Relaxed);
        last.wrapping_sub(known.number / SLOTS as u32) % (u32::MAX / SLOTS as u32 + 1)
    }

    /// A number that no way of this slot has had for a long time.
    fn number(&self, index: usize) -> u32 {
        let count = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let high = count.wrapping_mul(SLOTS as u32);
        // 0 is no way's number: connections start with it.
        if high == 0 && index == 0 {
            return self.number(index);
        }
        high | index as u32
    }

    /// Drops the ways that `which` says.
    pub(super) fn forget(&self, which: Which) {
        for slot in &self.slots {
            let guard = kernel::sync::rcu::read_lock();
            let known = slot.get(Rcu::of(&guard));
            if known.is_some_and(|known| which.has(&known.way)) {
                slot.replace(None);
            }
        }
    }
}

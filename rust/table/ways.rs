// SPDX-License-Identifier: GPL-2.0

//! Ways back to clients, shared by connections.
//!
//! Replies of NAT and FullNAT need a route to the client. A route a connection would cost memory,
//! and hold on to devices for as long as connections are idle; most clients are behind a few
//! gateways anyway. So a namespace has a small array of ways by the neighbour they lead to, and a
//! connection keeps the number of its way. A way that is replaced or dropped has its number no
//! more, and the connection looks again.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use kernel::prelude::*;

use crate::kapi::{
    netdev::Device,
    netns::Net,
    rcu::{Rcu, RcuBox, RcuSlot},
    route::NextHop,
};

/// Ways at once: more neighbours than a director has on its networks, as a rule.
const SLOTS: usize = 1024;

/// A way with the number that connections know it by: its slot in the low bits, never 0.
struct Numbered {
    number: u32,
    way: NextHop,
}

/// The ways of a namespace.
pub(crate) struct Ways {
    slots: KVVec<RcuSlot<Numbered>>,
    last: AtomicU32,
}

impl Ways {
    pub(super) fn new() -> Result<Self> {
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;
        for _ in 0..SLOTS {
            slots.push(RcuSlot::empty(), GFP_KERNEL)?;
        }
        Ok(Self {
            slots,
            last: AtomicU32::new(0),
        })
    }

    /// The way with that number, if it still is one.
    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, number: u32, rcu: Rcu<'a>) -> Option<&'a NextHop> {
        let slot = self.slots.get(number as usize % SLOTS)?.get(rcu)?;
        (slot.number == number && slot.way.is_good()).then_some(&slot.way)
    }

    /// Looks up the way to `client` from `source`, and stores its number in `number`.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(crate) fn find<'a>(
        &'a self,
        net: &'static Net,
        client: IpAddr,
        source: IpAddr,
        number: &AtomicU32,
        rcu: Rcu<'a>,
    ) -> Result<&'a NextHop> {
        let way = NextHop::lookup(net, client, Some(source))?;
        let index = way.neighbour_hash() as usize % SLOTS;
        let slot = self.slots.get(index).ok_or(EINVAL)?;
        if let Some(known) = slot.get(rcu).filter(|k| k.way.is_as_good_as(&way)) {
            number.store(known.number, Ordering::Relaxed);
            return Ok(&known.way);
        }
        let new = self.number(index);
        let way = RcuBox::new(Numbered { number: new, way }, GFP_ATOMIC | __GFP_NOWARN)?;
        let way = slot.publish(way, rcu);
        number.store(new, Ordering::Relaxed);
        Ok(&way.way)
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

    /// Drops ways through `device`, or all.
    pub(super) fn forget(&self, device: Option<Device>) {
        for slot in &self.slots {
            let guard = kernel::sync::rcu::read_lock();
            // One that is no longer good may name another device by now; see `Dest::forget_way`.
            let leads_there = |way: &NextHop| {
                device.is_none_or(|device| way.device() == device) || !way.is_good()
            };
            if slot
                .get(Rcu::of(&guard))
                .is_some_and(|known| leads_there(&known.way))
            {
                slot.replace(None);
            }
        }
    }
}

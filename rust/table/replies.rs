// SPDX-License-Identifier: GPL-2.0

//! How replies get back to clients.

use core::sync::atomic::AtomicU32;

use kernel::prelude::*;

use super::{filter::Gate, live::Live, turn::Turn};
use crate::kapi::{
    rcu::Rcu,
    route::{self, NextHop, Reply},
};

impl Live {
    /// Whether replies that come in that IP version are routed by marks that they get behind the early
    /// hooks. Those of IPv4 may leave as IPv6.
    pub(super) fn replies_are_marked(&self, version: u8) -> bool {
        let (early, late) = (Turn::Early.priority(), Turn::Late.priority());
        let asks = |version| route::rules_ask_mark(self.net(), version);
        self.gate(version).is_ahead_of_input()
            && (asks(version) || (version == 4 && asks(6)))
            && route::has_rules_between(self.net(), version, early, late)
    }

    /// What is looked at of packets of that IP version.
    pub(super) fn gate(&self, version: u8) -> &Gate {
        match version {
            4 => &self.gate_v4,
            _ => &self.gate_v6,
        }
    }

    /// The way of a reply to its client. Its number is left in `number` where it is that of the
    /// flow's next reply.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(crate) fn find_way_back<'a>(
        &'a self,
        reply: &Reply<'_>,
        number: &AtomicU32,
        rcu: Rcu<'a>,
    ) -> Result<&'a NextHop> {
        let found = self.ways.find(self.net(), reply, number, rcu)?;
        let version = reply.version();
        if found.asked && self.replies_are_marked(version) != self.gate(version).replies_wait() {
            // The worker knows what is to be done, and may sleep.
            self.waking.hurry();
        }
        Ok(found.way)
    }
}

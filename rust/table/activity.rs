// SPDX-License-Identifier: GPL-2.0

//! Which of the datapath's hooks a namespace has: none that nothing is there for.

use core::sync::atomic::AtomicU32;

use kernel::prelude::*;

use super::{filter::Gate, netns::Netns};
use crate::{
    engine::spec::ServiceId,
    kapi::{
        netfilter::Hooks,
        rcu::Rcu,
        route::{self, NextHop, Reply},
    },
};

/// When a packet meets a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ahead of all others. Packets of connections go no further.
    Early,
    /// Behind those that mark packets: for new flows, where there is a service by mark, and for
    /// replies that are routed by their marks.
    Late,
}

impl Turn {
    /// Where its hooks are among others: ahead of the raw table (-300) and of connection tracking
    /// (-200), behind the defragmentation that connection tracking asks for (-400); and behind the
    /// mangle table (-150), ahead of the translation of destinations (-100).
    pub(crate) const fn priority(self) -> i32 {
        match self {
            Self::Early => -350,
            Self::Late => -149,
        }
    }
}

/// A namespace's hooks.
#[derive(Default)]
pub(super) struct Activity {
    v4: Version,
    v6: Version,
}

/// Those of an IP version.
#[derive(Default)]
struct Version {
    /// From the first service or dest of the version on.
    early: Option<Hooks>,
    /// While there is a service by mark, or replies are routed by theirs.
    late: Option<Hooks>,
    /// Whether replies of dests are to wait until they have their marks.
    replies: bool,
}

impl Activity {
    /// Puts in the hooks that are needed where services go by marks or not, by IP version, and
    /// addresses of services and dests are added. Packets do not know yet that they may wait for
    /// their marks.
    pub(super) fn prepare(
        &mut self,
        netns: &Netns,
        marks: &Marks,
        mut added: impl Iterator<Item = bool>,
    ) -> Result {
        // An address of IPv6 is true.
        while self.v4.early.is_none() || self.v6.early.is_none() {
            match added.next() {
                None => break,
                Some(false) => self.v4.begin(netns, 4)?,
                Some(true) => self.v6.begin(netns, 6)?,
            }
        }
        self.v4.prepare(netns, 4, marks.of(4))?;
        self.v6.prepare(netns, 6, marks.of(6))
    }

    /// Lets new flows wait for their marks where services go by them, and takes those hooks out
    /// that nothing is there for any more. The services are published.
    pub(super) fn settle(&mut self, netns: &Netns, marks: &Marks) {
        self.v4.settle(&netns.gate_v4, marks.of(4));
        self.v6.settle(&netns.gate_v6, marks.of(6));
    }

    /// Lets replies wait for their marks where those are asked for, by rules of the host's routing
    /// that have come or gone. One that finds no memory tries again with the next call.
    pub(super) fn follow_rules(&mut self, netns: &Netns, marks: &Marks) {
        let gates = [(&mut self.v4, 4), (&mut self.v6, 6)];
        for (of, version) in gates {
            let wait = of.early.is_some() && netns.replies_are_marked(version);
            if wait == of.replies {
                continue;
            }
            of.replies = wait;
            if of.prepare(netns, version, marks.of(version)).is_err() {
                of.replies = false;
            }
            of.settle(netns.gate(version), marks.of(version));
        }
    }

    /// Takes all hooks out. Packets may be in them for a grace period.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

impl Version {
    fn begin(&mut self, netns: &Netns, version: u8) -> Result {
        if self.early.is_none() {
            self.early = Some(netns.activate(version, Turn::Early)?);
        }
        Ok(())
    }

    fn prepare(&mut self, netns: &Netns, version: u8, has_marks: bool) -> Result {
        if (has_marks || self.replies) && self.late.is_none() {
            self.late = Some(netns.activate(version, Turn::Late)?);
        }
        Ok(())
    }

    fn settle(&mut self, gate: &Gate, has_marks: bool) {
        gate.set_marks(has_marks);
        gate.set_replies_wait(self.replies);
        if !has_marks && !self.replies {
            self.late = None;
        }
    }
}

impl Netns {
    /// Whether replies that come in that IP version are routed by marks that they get behind the early
    /// hooks. Those of IPv4 may leave as IPv6.
    pub(super) fn replies_are_marked(&self, version: u8) -> bool {
        let (early, late) = (Turn::Early.priority(), Turn::Late.priority());
        let asks = |version| route::rules_ask_mark(self.net(), version);
        self.gate(version).is_ahead_of_input()
            && (asks(version) || (version == 4 && asks(6)))
            && route::has_rules_between(self.net(), version, early, late)
    }

    fn gate(&self, version: u8) -> &Gate {
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
            self.wake(0);
        }
        Ok(found.way)
    }
}

/// How many services go by marks, of IPv4 and of IPv6.
#[derive(Default)]
pub(super) struct Marks([u32; 2]);

impl Marks {
    /// Counts a service that is added.
    pub(super) fn add(&mut self, id: &ServiceId) {
        self.change(id, 1);
    }

    /// Counts a service out.
    pub(super) fn remove(&mut self, id: &ServiceId) {
        self.change(id, u32::MAX);
    }

    fn change(&mut self, id: &ServiceId, by: u32) {
        if let ServiceId::Marked { ipv6, .. } = *id {
            let [v4, v6] = &mut self.0;
            let count = if ipv6 { v6 } else { v4 };
            *count = count.wrapping_add(by);
        }
    }

    /// Whether there are any of that IP version.
    fn of(&self, version: u8) -> bool {
        let [v4, v6] = self.0;
        (if version == 6 { v6 } else { v4 }) > 0
    }
}

/// Whether a service is of flows with a mark, of that IP version.
pub(super) fn goes_by_mark(id: &ServiceId, version: u8) -> bool {
    matches!(id, ServiceId::Marked { ipv6, .. } if *ipv6 == (version == 6))
}

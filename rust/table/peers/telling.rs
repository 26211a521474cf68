// SPDX-License-Identifier: GPL-2.0

//! What other directors are told, and when.

use core::sync::atomic::Ordering;

use kernel::prelude::*;

use super::{
    super::{
        connections::{BriefOf, Conn, FullNatOf},
        live::Live,
        templates::{TemplateView, Templates},
    },
    counts::PeerCount,
    outbox::{Outbox, Parcel},
};
use crate::{
    engine::{
        persistence::{self, Persistence},
        proto::State,
        spec::{DestId, ServiceId},
        sync::{
            self,
            memo::{Clock, Look, Memo},
            Entry, Fault, Template,
        },
    },
    kapi::{
        rcu::{Rcu, RcuBox},
        time,
    },
};

impl Live {
    /// Bytes that may wait in a socket; 0 for what the host has.
    pub(crate) fn peer_buffer(&self) -> u32 {
        self.peers.tuning.buffer.load(Ordering::Relaxed)
    }

    /// Counts something about other directors.
    pub(crate) fn count_peer(&self, what: PeerCount) {
        self.peers.counts.count(what);
    }

    /// Counts something of another director that is not taken.
    pub(crate) fn count_fault(&self, fault: Fault) {
        self.peers.counts.fault(fault);
    }

    /// From now on others are told, by datagrams of so many bytes and so many queues. May sleep.
    pub(crate) fn begin_telling(&self, queues: usize, id: u8, max_len: usize) -> Result {
        let outbox = Outbox::new(queues, id, max_len, self.peers.tuning.waiting())?;
        outbox.set_clock(self.clock());
        let outbox = RcuBox::new(outbox, GFP_KERNEL_ACCOUNT)?;
        self.peers.outbox.replace(Some(outbox));
        Ok(())
    }

    /// Nobody is told any more.
    pub(crate) fn end_telling(&self) {
        self.peers.outbox.replace(None);
    }

    /// Counts so many.
    pub(crate) fn count_peers(&self, what: PeerCount, number: u64) {
        self.peers.counts.count_many(what, number);
    }

    /// What waits to be sent.
    pub(crate) fn outbox<'a>(&self, rcu: Rcu<'a>) -> Option<&'a Outbox> {
        self.peers.outbox.get(rcu)
    }

    /// A datagram is not needed any more that a queue of that number had.
    pub(crate) fn use_again(&self, queue: usize, parcel: Parcel) {
        let guard = kernel::sync::rcu::read_lock();
        if let Some(outbox) = self.outbox(Rcu::of(&guard)) {
            outbox.give_back(queue, parcel);
        }
    }

    /// A packet has moved a connection to another state, or begun it.
    #[cold]
    pub(crate) fn has_changed(&self, conn: &Conn, rcu: Rcu<'_>) {
        let Some(outbox) = self.outbox(rcu) else {
            return;
        };
        let state = conn.state();
        // Flows of datagrams are told of when they last: the sweep sees it.
        if state != State::Udp && sync::is_told(state) {
            self.tell_change(outbox, conn);
        }
    }

    #[inline(never)] // Most changes are none to tell of.
    fn tell_change(&self, outbox: &Outbox, conn: &Conn) {
        let state = conn.state();
        let is_over = state.is_over() || state == State::SctpClosed;
        // Those that are over and of which nobody knows are nothing to know of.
        if !(is_over && conn.memo().is_new()) {
            self.tell::<true>(outbox, conn);
        }
    }

    /// What a sweep looks at connections by.
    pub(crate) fn clock(&self) -> Clock {
        self.peers.tuning.clock(time::uptime())
    }

    /// The sweep has come by a connection.
    #[inline]
    pub(in crate::table) fn look_at(&self, outbox: &Outbox, clock: Clock, conn: &Conn) {
        let memo = conn.memo();
        if !memo.was_just_told(clock) {
            self.look_closely(outbox, clock, conn);
        }
    }

    #[inline(never)]
    fn look_closely(&self, outbox: &Outbox, clock: Clock, conn: &Conn) {
        let (state, memo) = (conn.state(), conn.memo());
        if !sync::is_told(state) {
            return;
        }
        if memo.is_new() && (state.is_over() || state == State::SctpClosed) {
            return;
        }
        let lasts = conn.lasts(&self.settings) / time::HZ;
        let period = clock.period().min(lasts / 2).max(1);
        let seen = conn.seen();
        let is_ours = memo.is_of_others(seen) && self.is_alone();
        let look = match is_ours {
            true => Look::Tell,
            false => memo.look(seen, clock, period, state == State::Udp),
        };
        match look {
            Look::Leave => {}
            Look::Note(memo) => conn.set_memo(memo),
            Look::Tell => self.tell::<false>(outbox, conn),
        }
    }

    /// Tells of some templates of a service; `turn` says of which.
    pub(in crate::table) fn tell_templates(
        &self,
        turn: u32,
        service: ServiceId,
        (templates, rule): (&Templates, &Persistence),
    ) {
        let guard = kernel::sync::rcu::read_lock();
        let is_told = self.outbox(Rcu::of(&guard)).is_some();
        drop(guard);
        if !is_told {
            return;
        }
        let tuning = &self.peers.tuning;
        let when = (self.clock(), tuning.period());
        templates.tell(turn, rule, when, self.is_alone(), |view| {
            let guard = kernel::sync::rcu::read_lock();
            if let Some(outbox) = self.outbox(Rcu::of(&guard)) {
                self.tell_template(outbox, service, view);
            }
        });
    }

    #[inline(never)] // An entry takes room.
    fn tell_template(&self, outbox: &Outbox, service: ServiceId, view: &TemplateView) {
        let Some(entry) = template_entry(service, view) else {
            return;
        };
        let told = outbox.put(view.network as u32, &entry, true);
        // One that finds no room is told again after a period.
        self.peers.counts.count(match told {
            true => PeerCount::Told,
            false => PeerCount::Postponed,
        });
    }

    /// Whether nobody else is listened to: then this director looks after what it has learned, as one
    /// that was the backup of another until now.
    pub(super) fn is_alone(&self) -> bool {
        !self.peers.listens.load(Ordering::Relaxed)
    }

    /// One for each of those who ask, so that it is a part of them.
    #[inline(always)] // In the middle of a packet's way.
    fn tell<const URGENT: bool>(&self, outbox: &Outbox, conn: &Conn) {
        if !self.is_told(conn) {
            return;
        }
        let flow = conn.flow();
        let seconds = match URGENT {
            // A packet has come just now.
            true => conn.lasts(&self.settings) / time::HZ,
            false => conn.expires_seconds(&self.settings),
        };
        let told = match conn.brief(seconds.max(1)) {
            Some(BriefOf::V4(brief, client, dest)) => {
                outbox.put_brief(flow, URGENT, || brief.v4(client, dest))
            }
            Some(BriefOf::V6(brief, client, dest)) => {
                outbox.put_brief(flow, URGENT, || brief.v6(client, dest))
            }
            None => match self.put_with_options(outbox, conn, seconds.max(1), URGENT) {
                Some(told) => told,
                None => return,
            },
        };
        let (memo, counted) = if told {
            (outbox.told(), PeerCount::Told)
        } else {
            (Memo::DUE, PeerCount::Postponed)
        };
        conn.set_memo(memo);
        self.peers.counts.count(counted);
        if conn.is_ended() {
            // Meanwhile; whoever ended it may have been told that nobody knows of it.
            self.tell_end(outbox, conn);
        }
    }

    #[inline(never)] // An entry takes room.
    fn put_with_options(
        &self,
        outbox: &Outbox,
        conn: &Conn,
        seconds: u32,
        urgent: bool,
    ) -> Option<bool> {
        let flow = conn.flow();
        match conn.fullnat_brief(seconds) {
            Some(FullNatOf::V4(brief, client, dest, (own, local))) => {
                let entry = || brief.fullnat_v4(&client, dest, (&own, local));
                Some(outbox.put_brief(flow, urgent, entry))
            }
            Some(FullNatOf::V6(brief, client, dest, (own, local))) => {
                let entry = || brief.fullnat_v6(&client, dest, (&own, local));
                Some(outbox.put_brief(flow, urgent, entry))
            }
            None => self.put_entry(outbox, conn, urgent),
        }
    }

    #[inline(never)] // As above.
    fn put_entry(&self, outbox: &Outbox, conn: &Conn, urgent: bool) -> Option<bool> {
        let entry = conn.entry(&self.settings)?;
        Some(outbox.put(conn.flow(), &entry, urgent))
    }

    /// Whether others are told of those of its service.
    #[inline(always)]
    fn is_told(&self, conn: &Conn) -> bool {
        let persist_mode = &self.peers.tuning.persist_mode;
        persist_mode.load(Ordering::Relaxed) == 0 || conn.dest().keeps().is_none()
    }

    /// A connection was taken from the table before its time: who knows of it does not keep it.
    #[cold]
    pub(in crate::table) fn has_ended(&self, conn: &Conn, rcu: Rcu<'_>) {
        let memo = conn.memo();
        if let Some(outbox) = self.outbox(rcu) {
            // What is of others is theirs to end.
            if !memo.is_new() && !memo.is_of_others(conn.seen()) {
                self.tell_end(outbox, conn);
            }
        }
    }

    fn tell_end(&self, outbox: &Outbox, conn: &Conn) {
        let Some(entry) = self.entry_of(conn) else {
            return;
        };
        let told = outbox.put(conn.flow(), &entry.over(), true);
        self.peers.counts.count(match told {
            true => PeerCount::Told,
            false => PeerCount::Postponed,
        });
    }

    /// Whether so much waits that whoever ends many connections gives others time to be told.
    pub(in crate::table) fn is_pressed(&self) -> bool {
        let guard = kernel::sync::rcu::read_lock();
        let outbox = self.outbox(Rcu::of(&guard));
        outbox.is_some_and(Outbox::is_pressed)
    }

    /// As others are told of it; none where they are not.
    pub(super) fn entry_of(&self, conn: &Conn) -> Option<Entry<'static>> {
        match self.is_told(conn) {
            true => conn.entry(&self.settings),
            false => None,
        }
    }
}

/// A template as others are told of it; none where they could not understand it.
pub(super) fn template_entry(service: ServiceId, view: &TemplateView) -> Option<Entry<'_>> {
    let network = persistence::address(view.network, service.is_ipv6());
    if view.dest.address.is_ipv6() != network.is_ipv6() {
        return None;
    }
    Some(Entry::from(&Template {
        service,
        network,
        dest: DestId {
            address: view.dest.address,
            // Of all ports is a service by mark, or one that has none of its own.
            port: match service.port() {
                0 => 0,
                _ => view.dest.port,
            },
        },
        mode: view.mode,
        seconds: (view.expires_ms / 1000).max(1),
        assured: view.assured,
        call: view.call_id(),
    }))
}

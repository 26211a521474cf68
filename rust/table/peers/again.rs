// SPDX-License-Identifier: GPL-2.0

//! What is told again to those who lack it: what became of what a datagram told, or all that there is.
//! It is always told as it is now, so that it undoes nothing that was told later.

use core::ops::ControlFlow;

use super::{
    super::{
        config::ConfigGuard,
        connections::{Conn, BATCH},
        netns::Netns,
        templates::TemplateCursor,
    },
    outbox::{queue_of, Outbox},
    telling::template_entry,
};
use crate::{
    engine::{
        family::{Address, Tuple},
        proto::State,
        sync::{self, memo::Memo, Connection, Datagram, Entry, Template, Told},
        tuple::{TupleV4, TupleV6},
    },
    kapi::{rcu::Rcu, time, work},
};

/// Entries that one look at the table tells, or a little more.
const ENTRIES: usize = 2048;

/// Buckets that one look at the table passes at most.
const BUCKETS: u32 = 1 << 14;

/// A round through all that there is.
#[derive(Default)]
pub(crate) struct Round {
    /// The first bucket that was not looked at, and how many there were.
    bucket: u32,
    buckets: u32,
    /// How many services' templates were told, and where the next one's go on.
    service: usize,
    templates: TemplateCursor,
    /// Whether something found no room.
    failed: bool,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more.
    More,
    /// All was told.
    Done,
    /// It is through, but something was left out.
    Failed,
}

impl Netns {
    /// Tells what became of what a datagram told: into the first queue of `outbox`, and into the second
    /// what others look after. False when there is no room. May sleep.
    #[inline(never)] // Entries take room.
    pub(crate) fn tell_again(&self, datagram: &Datagram<'_>, outbox: &Outbox) -> bool {
        let mut put = true;
        for entry in datagram.entries().flatten() {
            let again = match Told::of(&entry) {
                Ok(Told::Connection(told)) if told.client.is_ipv6() => {
                    self.now_of::<TupleV6>(&told)
                }
                Ok(Told::Connection(told)) => self.now_of::<TupleV4>(&told),
                Ok(Told::Template(told)) => {
                    put &= self.tell_template_again(&told, outbox);
                    continue;
                }
                Err(_) => None,
            };
            if let Some((entry, queue)) = again {
                put &= outbox.put_at(queue, &entry);
            }
        }
        put
    }

    /// A connection that was told, as it is now.
    #[inline(never)]
    fn now_of<T: Tuple>(&self, told: &Connection) -> Option<(Entry<'static>, usize)> {
        let (client, there) = (told.client, told.virtual_address);
        let tuple = T::between(
            (T::Address::of(client.ip())?, client.port()),
            (T::Address::of(there.ip())?, there.port()),
            told.protocol.number(),
        );
        let hash = self.connections.hash(&tuple);
        let guard = kernel::sync::rcu::read_lock();
        let found = self.connections.lookup(&tuple, hash, Rcu::of(&guard));
        if let Some((conn, _)) = found {
            if let Some(now) = self.now(conn) {
                return Some(now);
            }
        }
        // Or there is one that has only begun.
        Some((Entry::from(told).over(), 0))
    }

    /// A connection as it is told, and 1 where others look after it; none where it is not told.
    fn now(&self, conn: &Conn) -> Option<(Entry<'static>, usize)> {
        let (state, memo) = (conn.state(), conn.memo());
        let is_over = state.is_over() || state == State::SctpClosed;
        // As those that tell at first have it.
        let waits = memo.is_new() && (is_over || state == State::Udp);
        if waits || !sync::is_told(state) {
            return None;
        }
        let is_hearsay = memo.is_of_others(conn.seen()) && !self.is_alone();
        let entry = self.entry_of(conn)?;
        Some((entry, is_hearsay.into()))
    }

    /// Tells a template that was told, as it is now, into the first queue. False when there is no room.
    #[inline(never)]
    fn tell_template_again(&self, told: &Template<'_>, outbox: &Outbox) -> bool {
        let config = self.config();
        let service = config.service(&told.service);
        let view = service.and_then(|service| service.look_at_template(told.network, told.call));
        let entry = view
            .as_ref()
            .and_then(|view| template_entry(told.service, view));
        entry.is_none_or(|entry| outbox.put_at(0, &entry))
    }

    /// Tells more of all that there is: into the queues of `outbox`, of which the first half is of
    /// ports, as those are where changes are put, and the second as well, of what others look after.
    /// May sleep.
    pub(crate) fn go_round(&self, round: &mut Round, outbox: &Outbox, ports: usize) -> Progress {
        if !self.tell_connections(round, outbox, ports) {
            return Progress::More;
        }
        let config = self.config();
        if !self.tell_all_templates(&config, round, outbox, ports) {
            return Progress::More;
        }
        match round.failed {
            true => Progress::Failed,
            false => Progress::Done,
        }
    }

    /// True when all were told.
    fn tell_connections(&self, round: &mut Round, outbox: &Outbox, ports: usize) -> bool {
        self.without_resize(|| {
            let buckets = self.connections.buckets();
            if round.buckets != buckets {
                // It has grown meanwhile: in this one they stand elsewhere.
                (round.bucket, round.buckets) = (0, buckets);
            }
            let clock = self.peers.tuning.clock(time::uptime());
            let end = round.bucket.saturating_add(BUCKETS).min(buckets);
            let (mut told, mut failed) = (0usize, false);
            while round.bucket < end && told < ENTRIES {
                let guard = kernel::sync::rcu::read_lock();
                let mut visit = |conn: &Conn| {
                    let Some((entry, hearsay)) = self.now(conn) else {
                        return;
                    };
                    let queue = queue_of(conn.flow(), ports);
                    let behind = hearsay.saturating_mul(ports);
                    if !outbox.put_at(queue.saturating_add(behind), &entry) {
                        failed = true;
                    } else if hearsay == 0 {
                        conn.set_memo(Memo::told(clock));
                    }
                    told = told.saturating_add(1);
                };
                self.connections
                    .show(round.bucket, Rcu::of(&guard), &mut visit);
                drop(guard);
                round.bucket = round.bucket.saturating_add(BATCH);
                work::give_way();
            }
            round.failed |= failed;
            round.bucket >= buckets
        })
    }

    /// True when all were told.
    fn tell_all_templates(
        &self,
        config: &ConfigGuard<'_>,
        round: &mut Round,
        outbox: &Outbox,
        ports: usize,
    ) -> bool {
        let (mut told, mut failed) = (0usize, false);
        for service in config.services().skip(round.service) {
            let id = service.id();
            let rest = service.list_templates(round.templates, |view| {
                if told >= ENTRIES {
                    return ControlFlow::Break(());
                }
                told = told.saturating_add(1);
                if let Some(entry) = template_entry(id, view) {
                    failed |= !outbox.put_at(queue_of(view.network as u32, ports), &entry);
                }
                ControlFlow::Continue(())
            });
            if let Some(rest) = rest {
                round.templates = rest;
                round.failed |= failed;
                return false;
            }
            round.templates = TemplateCursor::default();
            round.service = round.service.saturating_add(1);
        }
        round.failed |= failed;
        true
    }
}

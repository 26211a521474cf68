// SPDX-License-Identifier: GPL-2.0

//! Flows that helpers have read of: a connection says that its client, or its dest, is going to open another.
//!
//! Of a client's the port is not known yet, so it is [expected](super::expected). Of a dest's all is known:
//! its connection is made at once, in LISTEN.

use kernel::sync::Arc;

use super::{
    connect::{Connect, NewFlow},
    connections::Conn,
    dest::Dest,
    expected::{Key, Target, ToldOf},
    live::Live,
    schedule::Schedule,
};
use crate::{
    engine::{family::Tuple, proto::State, wire::TCP},
    kapi::{rcu::Rcu, time},
};

/// A flow that was expected.
pub(crate) struct Meant<'a> {
    /// The schedule of its service.
    pub(crate) schedule: &'a Schedule,
    /// Where it goes.
    pub(crate) dest: &'a Arc<Dest>,
    /// What is known of it besides.
    pub(crate) told: ToldOf,
}

impl Live {
    /// The client of a connection, whose packets carry `tuple`, is going to open a flow to `port` of the
    /// virtual address, which is `told` of.
    pub(crate) fn expect_client(
        &self,
        conn: &Conn,
        tuple: &impl Tuple,
        (port, told): (u16, ToldOf),
    ) -> Option<()> {
        let dest = conn.dest();
        let target = Target {
            service: dest.service().key(),
            dest: dest.id(),
            told,
            since: time::now(),
        };
        let _charge = self.charge();
        self.expected.add(Key::of(tuple, port), target)
    }

    /// Where a flow goes that a helper has read of.
    pub(crate) fn expected<'a>(&self, tuple: &impl Tuple, rcu: Rcu<'a>) -> Option<Meant<'a>>
    where
        Self: 'a,
    {
        if self.expected.is_empty() || tuple.protocol() != TCP {
            return None;
        }
        let target = self.expected.get(&Key::of(tuple, tuple.dport()))?;
        let schedule = self.index.get(rcu)?.find_exactly(target.service, rcu)?;
        Some(Meant {
            schedule,
            dest: schedule.member(target.dest)?,
            told: target.told,
        })
    }

    /// The dest of a connection is going to open a flow to `port` of its client, from the port before its
    /// own, which the client sees come from the port before the service's (RFC 959, section 3.2). Returns the
    /// connection that waits for it.
    pub(crate) fn expect_dest<'a, T: Connect>(
        &self,
        conn: &Conn,
        (client, dest): (&T, &T),
        port: u16,
        rcu: Rcu<'a>,
    ) -> Option<&'a Conn> {
        let tuple = T::between(
            (client.src(), port),
            (client.dst(), client.dport().checked_sub(1)?),
            TCP,
        );
        let hash = self.connections.hash(&tuple);
        if let Some((there, _)) = self.connections.lookup(&tuple, hash, rcu) {
            if !there.state().is_over() && there.touch(&self.settings) {
                return core::ptr::eq(there.dest(), conn.dest()).then_some(there);
            }
            self.disconnect(there, rcu);
        }
        let service = conn.dest().service().key();
        let schedule = self.index.get(rcu)?.find_exactly(service, rcu)?;
        if !self.has_room(schedule, rcu) {
            return None;
        }
        let flow = NewFlow {
            tuple,
            hash,
            state: State::Listen,
            dest: schedule.member(conn.dest().id())?,
            schedule,
            opening: None,
            told: Some(ToldOf {
                port: dest.sport().checked_sub(1)?,
                seen: dest.dst().into(),
            }),
        };
        let _charge = self.charge();
        self.connect(&flow, rcu).ok()
    }
}

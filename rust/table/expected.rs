// SPDX-License-Identifier: GPL-2.0

//! Flows that helpers have read of: a connection says that its client, or its dest, is going to open
//! another.
//!
//! Of a client's the port is not known yet. So it is kept, as what nobody but new flows asks for, which port
//! of the virtual address leads which client where; for a while, as `ip_vs` keeps what waits in LISTEN. Of a
//! dest's all is known: its connection is made at once, in that state.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::Arc,
};

use super::{
    connect::{NewFlow, ToldOf},
    connections::Conn,
    dest::Dest,
    live::Live,
    schedule::Schedule,
    Connect,
};
use crate::{
    engine::{
        family::Tuple,
        proto::{tcp::TIMEOUTS, State},
        service_key::ServiceKey,
        spec::DestId,
        wire::TCP,
    },
    kapi::{locked::LockedArray, memcg, rcu::Rcu, time},
};

/// How many are kept in a namespace.
const MAX: u32 = 65_536;

/// How long each is kept, in ticks.
const TIMEOUT: u32 = time::seconds(TIMEOUTS[State::Listen as usize]);

/// Those that one look at the tree passes at most, under its lock.
const BATCH: usize = 32;

/// Who is expected where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    client: IpAddr,
    virtual_address: IpAddr,
    port: u16,
}

impl Key {
    fn of(tuple: &impl Tuple, port: u16) -> Self {
        Self {
            client: tuple.src().into(),
            virtual_address: tuple.dst().into(),
            port,
        }
    }

    /// The least there is, and the next one.
    const FIRST: Self = Self {
        client: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        virtual_address: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        port: 0,
    };
}

/// Where the flow goes.
#[derive(Clone, Copy)]
struct Target {
    service: ServiceKey,
    dest: DestId,
    told: ToldOf,
    /// Tick at which it was told of.
    since: u32,
}

impl Target {
    fn lives(&self) -> bool {
        time::now().wrapping_sub(self.since) <= TIMEOUT
    }
}

/// A flow that was expected.
pub(crate) struct Meant<'a> {
    /// The schedule of its service.
    pub(crate) schedule: &'a Schedule,
    /// Where it goes.
    pub(crate) dest: &'a Arc<Dest>,
    /// What is known of it besides.
    pub(crate) told: ToldOf,
}

/// Those of a namespace.
pub(super) struct Expected {
    tree: LockedArray<RBTree<Key, Target>>,
    count: AtomicU32,
}

impl Expected {
    /// None yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            tree: LockedArray::new(1, RBTree::new)?,
            count: AtomicU32::new(0),
        })
    }

    /// Adds one, or goes on with one. Without memory, or room, the flow will be nobody's.
    fn add(&self, key: Key, target: Target) -> Option<()> {
        if self.count.load(Ordering::Relaxed) >= MAX {
            return None;
        }
        let node = RBTreeNode::new(key, target, memcg::atomic_flags()).ok()?;
        // What is replaced is dropped when the lock is not held any more.
        let old = self.tree.with(0, |tree| tree.insert(node))?;
        if old.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Some(())
    }

    fn get(&self, key: &Key) -> Option<Target> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let target = self.tree.with(0, |tree| tree.get(key).copied())??;
        target.lives().then_some(target)
    }

    /// Ends those that have been kept for long enough. May sleep.
    pub(super) fn sweep(&self) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut from = Some(Key::FIRST);
        while let Some(start) = from {
            let mut ended = [const { None }; BATCH];
            from = self
                .tree
                .with(0, |tree| {
                    let mut next = tree.cursor_lower_bound_mut(&start);
                    for place in &mut ended {
                        let cursor = next?;
                        next = if cursor.current().1.lives() {
                            cursor.move_next()
                        } else {
                            let (rest, node) = cursor.remove_current();
                            *place = Some(node);
                            rest
                        };
                    }
                    next.map(|cursor| *cursor.current().0)
                })
                .flatten();
            let number = ended.iter().flatten().count() as u32;
            self.count.fetch_sub(number, Ordering::Relaxed);
        }
    }
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
        if tuple.protocol() != TCP {
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

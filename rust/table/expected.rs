// SPDX-License-Identifier: GPL-2.0

//! Which port of a virtual address leads which client where, as a helper has read of it: what nobody but
//! new flows asks for. Kept for a while, as `ip_vs` keeps what waits in LISTEN.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
};

use crate::{
    engine::{
        family::Tuple,
        proto::{tcp::TIMEOUTS, State},
        service_key::ServiceKey,
        spec::DestId,
    },
    kapi::{locked::LockedArray, memcg, time, work},
};

/// How many are kept in a namespace.
const MAX: u32 = 65_536;

/// How long each is kept, in ticks.
const TIMEOUT: u32 = time::seconds(TIMEOUTS[State::Listen as usize]);

/// Those that one look at the tree passes at most, under its lock.
const BATCH: usize = 32;

/// Who is expected where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    client: IpAddr,
    virtual_address: IpAddr,
    port: u16,
}

impl Key {
    /// The client of packets that carry `tuple`, at another port of its destination.
    pub(super) fn of(tuple: &impl Tuple, port: u16) -> Self {
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
pub(super) struct Target {
    pub(super) service: ServiceKey,
    pub(super) dest: DestId,
    pub(super) told: ToldOf,
    /// Tick at which it was told of.
    pub(super) since: u32,
}

impl Target {
    fn lives(&self) -> bool {
        time::now().wrapping_sub(self.since) <= TIMEOUT
    }
}

/// What is known of a flow that another connection has told of.
#[derive(Clone, Copy)]
pub(crate) struct ToldOf {
    /// The dest's port.
    pub(crate) port: u16,
    /// What the dest sees in the client's place of the other one: servers want the same.
    pub(crate) seen: IpAddr,
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
    pub(super) fn add(&self, key: Key, target: Target) -> Option<()> {
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

    /// Whether there is none, as where no helper is.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Where that client goes.
    pub(super) fn get(&self, key: &Key) -> Option<Target> {
        let target = self.tree.with(0, |tree| tree.get(key).copied())??;
        target.lives().then_some(target)
    }

    /// Ends those that have been kept for long enough. May sleep.
    #[inline(never)] // For the frame of the worker.
    pub(super) fn sweep(&self) {
        if self.is_empty() {
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
            drop(ended);
            work::give_way();
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The connections of a namespace: one table, read under RCU without locks or counts.
//!
//! Readers walk a chain of [`Node`]s. Writers hold the stripe of [`StripedLock`] that the
//! hash selects; tables have at least as many buckets as there are stripes, so one stripe covers a
//! hash's bucket in every table. A connection is freed by the namespace's worker, a grace period
//! after it was taken out.

mod buckets;
mod conn;
mod nat;
mod node;
mod slab;
mod view;

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

use kernel::prelude::*;

use self::{
    buckets::Buckets,
    node::{AnyKey, Key, Node},
};
use super::{line::Line, settings::LiveSettings};
use crate::{
    engine::{family::Tuple, hash},
    kapi::{
        lock::{StripedLock, STRIPES},
        rcu::{self, Rcu},
        time, work,
    },
};

pub(crate) use self::{
    conn::Conn,
    nat::{NatConn, NatKeys, Stage},
    node::Side,
    slab::{create_caches, Caches, Pair, Single},
    view::{ConnCursor, ConnView},
};

/// Buckets that a table has at least; not fewer than there are stripes.
const MIN_BUCKETS: u32 = STRIPES;

/// Buckets that a table has at most.
const MAX_BUCKETS: u32 = 1 << 26;

/// Buckets that one sweep looks at, at most.
const SWEEP_MAX: u32 = 1 << 18;

/// Sweeps that it takes to look at all buckets of a small table.
const SWEEPS: u32 = 4;

/// Steps of a long loop after which others may run.
const BATCH: u32 = 64;

/// What became of a new connection.
pub(super) enum Inserted<'a> {
    /// It is in the table.
    New(&'a Conn),
    /// Another CPU was first; the new one is gone.
    Existing(&'a Conn),
}

/// What came of a sweep.
pub(super) struct Swept {
    /// Where the next one starts.
    pub(super) next: u32,
    /// How many connections had been silent for too long.
    pub(super) expired: u32,
    /// How many were done without.
    pub(super) dropped: u32,
}

/// The table.
///
/// # Invariants
///
/// `current` is a live [`Buckets`]; all nodes reachable from it are parts of [`Conn`]s from the slab, each in one chain, and freed only a grace period after being unlinked.
pub(crate) struct Connections {
    current: AtomicPtr<Buckets>,
    key: hash::Key,
    locks: StripedLock,
    resizes: AtomicU32,
    changing: Line<Changing>,
}

/// What connections change that begin and end.
struct Changing {
    count: AtomicU32,
    /// Keys in the table: one or two a connection.
    nodes: AtomicU32,
    /// Unlinked connections that wait for the worker, linked by `Conn::next_dead`.
    dead: AtomicPtr<Conn>,
}

// SAFETY: All shared state is atomic or locked; connections are `Send` and `Sync`.
unsafe impl Send for Connections {}
// SAFETY: As above.
unsafe impl Sync for Connections {}

impl Connections {
    pub(super) fn new(key: hash::Key) -> Result<Self> {
        let locks = StripedLock::new()?;
        let buckets = Buckets::new(MIN_BUCKETS)?;
        Ok(Self {
            current: AtomicPtr::new(KBox::into_raw(buckets)),
            key,
            locks,
            resizes: AtomicU32::new(0),
            changing: Line(Changing {
                count: AtomicU32::new(0),
                nodes: AtomicU32::new(0),
                dead: AtomicPtr::new(ptr::null_mut()),
            }),
        })
    }

    #[inline(always)]
    fn current<'a>(&self, _rcu: Rcu<'a>) -> &'a Buckets {
        // SAFETY: By the invariant; an old table is freed a grace period after it was replaced.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    /// Hash of a tuple in this table.
    #[inline(always)]
    pub(crate) fn hash(&self, tuple: &impl Tuple) -> u32 {
        tuple.hash(&self.key) as u32
    }

    /// Hash of a tuple in this table, all of it: half of it is enough to know a bucket.
    pub(super) fn long_hash(&self, tuple: &impl Tuple) -> u64 {
        tuple.hash(&self.key)
    }

    /// The connection that a packet with that tuple belongs to.
    #[inline(always)]
    pub(crate) fn lookup<'a>(
        &self,
        tuple: &impl Tuple,
        hash: u32,
        rcu: Rcu<'a>,
    ) -> Option<(&'a Conn, Side)> {
        let mut table = self.current(rcu);
        loop {
            if let Some(found) = table.find(tuple, hash, rcu) {
                return Some(found);
            }
            // While the table is being resized the rest is in the next one.
            table = table.future(rcu)?;
        }
    }

    /// Puts a connection in, unless one with a key of it is there.
    ///
    /// None when its dest's key is taken by another connection; it is gone then.
    pub(super) fn insert<'a>(&self, conn: NonNull<Conn>, rcu: Rcu<'a>) -> Option<Inserted<'a>> {
        // SAFETY: The caller made it; nobody else knows it yet.
        let new: &'a Conn = unsafe { conn.as_ref() };
        // The dest's key first: as soon as the client's is in, packets go to the dest.
        let is_taken = match new.dest_key() {
            Some(AnyKey::V4(key)) => self.link(key, rcu).is_some(),
            Some(AnyKey::V6(key)) => self.link(key, rcu).is_some(),
            None => false,
        };
        if is_taken {
            // SAFETY: It came from the slab and was never shared.
            unsafe { slab::free(conn) };
            return None;
        }
        let existing = match new.client_key() {
            AnyKey::V4(key) => self.link(key, rcu),
            AnyKey::V6(key) => self.link(key, rcu),
        };
        self.changing.count.fetch_add(1, Ordering::Relaxed);
        let Some((existing, _)) = existing else {
            // Not before: two CPUs may have made one of the same flow.
            new.dest().connection();
            return Some(Inserted::New(new));
        };
        // Another CPU was first. Readers may have seen this one by its other key.
        self.remove(new, rcu);
        Some(Inserted::Existing(existing))
    }

    /// Links a node in, unless its key is taken: then whose it is.
    fn link<'a, T: Tuple>(&self, key: &Key<T>, rcu: Rcu<'a>) -> Option<(&'a Conn, Side)> {
        let (node, tuple) = (&key.node, key.tuple);
        let hash = node.hash();
        let _guard = self.locks.lock(hash)?;
        if let Some(taken) = self.lookup(&tuple, hash, rcu) {
            return Some(taken);
        }
        let current = self.current(rcu);
        let newest = current.future(rcu).unwrap_or(current);
        newest.push(NonNull::from(node));
        self.changing.nodes.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes a node out, if it is in.
    fn unlink(&self, node: &Node, rcu: Rcu<'_>) {
        let hash = node.hash();
        let Some(_guard) = self.locks.lock(hash) else {
            return;
        };
        let current = self.current(rcu);
        let was_in = current.unlink(node, hash)
            || current
                .future(rcu)
                .is_some_and(|future| future.unlink(node, hash));
        if was_in {
            self.changing.nodes.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends a connection: counts it out of its dest and takes it from the table. False when that
    /// was done already.
    pub(super) fn remove(&self, conn: &Conn, rcu: Rcu<'_>) -> bool {
        if !conn.end() {
            return false;
        }
        self.unlink(conn.client_key().node(), rcu);
        if let Some(key) = conn.dest_key() {
            self.unlink(key.node(), rcu);
        }
        self.changing.count.fetch_sub(1, Ordering::Relaxed);
        let dead = ptr::from_ref(conn).cast_mut();
        let mut head = self.changing.dead.load(Ordering::Relaxed);
        loop {
            conn.next_dead.store(head, Ordering::Relaxed);
            match self.changing.dead.compare_exchange_weak(
                head,
                dead,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// Connections in the table.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.changing.count.load(Ordering::Relaxed)
    }

    #[inline]
    fn nodes(&self) -> u32 {
        self.changing.nodes.load(Ordering::Relaxed)
    }

    /// Times the table was resized.
    pub(crate) fn resizes(&self) -> u32 {
        self.resizes.load(Ordering::Relaxed)
    }

    /// Buckets now.
    pub(crate) fn buckets(&self) -> u32 {
        let guard = kernel::sync::rcu::read_lock();
        self.current(Rcu::of(&guard)).len()
    }

    /// Whether there are more connections than the table is made for.
    #[inline]
    pub(super) fn is_crowded(&self, rcu: Rcu<'_>) -> bool {
        let len = self.current(rcu).len();
        self.nodes() > len && len < MAX_BUCKETS
    }

    /// Whether removed connections wait for [`Connections::reap`].
    pub(super) fn has_dead(&self) -> bool {
        !self.changing.dead.load(Ordering::Relaxed).is_null()
    }

    /// Frees what was removed. May sleep.
    ///
    /// Only one caller at a time.
    pub(super) fn reap(&self) {
        let mut dead = self.changing.dead.swap(ptr::null_mut(), Ordering::Acquire);
        if dead.is_null() {
            return;
        }
        rcu::synchronize();
        let mut batch = 0u32;
        while let Some(conn) = NonNull::new(dead) {
            // SAFETY: Unlinked before the grace period, so only we know it.
            dead = unsafe { conn.as_ref() }.next_dead.load(Ordering::Relaxed);
            // SAFETY: As above, and it came from the slab.
            unsafe { slab::free(conn) };
            breathe(&mut batch);
        }
    }

    /// Makes the table fit the number of connections. May sleep. Readers and writers go on.
    ///
    /// Only one caller at a time. On lack of memory the table stays as it is.
    pub(super) fn resize(&self) {
        loop {
            let guard = kernel::sync::rcu::read_lock();
            let len = self.current(Rcu::of(&guard)).len();
            drop(guard);
            let wanted = wanted_buckets(self.nodes(), len);
            if wanted == len || self.resize_to(wanted).is_err() {
                return;
            }
        }
    }

    fn resize_to(&self, len: u32) -> Result {
        let new = NonNull::new(KBox::into_raw(Buckets::new(len)?)).ok_or(ENOMEM)?;
        let old = self.current.load(Ordering::Acquire);
        // SAFETY: Only the one caller of `resize` replaces and frees tables.
        let (old_table, new_table) = unsafe { (&*old, new.as_ref()) };
        old_table.set_future(new);
        let mut batch = 0u32;
        for bucket in 0..old_table.len() {
            if let Some(_guard) = self.locks.lock(bucket) {
                old_table.move_bucket(bucket, new_table);
            }
            breathe(&mut batch);
        }
        self.current.store(new.as_ptr(), Ordering::Release);
        self.resizes.fetch_add(1, Ordering::Relaxed);
        rcu::synchronize();
        // SAFETY: No reader has the old table any more, and all its chains are empty.
        drop(unsafe { KBox::from_raw(old) });
        Ok(())
    }

    /// Ends connections that were silent for too long, in a slice of the table that starts at
    /// `cursor`. With `pressed`, a number that is another each second, those that can be done
    /// without in one of 32 buckets as well, as `ip_vs` does. May sleep.
    pub(super) fn sweep(
        &self,
        cursor: u32,
        settings: &LiveSettings,
        pressed: Option<u32>,
    ) -> Swept {
        let guard = kernel::sync::rcu::read_lock();
        let len = self.current(Rcu::of(&guard)).len();
        drop(guard);
        let mut bucket = cursor & (len - 1);
        let (mut expired, mut dropped) = (0u32, 0u32);
        let mut left = (len / SWEEPS).clamp(1, SWEEP_MAX);
        while left > 0 {
            let batch = left.min(BATCH);
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            let (table, now) = (self.current(rcu), time::now());
            for _ in 0..batch {
                let pressed = pressed.is_some_and(|turn| (turn ^ bucket) & 31 == 0);
                for conn in table.bucket(bucket, rcu) {
                    if conn.is_expired(now, settings) {
                        expired = expired.wrapping_add(self.remove(conn, rcu).into());
                    } else if pressed && conn.is_expendable(now) {
                        dropped = dropped.wrapping_add(self.remove(conn, rcu).into());
                    }
                }
                bucket = bucket.wrapping_add(1) & (len - 1);
            }
            drop(guard);
            left = left.wrapping_sub(batch);
            work::give_way();
        }
        Swept {
            next: bucket,
            expired,
            dropped,
        }
    }

    /// Ends all connections that `which` names. May sleep. Not while the table is resized.
    pub(super) fn remove_all(&self, which: impl Fn(&Conn) -> bool) {
        let mut batch = 0u32;
        for bucket in 0..self.buckets() {
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            for conn in self.current(rcu).bucket(bucket, rcu) {
                if which(conn) {
                    self.remove(conn, rcu);
                }
            }
            drop(guard);
            breathe(&mut batch);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.remove_all(|_| true);
        self.reap();
        // SAFETY: By the invariant; nobody else has the table any more.
        drop(unsafe { KBox::from_raw(*self.current.get_mut()) });
    }
}

/// Buckets that a table with `len` of them should have for `count` keys: at least one each,
/// and less only when three quarters are unused, so that it does not go back and forth.
fn wanted_buckets(count: u32, len: u32) -> u32 {
    let fitting = count
        .clamp(MIN_BUCKETS, MAX_BUCKETS)
        .checked_next_power_of_two()
        .unwrap_or(MAX_BUCKETS);
    if fitting > len || count <= len / 4 {
        fitting
    } else {
        len
    }
}

/// Lets others run now and then in a long loop.
fn breathe(batch: &mut u32) {
    *batch = batch.wrapping_add(1);
    if *batch % BATCH == 0 {
        work::give_way();
    }
}

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
mod whole;

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

use kernel::prelude::*;

use self::{
    buckets::Buckets,
    node::{AnyKey, Node},
};
use super::{line::Line, settings::LiveSettings};
use crate::{
    engine::{family::Tuple, hash},
    kapi::{
        delay,
        lock::{PairGuard, StripedLock, STRIPES},
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
    /// Another CPU was first with the same flow; the new one is gone.
    Existing(&'a Conn),
    /// Its dest's key is another flow's; the new one is gone.
    Taken,
}

/// What came of a sweep.
pub(super) struct Swept {
    /// Where the next one starts.
    pub(super) next: u32,
    /// How many connections had been silent for too long.
    pub(super) expired: u32,
    /// How many of them nothing had come of.
    pub(super) unanswered: u32,
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
    #[inline(never)] // For the frame of who makes all of a namespace.
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
    pub(super) fn insert<'a>(&self, conn: NonNull<Conn>, rcu: Rcu<'a>) -> Inserted<'a> {
        // SAFETY: The caller made it; nobody else knows it yet.
        let new: &'a Conn = unsafe { conn.as_ref() };
        let inserted = self.link(new, rcu);
        match inserted {
            // Not before: two CPUs may have made one of the same flow.
            Inserted::New(new) => new.dest().connection(),
            // SAFETY: It came from the slab and was never shared.
            _ => unsafe { slab::free(conn) },
        }
        inserted
    }

    /// Links the keys of a connection in, unless one of them is taken.
    ///
    /// All of it happens with the stripes of both keys locked, and so does a connection's end. So
    /// nobody ends one of which only one key is in, and of two that begin the same flow the second
    /// finds the first's.
    fn link<'a>(&self, new: &'a Conn, rcu: Rcu<'a>) -> Inserted<'a> {
        let _guard = self.lock(new);
        if let Some((existing, _)) = self.lookup_key(new.client_key(), rcu) {
            return Inserted::Existing(existing);
        }
        let dest_key = new.dest_key();
        if dest_key.is_some_and(|key| self.lookup_key(key, rcu).is_some()) {
            return Inserted::Taken;
        }
        let current = self.current(rcu);
        let newest = current.future(rcu).unwrap_or(current);
        // Before anybody may end it.
        self.changing.count.fetch_add(1, Ordering::Relaxed);
        // The dest's key first: as soon as the client's is in, packets go to the dest.
        for key in [dest_key, Some(new.client_key())].into_iter().flatten() {
            newest.push(NonNull::from(key.node()));
            self.changing.nodes.fetch_add(1, Ordering::Relaxed);
            delay::here();
        }
        Inserted::New(new)
    }

    /// Locks the stripes of a connection's keys.
    fn lock(&self, conn: &Conn) -> PairGuard<'_> {
        let client = conn.client_key().node().hash();
        let dest = conn.dest_key().map_or(client, |key| key.node().hash());
        self.locks.lock_both(client, dest)
    }

    /// The connection that has a key.
    fn lookup_key<'a>(&self, key: AnyKey<'_>, rcu: Rcu<'a>) -> Option<(&'a Conn, Side)> {
        let hash = key.node().hash();
        match key {
            AnyKey::V4(key) => self.lookup(&key.tuple, hash, rcu),
            AnyKey::V6(key) => self.lookup(&key.tuple, hash, rcu),
        }
    }

    /// Takes a node out, if it is in. Its stripe is locked.
    fn unlink(&self, node: &Node, rcu: Rcu<'_>) {
        let hash = node.hash();
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
        let guard = self.lock(conn);
        let Some(last) = conn.end() else {
            return false;
        };
        for key in [Some(conn.client_key()), conn.dest_key()]
            .into_iter()
            .flatten()
        {
            delay::here();
            self.unlink(key.node(), rcu);
        }
        drop(guard);
        conn.dest().connection_ends(last);
        if let Some(place) = conn.local_place() {
            conn.dest().ports().freed(place);
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
        delay::here();
        let mut batch = 0u32;
        for bucket in 0..old_table.len() {
            let guard = self.locks.lock(bucket);
            old_table.move_bucket(bucket, new_table);
            drop(guard);
            breathe(&mut batch);
        }
        self.current.store(new.as_ptr(), Ordering::Release);
        delay::here();
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
        let (mut expired, mut unanswered, mut dropped) = (0u32, 0u32, 0u32);
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
                        let in_vain = conn.is_unanswered();
                        let ended = self.remove(conn, rcu);
                        expired = expired.wrapping_add(ended.into());
                        if ended && in_vain {
                            conn.dest().failures().count_no_reply();
                            unanswered = unanswered.wrapping_add(1);
                        }
                    } else if pressed && conn.is_expendable(now) {
                        dropped = dropped.wrapping_add(self.remove(conn, rcu).into());
                    } else {
                        conn.tell_again(now);
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
            unanswered,
            dropped,
        }
    }

    /// Ends all connections that `which` names. May sleep. Not while the table is resized.
    pub(super) fn remove_all(&self, mut which: impl FnMut(&Conn, Rcu<'_>) -> bool) {
        let mut batch = 0u32;
        for bucket in 0..self.buckets() {
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            for conn in self.current(rcu).bucket(bucket, rcu) {
                if which(conn, rcu) {
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
        self.remove_all(|_, _| true);
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

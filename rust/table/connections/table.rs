// SPDX-License-Identifier: GPL-2.0

//! The table of connections.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering},
};

use kernel::prelude::*;

use super::{
    super::line::Line,
    buckets::Buckets,
    census::Census,
    conn::Conn,
    node::{AnyKey, Node, Side, PLAIN},
    slab,
};
use crate::{
    engine::{family::Tuple, hash, proto::State},
    kapi::{
        delay,
        lock::{PairGuard, StripedLock, STRIPES},
        netns::Net,
        rcu::{self, Rcu},
        trace::{self, End},
        track, work,
    },
};

/// Buckets that a table has at least; not fewer than there are stripes.
pub(super) const MIN_BUCKETS: u32 = STRIPES;

/// Steps of a long loop after which others may run.
pub(in crate::table) const BATCH: u32 = 64;

/// Times that whoever ends many waits, at most.
const PATIENCE: u32 = 250;

/// What became of a new connection.
pub(in crate::table) enum Inserted<'a> {
    /// It is in the table.
    New(&'a Conn),
    /// Another CPU was first with the same flow; the new one is gone.
    Existing(&'a Conn),
    /// Its dest's key is another flow's; the new one is gone.
    Taken,
}

/// The table.
///
/// # Invariants
///
/// `current` is a live [`Buckets`]; all nodes reachable from it are parts of [`Conn`]s from the slab, each in one chain, and freed only a grace period after being unlinked.
pub(crate) struct Connections {
    pub(super) current: AtomicPtr<Buckets>,
    key: hash::Key,
    pub(super) locks: StripedLock,
    pub(super) resizes: AtomicU32,
    pub(super) changing: Line<Changing>,
    pub(super) census: KBox<Census>,
    /// Whose connections they are.
    pub(super) net: &'static Net,
}

/// What connections change that begin and end.
pub(super) struct Changing {
    count: AtomicU32,
    /// Keys in the table: one to three a connection.
    pub(super) nodes: AtomicU32,
    /// Whether any has had a node of what its dest's packets carry as they arrive.
    pub(super) renamed: AtomicBool,
    /// Connections that the host tracks.
    tracked: AtomicU32,
    /// What the host knows of them stays when they end.
    leaves_tracks: AtomicBool,
    /// Unlinked connections that wait for the worker, linked by `Conn::next_dead`.
    dead: AtomicPtr<Conn>,
}

// SAFETY: All shared state is atomic or locked; connections are `Send` and `Sync`.
unsafe impl Send for Connections {}
// SAFETY: As above.
unsafe impl Sync for Connections {}

impl Connections {
    #[inline(never)] // For the frame of who makes all of a namespace.
    pub(in crate::table) fn new(key: hash::Key, net: &'static Net) -> Result<Self> {
        let locks = StripedLock::new()?;
        let census = KBox::new(Census::new(), GFP_KERNEL_ACCOUNT)?;
        let buckets = Buckets::new(MIN_BUCKETS)?;
        Ok(Self {
            current: AtomicPtr::new(KBox::into_raw(buckets)),
            key,
            net,
            census,
            locks,
            resizes: AtomicU32::new(0),
            changing: Line(Changing {
                count: AtomicU32::new(0),
                nodes: AtomicU32::new(0),
                renamed: AtomicBool::new(false),
                tracked: AtomicU32::new(0),
                leaves_tracks: AtomicBool::new(false),
                dead: AtomicPtr::new(ptr::null_mut()),
            }),
        })
    }

    #[inline(always)]
    pub(super) fn current<'a>(&self, _rcu: Rcu<'a>) -> &'a Buckets {
        // SAFETY: By the invariant; an old table is freed a grace period after it was replaced.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    /// Hash of a tuple in this table.
    #[inline(always)]
    pub(crate) fn hash(&self, tuple: &impl Tuple) -> u32 {
        tuple.hash(&self.key) as u32
    }

    /// Hash of a tuple in this table, all of it: half of it is enough to know a bucket.
    pub(in crate::table) fn long_hash(&self, tuple: &impl Tuple) -> u64 {
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
        self.lookup_kind::<PLAIN>(tuple, hash, rcu)
    }

    /// As [`Connections::lookup`], of a key of that kind.
    #[inline(always)]
    pub(super) fn lookup_kind<'a, const KIND: u8>(
        &self,
        tuple: &impl Tuple,
        hash: u32,
        rcu: Rcu<'a>,
    ) -> Option<(&'a Conn, Side)> {
        let mut table = self.current(rcu);
        loop {
            if let Some(found) = table.find::<KIND>(tuple, hash, rcu) {
                return Some(found);
            }
            // While the table is being resized the rest is in the next one.
            table = table.future(rcu)?;
        }
    }

    /// Puts a connection in, unless one with a key of it is there. One that another director has
    /// scheduled is not counted as one of its dest's.
    pub(in crate::table) fn insert<'a>(
        &self,
        conn: NonNull<Conn>,
        is_scheduled: bool,
        rcu: Rcu<'a>,
    ) -> Inserted<'a> {
        // SAFETY: The caller made it; nobody else knows it yet.
        let new: &'a Conn = unsafe { conn.as_ref() };
        let inserted = self.link(new, rcu);
        match inserted {
            // Not before: two CPUs may have made one of the same flow.
            Inserted::New(new) if is_scheduled => new.dest().connection(),
            Inserted::New(_) => {}
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
        if new.is_tracked() {
            self.changing.tracked.fetch_add(1, Ordering::Relaxed);
        }
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
    pub(super) fn unlink(&self, node: &Node, rcu: Rcu<'_>) {
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
    pub(in crate::table) fn remove(&self, conn: &Conn, why: End, rcu: Rcu<'_>) -> bool {
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
        trace::conn_end(self.net, why, || conn.traced(last));
        conn.dest().connection_ends(last);
        if let Some(place) = conn.local_place() {
            conn.dest().ports().freed(place);
        }
        conn.settle(self.net);
        if conn.is_tracked() {
            if !self.changing.leaves_tracks.load(Ordering::Relaxed) {
                let ends = conn.client_ends();
                track::end_entry(self.net, ends.protocol, ends.client, ends.virtual_address);
            }
            self.changing.tracked.fetch_sub(1, Ordering::Relaxed);
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

    /// What the host tracks of connections stays from now on when they end, as with `ip_vs` when that
    /// is unloaded: they may go on by another module.
    pub(in crate::table) fn leave_tracks(&self) {
        self.changing.leaves_tracks.store(true, Ordering::Relaxed);
    }

    /// Whether there are any that the host tracks.
    pub(in crate::table) fn has_tracked(&self) -> bool {
        self.changing.tracked.load(Ordering::Relaxed) > 0
    }

    /// Connections in `state` when the sweep last went through the table.
    pub(in crate::table) fn count_in(&self, state: State) -> u32 {
        match self.count() {
            0 => 0,
            _ => self.census.number(state),
        }
    }

    /// Keys in the table.
    #[inline]
    pub(super) fn nodes(&self) -> u32 {
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

    /// Whether removed connections wait for [`Connections::reap`].
    pub(in crate::table) fn has_dead(&self) -> bool {
        !self.changing.dead.load(Ordering::Relaxed).is_null()
    }

    /// Frees what was removed. May sleep.
    ///
    /// Only one caller at a time.
    pub(in crate::table) fn reap(&self) {
        let mut dead = self.changing.dead.swap(ptr::null_mut(), Ordering::Acquire);
        if dead.is_null() {
            return;
        }
        rcu::synchronize();
        if self.changing.renamed.load(Ordering::Relaxed) {
            self.forget_arriving(dead);
        }
        let mut batch = 0u32;
        while let Some(conn) = NonNull::new(dead) {
            // SAFETY: Unlinked before the grace period, so only we know it.
            dead = unsafe { conn.as_ref() }.next_dead.load(Ordering::Relaxed);
            // SAFETY: As above, and it came from the slab.
            unsafe { slab::free(conn) };
            breathe(&mut batch);
        }
    }

    /// Takes the last nodes of removed connections out, in a list by `Conn::next_dead`.
    fn forget_arriving(&self, dead: *const Conn) {
        let (mut next, mut batch, mut taken) = (dead, 0u32, false);
        // SAFETY: They were unlinked before a grace period, so only we know them.
        while let Some(conn) = unsafe { next.as_ref() } {
            next = conn.next_dead.load(Ordering::Relaxed);
            taken |= self.take_arriving(conn);
            breathe(&mut batch);
        }
        if taken {
            rcu::synchronize();
        }
    }

    /// Shows the connections of some buckets from that one on to `visit`. Not while the table is resized.
    pub(in crate::table) fn show(&self, first: u32, rcu: Rcu<'_>, visit: &mut dyn FnMut(&Conn)) {
        let table = self.current(rcu);
        for bucket in first..first.saturating_add(BATCH).min(table.len()) {
            table.bucket(bucket, rcu).for_each(&mut *visit);
        }
    }

    /// Ends all connections that `which` names, and tells `gone` of each. Before the next bucket it
    /// waits while `wait` says so. May sleep. Not while the table is resized.
    pub(in crate::table) fn remove_all(
        &self,
        mut which: impl FnMut(&Conn, Rcu<'_>) -> bool,
        gone: impl Fn(&Conn, Rcu<'_>),
        wait: impl Fn() -> bool,
    ) {
        let (mut batch, mut patience) = (0u32, PATIENCE);
        for bucket in 0..self.buckets() {
            while patience > 0 && wait() {
                delay::sleep(20);
                patience = patience.wrapping_sub(1);
            }
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            for conn in self.current(rcu).bucket(bucket, rcu) {
                if which(conn, rcu) && self.remove(conn, End::Ended, rcu) {
                    gone(conn, rcu);
                }
            }
            drop(guard);
            breathe(&mut batch);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.remove_all(|_, _| true, |_, _| {}, || false);
        self.reap();
        // SAFETY: By the invariant; nobody else has the table any more.
        drop(unsafe { KBox::from_raw(*self.current.get_mut()) });
    }
}

/// Lets others run now and then in a long loop.
pub(super) fn breathe(batch: &mut u32) {
    *batch = batch.wrapping_add(1);
    if *batch % BATCH == 0 {
        work::give_way();
    }
}

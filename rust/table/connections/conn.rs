// SPDX-License-Identifier: GPL-2.0

//! One connection.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU8, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::super::{dest::Dest, settings::LiveSettings};
use crate::{
    engine::{proto::State, tuple::TupleV4},
    kapi::{
        slab::{CacheHandle, StaticCache},
        time,
    },
};

/// Family of a node's key, in the tag from bit 32 on.
const IPV4: u64 = 4;

/// Number in [`Conn::state`] of a connection that was ended; no [`State`] has it.
const ENDED: u8 = 0xff;

/// Where connections live.
static CACHE: StaticCache<Conn> = StaticCache::new();

/// Makes the slab of connections, for as long as the handle lives.
pub(crate) fn create_cache() -> Result<CacheHandle<Conn>> {
    CACHE.create(c"rvs_conn")
}

/// A link in a chain: the next one, and the key it is found by. 32 bytes.
#[repr(C)]
pub(super) struct Node {
    pub(super) next: AtomicPtr<Node>,
    /// Hash in the low half, family of the key above: compared first, and right for every family.
    tag: u64,
    tuple: TupleV4,
}

impl Node {
    pub(super) fn new(tuple: TupleV4, hash: u32) -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
            tag: Self::tag(hash),
            tuple,
        }
    }

    const fn tag(hash: u32) -> u64 {
        hash as u64 | (IPV4 << 32)
    }

    #[inline(always)]
    pub(super) fn hash(&self) -> u32 {
        self.tag as u32
    }

    #[inline(always)]
    pub(super) fn tuple(&self) -> TupleV4 {
        self.tuple
    }

    #[inline(always)]
    pub(super) fn is(&self, tuple: &TupleV4, hash: u32) -> bool {
        self.tag == Self::tag(hash) && self.tuple == *tuple
    }
}

/// A connection through a dest to which packets go and from which none come back here (DR): one
/// key, one cache line.
#[repr(C, align(64))]
pub(crate) struct Conn {
    pub(super) node: Node,
    dest: Arc<Dest>,
    /// Tick of the last packet.
    seen: AtomicU32,
    state: AtomicU8,
    /// In the list of those to be freed.
    pub(super) next_dead: AtomicPtr<Conn>,
}

const _: () = assert!(size_of::<Conn>() == 64);

impl Conn {
    /// What its packets from the client carry.
    #[inline(always)]
    pub(crate) fn tuple(&self) -> TupleV4 {
        self.node.tuple
    }

    /// Where its packets go.
    #[inline(always)]
    pub(crate) fn dest(&self) -> &Dest {
        &self.dest
    }

    /// Its state; `Close` once it was ended.
    #[inline(always)]
    pub(crate) fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Relaxed))
    }

    /// Moves it to the state that `next` makes of the present one.
    #[inline(always)]
    pub(crate) fn step(&self, next: impl Fn(State) -> State) {
        let number = self.state.load(Ordering::Relaxed);
        let from = State::from_number(number);
        let to = next(from);
        if to != from && number != ENDED {
            self.change(from, to);
        }
    }

    /// Whoever changes the state counts the change; when another packet was first, its verdict
    /// stands.
    #[cold]
    fn change(&self, from: State, to: State) {
        let change = self.state.compare_exchange(
            from.number(),
            to.number(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if change.is_ok() {
            self.dest.connection_moves(from, to);
        }
    }

    /// Marks it ended and counts it out of its dest. False when it was ended already.
    pub(super) fn end(&self) -> bool {
        let last = self.state.swap(ENDED, Ordering::Relaxed);
        if last == ENDED {
            return false;
        }
        self.dest.connection_ends(State::from_number(last));
        true
    }

    /// Notes that a packet came. False when it came too late: the connection has expired.
    #[inline(always)]
    pub(crate) fn touch(&self, settings: &LiveSettings) -> bool {
        let now = time::now();
        let seen = self.seen.load(Ordering::Relaxed);
        if seen == now {
            return true;
        }
        let silent = now.wrapping_sub(seen);
        if silent > settings.timeout(self.state()) && !is_ahead(silent) {
            return false;
        }
        self.seen.store(now, Ordering::Relaxed);
        true
    }

    /// Whether it has been silent for longer than its state allows.
    #[inline(always)]
    pub(super) fn is_expired(&self, now: u32, settings: &LiveSettings) -> bool {
        let silent = now.wrapping_sub(self.seen.load(Ordering::Relaxed));
        silent > settings.timeout(self.state()) && !is_ahead(silent)
    }

    /// Milliseconds until it expires when no packet comes.
    pub(super) fn expires(&self, settings: &LiveSettings) -> u32 {
        let silent = time::now().wrapping_sub(self.seen.load(Ordering::Relaxed));
        let silent = if is_ahead(silent) { 0 } else { silent };
        time::to_millis(settings.timeout(self.state()).saturating_sub(silent))
    }
}

/// Whether a packet came after the present tick was read: on another CPU, while this one was held
/// up between the two reads.
#[inline]
const fn is_ahead(silent: u32) -> bool {
    silent > u32::MAX - time::seconds(600)
}

/// A new connection from the slab; none when there is no memory.
pub(super) fn allocate(node: Node, state: State, dest: Arc<Dest>) -> Option<NonNull<Conn>> {
    dest.connection_begins(state);
    let conn = Conn {
        node,
        dest,
        seen: AtomicU32::new(time::now()),
        state: AtomicU8::new(state.number()),
        next_dead: AtomicPtr::new(ptr::null_mut()),
    };
    match CACHE.alloc(conn) {
        Ok(conn) => Some(conn),
        Err(conn) => {
            conn.dest.connection_ends(state);
            None
        }
    }
}

/// Gives a connection back to the slab.
///
/// # Safety
///
/// It came from [`allocate`], is in no table and known to nobody else.
pub(super) unsafe fn free(conn: NonNull<Conn>) {
    // SAFETY: Nobody else knows it, says the caller.
    unsafe { conn.as_ref() }.end();
    // SAFETY: As above.
    unsafe { CACHE.free(conn) };
}

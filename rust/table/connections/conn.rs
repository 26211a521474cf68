// SPDX-License-Identifier: GPL-2.0

//! One connection.

use core::{
    mem::offset_of,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU8, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::super::{dest::Dest, settings::LiveSettings};
use crate::{
    engine::{proto::State, rewrite::Deltas, shift::Shift, tuple::TupleV4},
    kapi::{
        slab::{CacheHandle, StaticCache},
        time,
    },
};

/// Family of a node's key, in the tag from bit 32 on.
const IPV4: u64 = 4;

/// Which of a connection's nodes it is, in the tag from bit 48 on; not part of the key.
const SIDE_SHIFT: u32 = 48;

/// Bits of the tag that are part of the key.
const KEY_BITS: u32 = SIDE_SHIFT;

/// Number in [`Conn::state`] of a connection that was ended; no [`State`] has it.
const ENDED: u8 = 0xff;

/// Where connections with one key live.
static CACHE: StaticCache<Conn> = StaticCache::new();

/// Where connections with two keys live.
static NAT_CACHE: StaticCache<NatConn> = StaticCache::new();

/// The slabs of connections.
pub(crate) struct Caches {
    _one_key: CacheHandle<Conn>,
    _two_keys: CacheHandle<NatConn>,
}

/// Makes the slabs of connections, for as long as the handle lives.
pub(crate) fn create_caches() -> Result<Caches> {
    Ok(Caches {
        _one_key: CACHE.create(c"rvs_conn")?,
        _two_keys: NAT_CACHE.create(c"rvs_conn_nat")?,
    })
}

/// Who sent a packet of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Client = 0,
    /// The dest.
    Dest = 1,
}

/// A link in a chain: the next one, and the key it is found by. 32 bytes.
#[repr(C)]
pub(super) struct Node {
    pub(super) next: AtomicPtr<Node>,
    /// Hash in the low half, family of the key above: compared first, and right for every family.
    /// Then, not compared, the side.
    tag: u64,
    tuple: TupleV4,
}

impl Node {
    fn new(tuple: TupleV4, hash: u32, side: Side) -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
            tag: Self::tag(hash) | ((side as u64) << SIDE_SHIFT),
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
        (self.tag ^ Self::tag(hash)) << (u64::BITS - KEY_BITS) == 0 && self.tuple == *tuple
    }

    /// Whose packets it is found by.
    #[inline(always)]
    pub(super) fn side(&self) -> Side {
        if self.tag >> SIDE_SHIFT == 0 {
            Side::Client
        } else {
            Side::Dest
        }
    }

    /// The connection it is part of.
    ///
    /// # Safety
    ///
    /// `this` is a node of a live connection.
    #[inline(always)]
    pub(super) unsafe fn conn<'a>(this: NonNull<Self>) -> &'a Conn {
        // SAFETY: The caller vouches for it.
        let side = unsafe { this.as_ref() }.side();
        let offset = match side {
            Side::Client => offset_of!(Conn, node),
            Side::Dest => offset_of!(NatConn, dest_side),
        };
        // SAFETY: That is where in the connection the node of this side is, and a connection with
        // two keys starts with what one with one key has.
        unsafe { this.byte_sub(offset).cast::<Conn>().as_ref() }
    }
}

/// A connection to a dest from which no packets come back here (DR, TUN): one key, one cache line.
/// Also the first part of those with two.
#[repr(C, align(64))]
pub(crate) struct Conn {
    pub(super) node: Node,
    dest: Arc<Dest>,
    /// Tick of the last packet.
    seen: AtomicU32,
    state: AtomicU8,
    /// This is the first part of a [`NatConn`].
    has_two_keys: bool,
    /// In the list of those to be freed.
    pub(super) next_dead: AtomicPtr<Conn>,
}

/// A connection whose packets get other addresses, and come back from the dest: two keys.
#[repr(C, align(64))]
pub(crate) struct NatConn {
    conn: Conn,
    pub(super) dest_side: Node,
    /// From the client's tuple to the one the dest sees.
    deltas: Deltas,
    /// See [`Ways`](super::super::ways::Ways).
    way_back: AtomicU32,
    /// What the dest sees of the client's sequence numbers.
    shift: Shift,
    /// A number of [`Stage`].
    stage: AtomicU8,
    /// Kind of the option that carries the client's address.
    toa_kind: u8,
    /// What a client acknowledges that has had nothing but the dest's SYN.
    expected: AtomicU32,
}

/// How far a connection is with telling its dest of the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Its segments stay as they are but for addresses and ports.
    Untouched = 0,
    /// There is nothing to tell, or the dest knows.
    Told = 1,
    /// The dest has not answered.
    Opening = 2,
    /// The client has had nothing but the dest's SYN.
    Telling = 3,
}

const _: () = assert!(size_of::<Conn>() == 64 && size_of::<NatConn>() == 128);

impl NatConn {
    /// What a packet that `side` sent becomes, and the change of its checksums.
    #[inline(always)]
    pub(crate) fn translation(&self, side: Side) -> (TupleV4, Deltas) {
        match side {
            Side::Client => (self.dest_side.tuple.reversed(), self.deltas),
            Side::Dest => (self.conn.node.tuple.reversed(), self.deltas.reversed()),
        }
    }

    /// What is added to the client's sequence numbers toward the dest.
    #[inline(always)]
    pub(crate) fn shift(&self) -> Shift {
        self.shift
    }

    /// How far it is with telling the dest of the client's address.
    #[inline(always)]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Untouched,
            2 => Stage::Opening,
            3 => Stage::Telling,
            _ => Stage::Told,
        }
    }

    /// Kind of the option that carries the client's address.
    pub(crate) fn toa_kind(&self) -> u8 {
        self.toa_kind
    }

    /// What a client acknowledges that has had nothing but the dest's SYN.
    pub(crate) fn expected(&self) -> u32 {
        self.expected.load(Ordering::Relaxed)
    }

    /// The dest has answered: `expected` is what acknowledges its SYN.
    pub(crate) fn answered(&self, expected: u32) {
        self.expected.store(expected, Ordering::Relaxed);
        self.stage.store(Stage::Telling as u8, Ordering::Relaxed);
    }

    /// The dest knows the client's address.
    pub(crate) fn told(&self) {
        self.stage.store(Stage::Told as u8, Ordering::Relaxed);
    }

    /// Where packets to the client go.
    #[inline(always)]
    pub(crate) fn way_back(&self) -> &AtomicU32 {
        &self.way_back
    }
}

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

    /// Its second part, if it has two keys.
    #[inline(always)]
    pub(crate) fn nat(&self) -> Option<&NatConn> {
        if !self.has_two_keys {
            return None;
        }
        // SAFETY: Set only in the first part, which is where this is.
        Some(unsafe { &*ptr::from_ref(self).cast::<NatConn>() })
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

/// The keys of a new connection, with their hashes.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    /// Tuple of the client's packets.
    pub(crate) client: (TupleV4, u32),
    /// Tuple of the dest's packets, where they come back here.
    pub(crate) dest: Option<(TupleV4, u32)>,
    /// What is added to the client's sequence numbers toward the dest.
    pub(crate) shift: Shift,
    /// How its segments are treated; kind of the option for [`Stage::Opening`].
    pub(crate) stage: Stage,
    pub(crate) toa_kind: u8,
}

/// A new connection from the slab, in no table yet; none when there is no memory.
pub(in crate::table) fn allocate(
    keys: Keys,
    state: State,
    dest: Arc<Dest>,
) -> Option<NonNull<Conn>> {
    dest.connection_begins(state);
    let (tuple, hash) = keys.client;
    let conn = Conn {
        node: Node::new(tuple, hash, Side::Client),
        dest,
        seen: AtomicU32::new(time::now()),
        state: AtomicU8::new(state.number()),
        has_two_keys: keys.dest.is_some(),
        next_dead: AtomicPtr::new(ptr::null_mut()),
    };
    let allocated = match keys.dest {
        None => CACHE.alloc(conn),
        Some((dest_tuple, dest_hash)) => {
            let deltas = Deltas::new(&tuple, &dest_tuple.reversed());
            let conn = NatConn {
                conn,
                dest_side: Node::new(dest_tuple, dest_hash, Side::Dest),
                deltas,
                way_back: AtomicU32::new(0),
                shift: keys.shift,
                stage: AtomicU8::new(keys.stage as u8),
                toa_kind: keys.toa_kind,
                expected: AtomicU32::new(0),
            };
            let allocated = NAT_CACHE.alloc(conn);
            allocated.map(NonNull::cast).map_err(|conn| conn.conn)
        }
    };
    match allocated {
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
    let this = unsafe { conn.as_ref() };
    this.end();
    if this.has_two_keys {
        // SAFETY: As above, and it is the first part of one with two keys.
        unsafe { NAT_CACHE.free(conn.cast()) };
    } else {
        // SAFETY: As above.
        unsafe { CACHE.free(conn) };
    }
}

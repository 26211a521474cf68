// SPDX-License-Identifier: GPL-2.0

//! One connection.

use core::{
    mem::offset_of,
    net::SocketAddr,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU8, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::super::{dest::Dest, settings::LiveSettings};
use crate::{
    engine::{
        family::Tuple,
        proto::State,
        rewrite::Deltas,
        shift::Shift,
        tuple::{TupleV4, TupleV6},
    },
    kapi::{
        slab::{CacheHandle, StaticCache},
        time,
    },
};

/// Where the IP version of a node's key is in the tag.
const VERSION_SHIFT: u32 = 32;

/// Where in the tag the distance of a node from the start of its connection is, in bytes; not part
/// of the key.
const OFFSET_SHIFT: u32 = 48;

/// Number in [`Conn::state`] of a connection that was ended; no [`State`] has it.
const ENDED: u8 = 0xff;

/// Who sent a packet of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Client = 0,
    /// The dest.
    Dest = 1,
}

/// A link in a chain: the next one, and the start of the key it is found by. 16 bytes.
#[repr(C)]
pub(super) struct Node {
    pub(super) next: AtomicPtr<Node>,
    /// Hash in the low half, IP version above: compared first. Then, not compared, where in its
    /// connection it is.
    tag: u64,
}

/// A node with the rest of its key.
#[repr(C)]
pub(super) struct Key<T> {
    pub(super) node: Node,
    pub(super) tuple: T,
}

impl<T: Tuple> Key<T> {
    fn new((tuple, hash): (T, u32), offset: usize) -> Self {
        let node = Node {
            next: AtomicPtr::new(ptr::null_mut()),
            tag: Node::tag(hash, T::VERSION) | ((offset as u64) << OFFSET_SHIFT),
        };
        Self { node, tuple }
    }
}

impl Node {
    #[inline(always)]
    const fn tag(hash: u32, version: u8) -> u64 {
        hash as u64 | ((version as u64) << VERSION_SHIFT)
    }

    #[inline(always)]
    pub(super) fn hash(&self) -> u32 {
        self.tag as u32
    }

    /// Whether it is part of the key with that tuple.
    ///
    /// # Safety
    ///
    /// `this` is the node of a live key.
    #[inline(always)]
    pub(super) unsafe fn is_of<T: Tuple>(this: NonNull<Self>, tuple: &T, hash: u32) -> bool {
        // SAFETY: The caller vouches for it.
        let tag = unsafe { this.as_ref() }.tag;
        if (tag ^ Self::tag(hash, T::VERSION)) << (u64::BITS - OFFSET_SHIFT) != 0 {
            return false;
        }
        // SAFETY: The tag says that the tuple is of this family; a key starts with its node.
        unsafe { this.cast::<Key<T>>().as_ref() }.tuple == *tuple
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        (self.tag >> OFFSET_SHIFT) as usize
    }

    /// Whose packets it is found by.
    #[inline(always)]
    pub(super) fn side(&self) -> Side {
        if self.offset() == CLIENT_OFFSET {
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
        let offset = unsafe { this.as_ref() }.offset();
        // SAFETY: That is where in the connection the node is.
        unsafe { this.byte_sub(offset).cast::<Conn>().as_ref() }
    }
}

/// What follows a [`Conn`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// It is the first part of a `OneKey<TupleV4>`.
    OneV4,
    /// Of a `OneKey<TupleV6>`.
    OneV6,
    /// Of a `NatConn<TupleV4>`.
    NatV4,
    /// Of a `NatConn<TupleV6>`.
    NatV6,
    /// Of a `NatConn<TupleV6, TupleV4>`.
    Nat64,
}

/// The first part of every connection. 24 bytes, and the client's key follows at once: with an IPv4
/// key all is in one cache line.
#[repr(C)]
pub(crate) struct Conn {
    dest: Arc<Dest>,
    /// Tick of the last packet.
    seen: AtomicU32,
    state: AtomicU8,
    layout: Layout,
    /// In the list of those to be freed.
    pub(super) next_dead: AtomicPtr<Conn>,
}

/// A connection to a dest from which no packets come back here (DR, TUN).
#[repr(C, align(64))]
pub(super) struct OneKey<T> {
    conn: Conn,
    client: Key<T>,
}

/// A connection whose packets get other addresses, and come back from the dest: two keys.
#[repr(C, align(64))]
pub(crate) struct NatConn<C, D = C> {
    conn: Conn,
    client: Key<C>,
    dest_side: Key<D>,
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

/// Where the client's key is in a connection of any layout.
const CLIENT_OFFSET: usize = size_of::<Conn>();

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
    /// The client has had nothing but the dest's SYN, and perhaps the dest has no socket yet.
    Telling = 3,
    /// The dest has sent payload, so it has a socket, but the client has not acknowledged any.
    Shown = 4,
    /// Datagrams to a dest that has not answered.
    Datagrams = 5,
    /// An association of SCTP, whose checksum is another.
    Chunks = 6,
    /// Datagrams of a client that stays with its dest, which has not answered.
    Unheard = 7,
}

const _: () = {
    assert!(offset_of!(OneKey<TupleV4>, client) == CLIENT_OFFSET);
    assert!(offset_of!(OneKey<TupleV6>, client) == CLIENT_OFFSET);
    assert!(offset_of!(NatConn<TupleV4>, client) == CLIENT_OFFSET);
    assert!(offset_of!(NatConn<TupleV6>, client) == CLIENT_OFFSET);
    assert!(offset_of!(NatConn<TupleV6, TupleV4>, client) == CLIENT_OFFSET);
    assert!(size_of::<OneKey<TupleV4>>() == 64 && size_of::<OneKey<TupleV6>>() == 128);
    assert!(size_of::<NatConn<TupleV4>>() == 128 && size_of::<NatConn<TupleV6>>() == 192);
};

impl<T: Tuple> NatConn<T> {
    /// What a packet that `side` sent becomes, and the change of its checksums.
    #[inline(always)]
    pub(crate) fn translation(&self, side: Side) -> (T, Deltas) {
        match side {
            Side::Client => (self.dest_side.tuple.reversed(), self.deltas),
            Side::Dest => (self.client.tuple.reversed(), self.deltas.reversed()),
        }
    }
}

impl<C: Tuple, D: Tuple> NatConn<C, D> {
    /// What its client's packets carry.
    #[inline(always)]
    pub(crate) fn client_tuple(&self) -> C {
        self.client.tuple
    }

    /// What its dest's packets carry.
    #[inline]
    pub(crate) fn dest_tuple(&self) -> D {
        self.dest_side.tuple
    }

    /// From the client's tuple to the one the dest sees.
    #[inline]
    pub(crate) fn deltas(&self) -> Deltas {
        self.deltas
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
            4 => Stage::Shown,
            5 => Stage::Datagrams,
            6 => Stage::Chunks,
            7 => Stage::Unheard,
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
        // It may say so twice, the second time late.
        if self.stage() == Stage::Opening {
            self.stage.store(Stage::Telling as u8, Ordering::Relaxed);
        }
    }

    /// The dest has answered a datagram.
    pub(crate) fn heard(&self) {
        self.stage.store(Stage::Untouched as u8, Ordering::Relaxed);
    }

    /// The dest has sent payload.
    pub(crate) fn shown(&self) {
        self.stage.store(Stage::Shown as u8, Ordering::Relaxed);
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

/// A connection as its client sees it.
#[derive(Clone, Copy)]
pub(crate) struct ClientEnds {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    /// The client.
    pub(crate) client: SocketAddr,
    /// Virtual address and port.
    pub(crate) virtual_address: SocketAddr,
}

impl ClientEnds {
    fn of(tuple: &impl Tuple) -> Self {
        Self {
            protocol: tuple.protocol(),
            client: tuple.source(),
            virtual_address: tuple.destination(),
        }
    }
}

/// A key of either family.
pub(super) enum AnyKey<'a> {
    /// IPv4.
    V4(&'a Key<TupleV4>),
    /// IPv6.
    V6(&'a Key<TupleV6>),
}

impl<'a> AnyKey<'a> {
    pub(super) fn node(&self) -> &'a Node {
        match self {
            Self::V4(key) => &key.node,
            Self::V6(key) => &key.node,
        }
    }
}

impl Conn {
    /// Hash of the client's packets, which nobody outside can know.
    #[inline(always)]
    pub(crate) fn flow(&self) -> u32 {
        self.client_key().node().hash()
    }

    /// Where its packets go.
    #[inline(always)]
    pub(crate) fn dest(&self) -> &Dest {
        &self.dest
    }

    /// All of it, as a `T`.
    ///
    /// # Safety
    ///
    /// Its layout says that it is one.
    #[inline(always)]
    unsafe fn whole<T>(&self) -> &T {
        // SAFETY: The caller vouches for it.
        unsafe { &*ptr::from_ref(self).cast::<T>() }
    }

    /// All of it, if it has two keys of the family of `T`.
    #[inline(always)]
    pub(crate) fn nat<T: Tuple>(&self) -> Option<&NatConn<T>> {
        let layout = const {
            match T::VERSION {
                4 => Layout::NatV4,
                _ => Layout::NatV6,
            }
        };
        // SAFETY: Its layout says so, and there is one tuple a family.
        (self.layout == layout).then(|| unsafe { self.whole() })
    }

    /// All of it, if its client is IPv6 and its dest is IPv4.
    #[inline]
    pub(crate) fn nat64(&self) -> Option<&NatConn<TupleV6, TupleV4>> {
        // SAFETY: Its layout says so.
        (self.layout == Layout::Nat64).then(|| unsafe { self.whole() })
    }

    /// Whether its dest's packets come back here.
    #[inline(always)]
    pub(crate) fn has_two_keys(&self) -> bool {
        !matches!(self.layout, Layout::OneV4 | Layout::OneV6)
    }

    /// The key that its client's packets find it by.
    pub(super) fn client_key(&self) -> AnyKey<'_> {
        // SAFETY: The layouts say so; the client's key is at the same place in all of them.
        unsafe {
            match self.layout {
                Layout::OneV4 | Layout::NatV4 => AnyKey::V4(&self.whole::<OneKey<_>>().client),
                Layout::OneV6 | Layout::NatV6 | Layout::Nat64 => {
                    AnyKey::V6(&self.whole::<OneKey<_>>().client)
                }
            }
        }
    }

    /// The key that its dest's packets find it by.
    pub(super) fn dest_key(&self) -> Option<AnyKey<'_>> {
        if let Some(nat) = self.nat::<TupleV4>() {
            return Some(AnyKey::V4(&nat.dest_side));
        }
        if let Some(nat) = self.nat::<TupleV6>() {
            return Some(AnyKey::V6(&nat.dest_side));
        }
        self.nat64().map(|nat| AnyKey::V4(&nat.dest_side))
    }

    /// Its client and virtual address.
    pub(crate) fn client_ends(&self) -> ClientEnds {
        match self.client_key() {
            AnyKey::V4(key) => ClientEnds::of(&key.tuple),
            AnyKey::V6(key) => ClientEnds::of(&key.tuple),
        }
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
            if to.assures() {
                self.assure();
            }
        }
    }

    /// What was kept for the client's next flows, with persistence, is to be relied on: this one
    /// was answered.
    #[cold]
    pub(crate) fn assure(&self) {
        if self.dest.templates() > 0 {
            self.dest.assure(self.client_ends().client.ip());
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

    /// Ticks of silence that its state lasts.
    #[inline(always)]
    fn timeout(&self, settings: &LiveSettings) -> u32 {
        self.dest.timeout(self.state(), settings)
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
        if silent > self.timeout(settings) && !is_ahead(silent) {
            return false;
        }
        self.seen.store(now, Ordering::Relaxed);
        true
    }

    /// Whether it has been silent for longer than its state allows.
    #[inline(always)]
    pub(super) fn is_expired(&self, now: u32, settings: &LiveSettings) -> bool {
        let silent = now.wrapping_sub(self.seen.load(Ordering::Relaxed));
        silent > self.timeout(settings) && !is_ahead(silent)
    }

    /// Whether it can be done without when memory is short: one that its client has not answered,
    /// or a UDP flow that has been silent for a minute.
    pub(super) fn is_expendable(&self, now: u32) -> bool {
        match self.state() {
            State::SynRecv | State::SynAck => true,
            State::Udp => {
                let silent = now.wrapping_sub(self.seen.load(Ordering::Relaxed));
                silent >= time::seconds(60) && !is_ahead(silent)
            }
            _ => false,
        }
    }

    /// Milliseconds until it expires when no packet comes.
    pub(super) fn expires(&self, settings: &LiveSettings) -> u32 {
        let silent = time::now().wrapping_sub(self.seen.load(Ordering::Relaxed));
        let silent = if is_ahead(silent) { 0 } else { silent };
        time::to_millis(self.timeout(settings).saturating_sub(silent))
    }
}

/// Whether a packet came after the present tick was read: on another CPU, while this one was held
/// up between the two reads.
#[inline]
const fn is_ahead(silent: u32) -> bool {
    silent > u32::MAX - time::seconds(600)
}

/// What a new connection with two keys has besides the client's.
pub(crate) struct NatKeys<D> {
    /// Tuple of the dest's packets, with its hash.
    pub(crate) dest: (D, u32),
    /// From the client's tuple to the one the dest sees.
    pub(crate) deltas: Deltas,
    /// What is added to the client's sequence numbers toward the dest.
    pub(crate) shift: Shift,
    /// How its segments are treated.
    pub(crate) stage: Stage,
    /// Kind of the option for [`Stage::Opening`].
    pub(crate) toa_kind: u8,
}

/// A slab of connections.
trait Slab: Sized + Send + 'static {
    /// What a [`Conn`] that is the first part of one says.
    const LAYOUT: Layout;

    fn cache() -> &'static StaticCache<Self>;

    /// Gives its first part to the slab, with the rest. None when there is no memory.
    fn place(self, state: State) -> Option<NonNull<Conn>> {
        match Self::cache().alloc(self) {
            Ok(placed) => Some(placed.cast()),
            Err(unplaced) => {
                unplaced.into_dest().connection_ends(state);
                None
            }
        }
    }

    fn into_dest(self) -> Arc<Dest>;
}

macro_rules! slab {
    ($type:ty, $layout:ident, $name:ident) => {
        static $name: StaticCache<$type> = StaticCache::new();

        impl Slab for $type {
            const LAYOUT: Layout = Layout::$layout;

            fn cache() -> &'static StaticCache<Self> {
                &$name
            }

            fn into_dest(self) -> Arc<Dest> {
                self.conn.dest
            }
        }
    };
}

slab!(OneKey<TupleV4>, OneV4, ONE_V4);
slab!(OneKey<TupleV6>, OneV6, ONE_V6);
slab!(NatConn<TupleV4>, NatV4, NAT_V4);
slab!(NatConn<TupleV6>, NatV6, NAT_V6);
slab!(NatConn<TupleV6, TupleV4>, Nat64, NAT_64);

/// The slabs of connections.
pub(crate) struct Caches {
    _one_v4: CacheHandle<OneKey<TupleV4>>,
    _one_v6: CacheHandle<OneKey<TupleV6>>,
    _nat_v4: CacheHandle<NatConn<TupleV4>>,
    _nat_v6: CacheHandle<NatConn<TupleV6>>,
    _nat_64: CacheHandle<NatConn<TupleV6, TupleV4>>,
}

/// Makes the slabs of connections, for as long as the handle lives.
pub(crate) fn create_caches() -> Result<Caches> {
    Ok(Caches {
        _one_v4: ONE_V4.create(c"rvs_conn")?,
        _one_v6: ONE_V6.create(c"rvs_conn_v6")?,
        _nat_v4: NAT_V4.create(c"rvs_conn_nat")?,
        _nat_v6: NAT_V6.create(c"rvs_conn_nat_v6")?,
        _nat_64: NAT_64.create(c"rvs_conn_nat64")?,
    })
}

/// A pair of families, of client and dest, that there are connections between.
pub(crate) trait Pair<D: Tuple>: Tuple {
    /// A new connection from the slab, in no table yet; none when there is no memory.
    fn allocate(
        client: (Self, u32),
        keys: NatKeys<D>,
        state: State,
        dest: Arc<Dest>,
    ) -> Option<NonNull<Conn>>;
}

impl<C: Tuple, D: Tuple> Pair<D> for C
where
    NatConn<C, D>: Slab,
{
    fn allocate(
        client: (Self, u32),
        keys: NatKeys<D>,
        state: State,
        dest: Arc<Dest>,
    ) -> Option<NonNull<Conn>> {
        let conn = NatConn {
            conn: Conn::new(NatConn::<C, D>::LAYOUT, state, dest),
            client: Key::new(client, CLIENT_OFFSET),
            dest_side: Key::new(keys.dest, offset_of!(NatConn<C, D>, dest_side)),
            deltas: keys.deltas,
            way_back: AtomicU32::new(0),
            shift: keys.shift,
            stage: AtomicU8::new(keys.stage as u8),
            toa_kind: keys.toa_kind,
            expected: AtomicU32::new(0),
        };
        conn.place(state)
    }
}

/// A family that there are connections of without a key of the dest.
pub(crate) trait Single: Tuple {
    /// A new connection from the slab, in no table yet; none when there is no memory.
    fn allocate_one(client: (Self, u32), state: State, dest: Arc<Dest>) -> Option<NonNull<Conn>>;
}

impl<T: Tuple> Single for T
where
    OneKey<T>: Slab,
{
    fn allocate_one(client: (Self, u32), state: State, dest: Arc<Dest>) -> Option<NonNull<Conn>> {
        let conn = OneKey {
            conn: Conn::new(OneKey::<T>::LAYOUT, state, dest),
            client: Key::new(client, CLIENT_OFFSET),
        };
        conn.place(state)
    }
}

impl Conn {
    /// The first part of a connection that begins, counted into its dest.
    fn new(layout: Layout, state: State, dest: Arc<Dest>) -> Self {
        dest.connection_begins(state);
        Self {
            dest,
            seen: AtomicU32::new(time::now()),
            state: AtomicU8::new(state.number()),
            layout,
            next_dead: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// Gives a connection back to the slab.
///
/// # Safety
///
/// It came from [`Pair::allocate`] or [`Single::allocate_one`], is in no table and known to nobody
/// else.
pub(super) unsafe fn free(conn: NonNull<Conn>) {
    // SAFETY: Nobody else knows it, says the caller.
    let this = unsafe { conn.as_ref() };
    this.end();
    // SAFETY: As above, and the layout says what it is the first part of.
    unsafe {
        match this.layout {
            Layout::OneV4 => ONE_V4.free(conn.cast()),
            Layout::OneV6 => ONE_V6.free(conn.cast()),
            Layout::NatV4 => NAT_V4.free(conn.cast()),
            Layout::NatV6 => NAT_V6.free(conn.cast()),
            Layout::Nat64 => NAT_64.free(conn.cast()),
        }
    }
}

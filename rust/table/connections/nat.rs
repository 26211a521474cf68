// SPDX-License-Identifier: GPL-2.0

//! A connection with two keys.

use core::{
    mem::offset_of,
    sync::atomic::{AtomicU32, AtomicU8, Ordering},
};

use super::{
    conn::{Conn, CLIENT_OFFSET},
    node::{Key, Side},
};
use crate::{
    engine::{
        family::Tuple,
        rewrite::Deltas,
        shift::Shift,
        tuple::{TupleV4, TupleV6},
    },
    kapi::broken::broken,
};

/// A connection whose packets get other addresses, and come back from the dest: two keys.
#[repr(C, align(64))]
pub(crate) struct NatConn<C, D = C> {
    pub(super) conn: Conn,
    client: Key<C>,
    pub(super) dest_side: Key<D>,
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

const _: () = {
    assert!(offset_of!(NatConn<TupleV4>, client) == CLIENT_OFFSET);
    assert!(offset_of!(NatConn<TupleV6>, client) == CLIENT_OFFSET);
    assert!(offset_of!(NatConn<TupleV6, TupleV4>, client) == CLIENT_OFFSET);
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
    /// A connection that begins, with its first part.
    pub(super) fn new(conn: Conn, client: (C, u32), keys: NatKeys<D>) -> Self {
        Self {
            conn,
            client: Key::new(client, CLIENT_OFFSET),
            dest_side: Key::new(keys.dest, offset_of!(Self, dest_side)),
            deltas: keys.deltas,
            way_back: AtomicU32::new(0),
            shift: keys.shift,
            stage: AtomicU8::new(keys.stage as u8),
            toa_kind: keys.toa_kind,
            expected: AtomicU32::new(0),
        }
    }

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
            1 => Stage::Told,
            2 => Stage::Opening,
            3 => Stage::Telling,
            4 => Stage::Shown,
            5 => Stage::Datagrams,
            6 => Stage::Chunks,
            7 => Stage::Unheard,
            _ => {
                broken!(c"a connection has no stage");
                Stage::Told
            }
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

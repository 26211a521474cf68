// SPDX-License-Identifier: GPL-2.0

//! A connection with two keys.

use core::{
    mem::offset_of,
    sync::atomic::{AtomicU32, AtomicU8, Ordering},
};

use super::{
    conn::Conn,
    node::{Key, Side, CLIENT_OFFSET},
};
use crate::{
    engine::{
        family::Tuple,
        rewrite::Deltas,
        seqadj::Shift,
        toa::telling::{Phase, Telling},
        tuple::{TupleV4, TupleV6},
        uoa,
    },
    kapi::time,
};

/// A connection whose packets get other addresses, and come back from the dest: two keys.
#[repr(C, align(64))]
pub(crate) struct NatConn<C, D = C> {
    pub(super) conn: Conn,
    client: Key<C>,
    pub(super) dest_side: Key<D>,
    /// From the client's tuple to the one the dest sees.
    deltas: Deltas,
    /// See [`ClientRoutes`](super::super::client_routes::ClientRoutes).
    way_back: AtomicU32,
    /// What the dest sees of the client's sequence numbers.
    shift: Shift,
    /// A number of [`Stage`].
    stage: AtomicU8,
    /// Kind of the option that carries the client's address; 0 for none.
    toa_kind: u8,
    /// See [`Telling`].
    first: AtomicU32,
    /// See [`Telling`]. Of datagrams that tell: the tick at which the dest last answered one.
    expected: AtomicU32,
}

/// Ticks after which a dest is told again whose datagrams it gets: its receiver may have been loaded
/// anew, or have forgotten the flow.
const TELL_AGAIN: u32 = time::seconds(10);

/// How far a connection is with telling its dest of the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Its segments stay as they are but for addresses and ports.
    Untouched = 0,
    /// There is nothing to tell, or the dest knows.
    Told = 1,
    /// See [`Phase`].
    Opening = 2,
    /// See [`Phase`].
    Telling = 3,
    /// See [`Phase`].
    Always = 4,
    /// Datagrams to a dest that has not answered.
    Datagrams = 5,
    /// An association of SCTP, whose checksum is another.
    Chunks = 6,
    /// Datagrams of a client that stays with its dest, which has not answered.
    Unheard = 7,
    /// Segments whose commands a helper follows, whatever else is done to them.
    Helped = 8,
}

impl Stage {
    /// That of another director's connection of TCP, which goes on here; where it cannot be, the dest
    /// is not told.
    pub(crate) const fn of_peer(number: u8) -> Self {
        match number & !HELPED {
            2 => Self::Opening,
            3 => Self::Telling,
            4 => Self::Always,
            _ => Self::Told,
        }
    }

    /// That of a connection that was recorded, of whatever protocol, or that another director has told of;
    /// and whether a helper follows it.
    pub(crate) const fn of_record(number: u8) -> (Self, bool) {
        let helped = number & HELPED != 0;
        let number = number & !HELPED;
        let stage = match number {
            0 => Self::Untouched,
            5 => Self::Datagrams,
            6 => Self::Chunks,
            7 => Self::Unheard,
            _ => Self::of_peer(number),
        };
        (stage, helped && (stage as u8) < Self::Datagrams as u8)
    }
}

/// In [`NatConn::stage`] with that of an [`Untouched`](Stage::Untouched) connection or of one of FullNAT: it
/// is [`Helped`](Stage::Helped).
const HELPED: u8 = Stage::Helped as u8;

const OPENING: u8 = Stage::Opening as u8;
const ALWAYS: u8 = Stage::Always as u8;

/// What a new connection with two keys has besides the client's.
pub(crate) struct NatKeys<D> {
    /// Tuple of the dest's packets, with its hash.
    pub(crate) dest: (D, u32),
    /// From the client's tuple to the one the dest sees.
    pub(crate) deltas: Deltas,
    /// What is added to the client's sequence numbers toward the dest.
    pub(crate) shift: Shift,
    /// How its segments are treated, besides.
    pub(crate) stage: Stage,
    /// Whether a helper follows them.
    pub(crate) helped: bool,
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
            stage: AtomicU8::new(keys.stage as u8 | if keys.helped { HELPED } else { 0 }),
            toa_kind: keys.toa_kind,
            first: AtomicU32::new(0),
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

    /// The numbers that telling the dest of the client's address ends with.
    pub(super) fn telling(&self) -> [u32; 2] {
        [self.first(), self.expected.load(Ordering::Relaxed)]
    }

    /// Goes on with telling it where another director has been.
    pub(super) fn set_telling(&self, [first, expected]: [u32; 2]) {
        self.first.store(first, Ordering::Relaxed);
        self.expected.store(expected, Ordering::Relaxed);
    }

    /// How far it is with telling the dest of the client's address.
    #[inline(always)]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Untouched,
            1 => Stage::Told,
            2 => Stage::Opening,
            3 => Stage::Telling,
            4 => Stage::Always,
            5 => Stage::Datagrams,
            6 => Stage::Chunks,
            7 => Stage::Unheard,
            _ => Stage::Helped,
        }
    }

    /// As [`NatConn::stage`], without a helper.
    #[cold]
    pub(crate) fn stage_besides(&self) -> Stage {
        Stage::of_record(self.recorded_stage()).0
    }

    /// What [`Stage::of_record`] takes.
    pub(super) fn recorded_stage(&self) -> u8 {
        self.stage.load(Ordering::Relaxed)
    }

    /// Kind of the option that carries the client's address; 0 for none.
    pub(crate) fn toa_kind(&self) -> u8 {
        self.toa_kind
    }

    /// The client's number that the dest's SYN expects next.
    #[inline(always)]
    pub(crate) fn first(&self) -> u32 {
        self.first.load(Ordering::Relaxed)
    }

    /// Follows what a segment says about telling the dest of the client's address, where there is
    /// something to tell.
    pub(crate) fn follow<R>(&self, step: impl FnOnce(&mut Telling) -> R) -> Option<R> {
        let helped = self.stage() == Stage::Helped;
        let stage = self.stage_besides();
        let phase = match stage {
            _ if self.toa_kind == 0 => return None,
            Stage::Opening => Phase::Opening,
            Stage::Telling => Phase::Telling,
            Stage::Told => Phase::Told,
            Stage::Always => Phase::Always,
            Stage::Untouched
            | Stage::Datagrams
            | Stage::Chunks
            | Stage::Unheard
            | Stage::Helped => return None,
        };
        let mut telling = Telling {
            phase,
            first: self.first(),
            expected: self.expected.load(Ordering::Relaxed),
        };
        let before = telling;
        let result = step(&mut telling);
        if telling != before {
            self.first.store(telling.first, Ordering::Relaxed);
            self.expected.store(telling.expected, Ordering::Relaxed);
            self.turn(stage, telling.phase, helped);
        }
        Some(result)
    }

    /// Where the other side's segment has begun anew meanwhile, that stands.
    fn turn(&self, from: Stage, to: Phase, helped: bool) {
        let to = match to {
            Phase::Opening => Stage::Opening,
            Phase::Telling => Stage::Telling,
            Phase::Told => Stage::Told,
            Phase::Always => Stage::Always,
        };
        let helped = if helped { HELPED } else { 0 };
        let is_new = matches!(to as u8, OPENING | ALWAYS);
        let (from, to) = (from as u8 | helped, to as u8 | helped);
        if is_new {
            self.stage.store(to, Ordering::Relaxed);
            return;
        }
        let order = Ordering::Relaxed;
        // Whoever was first has the newer news; the next segment says the same again.
        let _ = self.stage.compare_exchange(from, to, order, order);
    }

    /// The dest has answered a datagram.
    pub(crate) fn heard(&self) {
        self.expected.store(time::now(), Ordering::Relaxed);
        self.stage.store(Stage::Untouched as u8, Ordering::Relaxed);
    }

    /// Has datagrams tell the client's address again, when they have not for a while.
    pub(super) fn tell_again(&self, now: u32) {
        let heard = || self.expected.load(Ordering::Relaxed);
        if self.toa_kind == uoa::KIND
            && self.stage() == Stage::Untouched
            && now.wrapping_sub(heard()) > TELL_AGAIN
        {
            self.stage.store(Stage::Datagrams as u8, Ordering::Relaxed);
        }
    }

    /// Where packets to the client go.
    #[inline(always)]
    pub(crate) fn way_back(&self) -> &AtomicU32 {
        &self.way_back
    }
}

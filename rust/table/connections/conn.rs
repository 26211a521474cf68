// SPDX-License-Identifier: GPL-2.0

//! One connection.

use core::{
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU8, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{dest::Dest, settings::LiveSettings},
    node::{Key, CLIENT_OFFSET},
};
use crate::{
    engine::{
        defence,
        proto::{State, STATES},
        sync::memo::Memo,
        tuple::{TupleV4, TupleV6},
    },
    kapi::{broken::broken, time},
};

/// Number in [`Conn::state`] of a connection that was ended; no [`State`] has it.
const ENDED: u8 = 0xff;

/// In [`Conn::farewell`]: it was made with an account behind it. Never changes.
const ACCOUNTED: u8 = 0x80;

/// In [`Conn::farewell`]: the host tracks it. Never changes.
const TRACKED: u8 = 0x40;

/// In [`Conn::farewell`]: it is there for one packet only.
const ONE_PACKET: u8 = 0x20;

/// In [`Conn::farewell`]: it was made with a lane behind it. Never changes.
const LANED: u8 = 0x10;

/// In [`Conn::farewell`]: what is no step of its end.
const FLAGS: u8 = ACCOUNTED | TRACKED | ONE_PACKET | LANED;

/// What follows a [`Conn`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
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
    pub(super) dest: Arc<Dest>,
    /// Tick of the last packet.
    pub(super) seen: AtomicU32,
    state: AtomicU8,
    pub(super) layout: Layout,
    /// How far its end at its dest's deadline is, see `drain`, and [`FLAGS`].
    farewell: AtomicU8,
    /// See [`Memo`].
    pub(super) memo: AtomicU8,
    /// In the list of those to be freed.
    pub(super) next_dead: AtomicPtr<Conn>,
}

/// A connection to a dest from which no packets come back here (DR, TUN).
#[repr(C, align(64))]
pub(super) struct OneKey<T> {
    pub(super) conn: Conn,
    pub(super) client: Key<T>,
}

const _: () = {
    assert!(size_of::<Conn>() == CLIENT_OFFSET);
    assert!(offset_of!(OneKey<TupleV4>, client) == CLIENT_OFFSET);
    assert!(offset_of!(OneKey<TupleV6>, client) == CLIENT_OFFSET);
    assert!(size_of::<OneKey<TupleV4>>() == 64 && size_of::<OneKey<TupleV6>>() == 128);
};

impl Conn {
    /// The first part of a connection that begins, counted into its dest.
    pub(super) fn new(layout: Layout, state: State, dest: Arc<Dest>) -> Self {
        dest.connection_begins(state);
        let accounted = if dest.life().is_accounted() {
            ACCOUNTED
        } else {
            0
        };
        let tracked = if dest.tracks() { TRACKED } else { 0 };
        let laned = if dest.life().has_lanes() { LANED } else { 0 };
        Self {
            dest,
            seen: AtomicU32::new(time::now()),
            state: AtomicU8::new(state.number()),
            layout,
            farewell: AtomicU8::new(accounted | tracked | laned),
            memo: AtomicU8::new(Memo::NEW.0),
            next_dead: AtomicPtr::new(ptr::null_mut()),
        }
    }

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

    /// Whether its dest's packets come back here.
    #[inline(always)]
    pub(crate) fn has_two_keys(&self) -> bool {
        !matches!(self.layout, Layout::OneV4 | Layout::OneV6)
    }

    /// Its state; `Close` once it was ended.
    #[inline(always)]
    pub(crate) fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Relaxed))
    }

    /// Moves it to the state that `next` makes of the present one. True when that is another.
    #[inline(always)]
    pub(crate) fn step(&self, next: impl Fn(State) -> State) -> bool {
        let number = self.state.load(Ordering::Relaxed);
        let from = State::from_number(number);
        let to = next(from);
        let moves = to != from && number != ENDED;
        if moves {
            self.change(from, to);
        }
        moves
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
        if change.is_err_and(|now| now != ENDED && usize::from(now) >= STATES) {
            broken!(c"a connection has no state");
        }
        if change.is_ok() {
            self.dest.connection_moves(from, to);
            if to.assures() {
                self.assure();
            }
            if to.is_over() {
                self.dest.ports().changed();
            }
        }
    }

    /// What was kept for the client's next flows, with persistence, is to be relied on: this one
    /// was answered.
    #[cold]
    pub(crate) fn assure(&self) {
        self.assure_call(&[]);
    }

    /// As [`Conn::assure`], where the answer was about a call.
    #[cold]
    pub(crate) fn assure_call(&self, call: &[u8]) {
        if self.dest.keeps().is_some() {
            self.dest.assure((self.client_ends().client.ip(), call));
        }
    }

    /// Marks it ended: in the table only with its stripes locked. The state it was in, which the
    /// caller counts out of its dest; none when it was ended already.
    pub(super) fn end(&self) -> Option<State> {
        match self.state.swap(ENDED, Ordering::Relaxed) {
            ENDED => None,
            last => Some(State::from_number(last)),
        }
    }

    /// Whether it was ended.
    pub(in crate::table) fn is_ended(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ENDED
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

    /// Ticks for which it has been silent since it was over: a `tcp` connection that is closed, or
    /// one that has expired, for longest. None when it is not over.
    pub(in crate::table) fn over_for(&self, tcp: bool, settings: &LiveSettings) -> Option<u32> {
        let now = time::now();
        if self.is_expired(now, settings) {
            return Some(u32::MAX);
        }
        let silent = now.wrapping_sub(self.seen.load(Ordering::Relaxed));
        let silent = if is_ahead(silent) { 0 } else { silent };
        (tcp && self.state().is_over()).then_some(silent)
    }

    /// Whether it was made with an account behind it.
    pub(super) fn is_accounted(&self) -> bool {
        self.farewell.load(Ordering::Relaxed) & ACCOUNTED != 0
    }

    /// Whether it was made with a lane behind it.
    #[inline(always)]
    pub(super) fn is_laned(&self) -> bool {
        self.farewell.load(Ordering::Relaxed) & LANED != 0
    }

    /// Whether both sides have heard of each other and neither is done, as far as can be seen here.
    #[inline(always)]
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.state(), State::Established | State::Udp)
    }

    /// Whether the host tracks it.
    #[inline]
    pub(crate) fn is_tracked(&self) -> bool {
        self.farewell.load(Ordering::Relaxed) & TRACKED != 0
    }

    /// Whether it is there for one packet only.
    pub(crate) fn is_one_packet(&self) -> bool {
        self.farewell.load(Ordering::Relaxed) & ONE_PACKET != 0
    }

    /// It is.
    pub(crate) fn set_one_packet(&self) {
        self.farewell.fetch_or(ONE_PACKET, Ordering::Relaxed);
    }

    /// How far its end at its dest's deadline is.
    pub(in crate::table) fn farewell(&self) -> u8 {
        self.farewell.load(Ordering::Relaxed) & !FLAGS
    }

    /// From now on its end is so far.
    pub(in crate::table) fn set_farewell(&self, step: u8) {
        self.seen.store(time::now(), Ordering::Relaxed);
        let flags = self.farewell.load(Ordering::Relaxed) & FLAGS;
        self.farewell.store(step | flags, Ordering::Relaxed);
    }

    /// Ticks since the last packet, or since its end came as far as it is.
    pub(in crate::table) fn silent(&self) -> u32 {
        let silent = time::now().wrapping_sub(self.seen.load(Ordering::Relaxed));
        if is_ahead(silent) {
            0
        } else {
            silent
        }
    }

    /// Whether it can be done without when memory is short.
    pub(super) fn is_expendable(&self, now: u32) -> bool {
        let silent = now.wrapping_sub(self.seen.load(Ordering::Relaxed));
        let silent = if is_ahead(silent) { 0 } else { silent };
        let after = defence::expendable_after(self.state());
        after.is_some_and(|seconds| silent >= time::seconds(seconds))
    }

    /// Seconds until it expires when no packet comes; a part of one counts as one.
    pub(in crate::table) fn expires_seconds(&self, settings: &LiveSettings) -> u32 {
        let left = self.timeout(settings).saturating_sub(self.silent());
        left.div_ceil(time::HZ)
    }

    /// Milliseconds until it expires when no packet comes.
    pub(super) fn expires(&self, settings: &LiveSettings) -> u32 {
        let silent = time::now().wrapping_sub(self.seen.load(Ordering::Relaxed));
        let silent = if is_ahead(silent) { 0 } else { silent };
        time::to_millis(self.timeout(settings).saturating_sub(silent))
    }
}

/// Ticks by which the last packet may be ahead of the present one: it came on another CPU, while this
/// one was held up between two reads, or others say that the connection lasts longer than here.
pub(super) const AHEAD_MAX: u32 = time::seconds(590);

/// Whether a packet came after the present tick.
#[inline]
const fn is_ahead(silent: u32) -> bool {
    silent > u32::MAX - time::seconds(600)
}

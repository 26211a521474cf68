// SPDX-License-Identifier: GPL-2.0

//! What a dest carries, and whether that is too much for it.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::engine::{proto::State, threshold::Thresholds};

/// One active connection in [`Load::counts`].
const ACTIVE: u64 = 1 << 32;

/// One inactive connection in [`Load::counts`].
const INACTIVE: u64 = 1;

/// In [`Load::overload`]: it is overloaded. The bits above count how often that was looked at.
const OVERLOADED: u64 = 1;

/// No place in a schedule that follows counts.
const NOWHERE: u32 = u32::MAX;

/// What connections change that begin and end, and what they ask then.
///
/// Those that change the counts say where the dest is in a schedule that is to be told.
pub(in crate::table) struct Load {
    /// Active connections in the upper half, inactive ones in the lower: one word, so that a
    /// connection that goes from one to the other is never missing in their sum.
    counts: AtomicU64,
    /// See [`OVERLOADED`].
    overload: AtomicU64,
    /// Networks of clients that stay with it.
    templates: AtomicU32,
    /// The thresholds published, as a word; 0 is none.
    limits: AtomicU64,
    /// Where it is in its service's schedule, if that follows its counts.
    place: AtomicU32,
}

impl Load {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self {
            counts: AtomicU64::new(0),
            overload: AtomicU64::new(0),
            templates: AtomicU32::new(0),
            limits: AtomicU64::new(0),
            place: AtomicU32::new(NOWHERE),
        }
    }

    /// How many networks of clients stay with it, with those that have expired and were not swept
    /// yet.
    pub(super) fn templates(&self) -> u32 {
        self.templates.load(Ordering::Relaxed)
    }

    /// A network of clients stays with it from now on.
    pub(in crate::table) fn template_begins(&self) {
        self.templates.fetch_add(1, Ordering::Relaxed);
    }

    /// One that did does so no more.
    pub(in crate::table) fn template_ends(&self) {
        self.templates.fetch_sub(1, Ordering::Relaxed);
    }

    /// Active connections now.
    pub(super) fn active(&self) -> u32 {
        (self.counts.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Inactive connections now.
    pub(super) fn inactive(&self) -> u32 {
        self.counts.load(Ordering::Relaxed) as u32
    }

    /// Counts a connection in `state` that begins.
    #[inline]
    pub(super) fn begins(&self, state: State) -> Option<u32> {
        self.counts.fetch_add(one(state), Ordering::SeqCst);
        self.changed()
    }

    /// Counts a connection that goes from one state to another.
    #[inline]
    pub(super) fn moves(&self, from: State, to: State) -> Option<u32> {
        if from.is_active() == to.is_active() {
            return None;
        }
        let change = one(to).wrapping_sub(one(from));
        self.counts.fetch_add(change, Ordering::SeqCst);
        self.changed()
    }

    /// Counts a connection out that was in `state`.
    #[inline]
    pub(super) fn ends(&self, state: State) -> Option<u32> {
        self.counts.fetch_sub(one(state), Ordering::SeqCst);
        self.changed()
    }

    #[inline]
    fn changed(&self) -> Option<u32> {
        let limits = self.limits.load(Ordering::SeqCst);
        if limits != 0 {
            self.weigh(limits);
        }
        let place = self.place.load(Ordering::SeqCst);
        (place != NOWHERE).then_some(place)
    }

    /// Takes thresholds, as a word, that were published, and looks whether it is overloaded.
    pub(super) fn limit(&self, thresholds: u64) {
        // Before the look at the counts: whoever changes them and does not see the thresholds yet
        // has changed them before that.
        if self.limits.load(Ordering::Relaxed) != thresholds {
            self.limits.swap(thresholds, Ordering::SeqCst);
            self.weigh(thresholds);
        }
    }

    /// Whether it has reached its upper threshold and not come down to the lower since.
    pub(in crate::table) fn is_too_much(&self) -> bool {
        self.overload.load(Ordering::Relaxed) & OVERLOADED != 0
    }

    /// Finds out anew whether it is overloaded, after a change of its counts or thresholds.
    #[cold]
    fn weigh(&self, limits: u64) {
        let thresholds = Thresholds::from_word(limits);
        let mut seen = self.overload.load(Ordering::Acquire);
        loop {
            // Of two that change counts, the one whose swap succeeds second has read the first's
            // word, so it looks at the counts with both changes. The word changes each time, also
            // where the answer does not.
            let counts = self.counts.load(Ordering::SeqCst);
            let total = ((counts >> 32) as u32).saturating_add(counts as u32);
            let is = thresholds.is_overloaded(seen & OVERLOADED != 0, total);
            let next = (seen | OVERLOADED).wrapping_add(1) | u64::from(is);
            let swapped = self.overload.compare_exchange_weak(
                seen,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Sets where its service's published schedule has it, if that is to be told of its counts.
    pub(in crate::table) fn set_place(&self, place: Option<u32>) {
        // Before the schedule looks at the counts: whoever changes one and does not see the new
        // place yet has changed it before that. Most schedules do not look.
        let place = place.unwrap_or(NOWHERE);
        if place != NOWHERE || self.place.load(Ordering::Relaxed) != NOWHERE {
            self.place.swap(place, Ordering::SeqCst);
        }
    }
}

/// What a connection in `state` is in the word of counts.
#[inline(always)]
fn one(state: State) -> u64 {
    if state.is_active() {
        ACTIVE
    } else {
        INACTIVE
    }
}

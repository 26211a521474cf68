// SPDX-License-Identifier: GPL-2.0

//! Round robin: the next usable dest after the one picked last (`ip_vs_rr.c`).
//!
//! State word 0 is the index after the dest picked last; before the first pick 0, or with
//! [`Options::random_start`] one that is drawn, and [`DRAWN`] with it. The table has, for each
//! index and for the one past the end, the next dest of weight above 0 from there on, going round.

use super::flow::Flow;
use super::scheduler::{Needs, Options, Plan, Scheduler, View, GONE, NONE};
use core::sync::atomic::Ordering::Relaxed;

/// The position was drawn, and nothing was picked yet.
const DRAWN: u64 = 1 << 32;

/// The scheduler `rr`.
pub(super) struct RoundRobin;

impl Scheduler for RoundRobin {
    fn name(&self) -> &'static str {
        "rr"
    }

    fn needs(&self, dests: usize, _options: &Options) -> Needs {
        Needs {
            table: dests.saturating_add(1),
            state: 1,
            scratch: 0,
        }
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        let weights = plan.weights;
        let first = weights.iter().position(|&weight| weight > 0);
        let mut next = first.map_or(NONE, |index| index as u32);
        // Backwards from the entry past the end, which goes round to the first.
        for (index, entry) in table.iter_mut().enumerate().rev() {
            if weights.get(index).is_some_and(|&weight| weight > 0) {
                next = index as u32;
            }
            *entry = next;
        }
    }

    fn start(&self, view: &View<'_>) {
        if let (true, Some(cursor)) = (view.options.random_start, view.state.first()) {
            let random = view.live.random() >> 32;
            let drawn = random.wrapping_mul(view.weights.len() as u64) >> 32;
            cursor.store(drawn | DRAWN, Relaxed);
        }
    }

    fn carry(&self, old: &View<'_>, map: &[u32], new: &View<'_>) {
        let (Some(from), Some(to)) = (old.state.first(), new.state.first()) else {
            return;
        };
        let from = from.load(Relaxed);
        if from & DRAWN != 0 {
            // Of the dests that there are now another is drawn.
            return;
        }
        // A cursor whose dest is gone steps back to the one before it, so that the next pick is
        // still the dest after it.
        let passed = map.get(..from as usize).unwrap_or(map);
        let cursor = passed.iter().rev().find(|&&index| index != GONE);
        to.store(
            cursor.map_or(0, |&index| u64::from(index).saturating_add(1)),
            Relaxed,
        );
    }

    fn pick(&self, view: &View<'_>, _flow: &Flow) -> Option<u32> {
        let cursor = view.state.first()?;
        let mut seen = cursor.load(Relaxed);
        loop {
            let picked = next_usable(view, seen & !DRAWN)?;
            let after = u64::from(picked).wrapping_add(1);
            match cursor.compare_exchange_weak(seen, after, Relaxed, Relaxed) {
                Ok(_) => return Some(picked),
                Err(now) => seen = now,
            }
        }
    }
}

/// The first usable dest from `start` on, going round once.
#[inline]
fn next_usable(view: &View<'_>, start: u64) -> Option<u32> {
    let next = |from: usize| view.table.get(from).copied().filter(|&index| index != NONE);
    let first = next(start as usize)?;
    let mut index = first;
    while view.is_overloaded(index) {
        index = next((index as usize).wrapping_add(1))?;
        if index == first {
            return None;
        }
    }
    Some(index)
}

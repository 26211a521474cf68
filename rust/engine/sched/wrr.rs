// SPDX-License-Identifier: GPL-2.0

//! Weighted round robin (`ip_vs_wrr.c`).
//!
//! Rounds over the dests, each with a level: a round picks every dest whose weight is at least its
//! level. With `g` the weights' greatest common divisor, levels go down from `max - (g - 1)` in
//! steps of `g` and start over below 1, so that a cycle picks each dest `weight / g` times.
//!
//! State word 0 has the index after the dest picked last (0 at the start) in its low half and the
//! level in its high half, 0 for the highest.
//!
//! The table has `g`, and a tree of maxima over the weights: node 1 is the root, node `i` has the
//! children `2i` and `2i + 1`, and from node `leaves` on the nodes are the weights themselves.
//! "Next dest from here on with at least that weight" is a way up and a way down.

use super::flow::Flow;
use super::scheduler::{Needs, Options, Plan, Scheduler, View};
use core::sync::atomic::Ordering::Relaxed;

/// The scheduler `wrr`.
pub(super) struct WeightedRoundRobin;

impl Scheduler for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        "wrr"
    }

    fn takes_shares(&self) -> bool {
        true
    }

    fn needs(&self, dests: usize, _options: &Options) -> Needs {
        Needs {
            table: leaves(dests),
            state: 1,
            scratch: 0,
        }
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        let weights = plan.weights;
        let leaves = leaves(weights.len());
        for node in (1..leaves).rev() {
            let left = node.wrapping_mul(2);
            let max = value(weights, table, leaves, left).max(value(
                weights,
                table,
                leaves,
                left.wrapping_add(1),
            ));
            if let Some(entry) = table.get_mut(node) {
                *entry = max;
            }
        }
        if let Some(entry) = table.first_mut() {
            *entry = weights.iter().copied().fold(0, gcd);
        }
    }

    fn carry(&self, old: &View<'_>, _map: &[u32], new: &View<'_>) {
        let (Some(from), Some(to)) = (old.state.first(), new.state.first()) else {
            return;
        };
        // `ip_vs_wrr_dest_changed`: on with the level, from the head of the list.
        let Cycle { step, top } = Cycle::of(new);
        let level = Position::unpack(from.load(Relaxed)).level;
        let level = if level == 0 || level > top {
            top
        } else if step > 1 {
            // The level of the new cycle next to it; at most `top`, which is one too.
            level
                .wrapping_sub(level.checked_rem(step).unwrap_or(0))
                .saturating_add(1)
        } else {
            level
        };
        to.store(Position { start: 0, level }.pack(), Relaxed);
    }

    fn pick(&self, view: &View<'_>, _flow: &Flow) -> Option<u32> {
        let word = view.state.first()?;
        let cycle = Cycle::of(view);
        if cycle.top == 0 {
            return None;
        }
        let mut seen = word.load(Relaxed);
        loop {
            let position = Position::unpack(seen).within(cycle);
            let (picked, next) = match search(view, cycle, position) {
                Some((index, level)) if !view.is_overloaded(index) => {
                    (Some(index), Position::after(index, level))
                }
                Some(_) => search_available(view, cycle, position),
                None => return None,
            };
            match word.compare_exchange_weak(seen, next.pack(), Relaxed, Relaxed) {
                Ok(_) => return picked,
                Err(now) => seen = now,
            }
        }
    }
}

/// The levels of a snapshot.
#[derive(Clone, Copy)]
struct Cycle {
    /// From one level to the next; at least 1.
    step: u32,
    /// The highest; 0 when no dest has weight.
    top: u32,
}

impl Cycle {
    #[inline(always)]
    fn of(view: &View<'_>) -> Self {
        let step = view.table.first().copied().unwrap_or(0);
        let leaves = leaves(view.weights.len());
        Self {
            step: step.max(1),
            top: Self::highest(step, value(view.weights, view.table, leaves, 1)),
        }
    }

    /// The highest level that a dest of this weight belongs to.
    #[inline(always)]
    const fn highest(step: u32, weight: u32) -> u32 {
        weight.saturating_sub(step.saturating_sub(1))
    }

    /// The level after `level`.
    #[inline(always)]
    const fn below(self, level: u32) -> u32 {
        if level > self.step {
            level.wrapping_sub(self.step)
        } else {
            self.top
        }
    }
}

/// Where the scheduler stands.
#[derive(Clone, Copy)]
struct Position {
    /// First index to look at.
    start: u32,
    /// Level of the round.
    level: u32,
}

impl Position {
    #[inline(always)]
    const fn after(index: u32, level: u32) -> Self {
        Self {
            start: index.wrapping_add(1),
            level,
        }
    }

    #[inline(always)]
    const fn unpack(word: u64) -> Self {
        Self {
            start: word as u32,
            level: (word >> 32) as u32,
        }
    }

    #[inline(always)]
    const fn pack(self) -> u64 {
        self.start as u64 | ((self.level as u64) << 32)
    }

    /// With level 0 replaced by what it stands for.
    #[inline(always)]
    const fn within(self, cycle: Cycle) -> Self {
        Self {
            start: self.start,
            level: if self.level == 0 || self.level > cycle.top {
                cycle.top
            } else {
                self.level
            },
        }
    }
}

/// The next dest in turn and its round's level, overloaded or not.
#[inline]
fn search(view: &View<'_>, cycle: Cycle, at: Position) -> Option<(u32, u32)> {
    if let Some(index) = next_with(view, at.start as usize, at.level) {
        return Some((index, at.level));
    }
    // The whole round below; its level is not above the highest weight.
    let level = cycle.below(at.level);
    next_with(view, 0, level).map(|index| (index, level))
}

/// The next dest in turn that is not overloaded, if any, and where that leads.
///
/// Looks at each dest at most three times, however many levels there are: below the current level
/// the first that matters is the highest one an available dest belongs to.
#[cold]
fn search_available(view: &View<'_>, cycle: Cycle, at: Position) -> (Option<u32>, Position) {
    // Not `enumerate`: its counter is checked for overflow.
    let indices = 0..view.weights.len() as u32;
    let available = indices
        .zip(view.weights.iter().copied())
        .filter(|&(index, weight)| weight > 0 && !view.is_overloaded(index));
    let first = |start: u32, level: u32| {
        available
            .clone()
            .find(|&(index, weight)| index >= start && weight >= level)
            .map(|(index, _)| index)
    };
    if let Some(index) = first(at.start, at.level) {
        return (Some(index), Position::after(index, at.level));
    }
    let max = available
        .clone()
        .map(|(_, weight)| weight)
        .max()
        .unwrap_or(0);
    let level = cycle.below(at.level).min(Cycle::highest(cycle.step, max));
    if level > 0 {
        if let Some(index) = first(0, level) {
            return (Some(index), Position::after(index, level));
        }
    }
    // Nobody. `ip_vs` has then gone on to the end of the cycle, unless it started in the last
    // round: that brings it back to where it was.
    if at.start > 0 && at.level <= cycle.step {
        return (None, at);
    }
    (
        None,
        Position {
            start: 0,
            level: cycle.top,
        },
    )
}

/// First index from `start` on whose weight is at least `level`, which must not be 0.
#[inline]
fn next_with(view: &View<'_>, start: usize, level: u32) -> Option<u32> {
    if start >= view.weights.len() {
        return None;
    }
    if view.weight(start) >= level {
        return Some(start as u32);
    }
    let leaves = leaves(view.weights.len());
    let value = |node| value(view.weights, view.table, leaves, node);
    let mut node = leaves.wrapping_add(start);
    // Up until there is something to the right.
    loop {
        if node & 1 == 0 {
            let right = node | 1;
            if value(right) >= level {
                node = right;
                break;
            }
        }
        node >>= 1;
        if node <= 1 {
            return None;
        }
    }
    // Down to the leftmost.
    while node < leaves {
        let left = node.wrapping_mul(2);
        node = if value(left) >= level { left } else { left | 1 };
    }
    Some(node.wrapping_sub(leaves) as u32)
}

/// How many leaves the tree has, two at least so that there is a root above them.
#[inline(always)]
fn leaves(dests: usize) -> usize {
    dests.max(2).checked_next_power_of_two().unwrap_or(0)
}

/// What stands in a node; 0 past the last dest.
#[inline(always)]
fn value(weights: &[u32], table: &[u32], leaves: usize, node: usize) -> u32 {
    let entry = if node < leaves {
        table.get(node)
    } else {
        weights.get(node.wrapping_sub(leaves))
    };
    entry.copied().unwrap_or(0)
}

/// Greatest common divisor; 0 divides nothing and is divided by all.
pub(super) fn gcd(mut a: u32, mut b: u32) -> u32 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

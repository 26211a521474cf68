// SPDX-License-Identifier: GPL-2.0

//! Locality-based least connection with replication (`ip_vs_lblcr.c`): as `lblc` with a set of dests
//! for each destination address. A flow goes to the set's least loaded; when that is too busy, the
//! least loaded of all joins the set and gets the flow. A set of several that was not changed for
//! [`Options::expiration`] loses its most loaded dest at the next flow.
//!
//! A set has at most [`MEMBERS`] dests: one more takes the most loaded's place. In `ip_vs` a set
//! may have all of them and every flow looks at each.
//!
//! State: as `lblc`, with sets in place of dests.

use super::cache::{Cache, Entry};
use super::flow::Flow;
use super::lblc::Parts;
use super::scheduler::{overhead, Needs, Options, Plan, Scheduler, View, GONE};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Dests of a set.
const MEMBERS: usize = 16;

/// Words of a set's dests, two in each.
const WORDS: usize = MEMBERS / 2;

/// The scheduler `lblcr`.
pub(super) struct LocalityReplicated;

/// An entry: key, last use, whether somebody changes the set, second of its last change, the dests.
type Sets<'a> = Cache<'a, { 4 + WORDS }>;

/// An address's set.
struct Set<'a> {
    lock: &'a AtomicU64,
    changed: &'a AtomicU64,
    words: &'a [AtomicU64],
}

/// The dests of a set, the one that joined last first; [`GONE`] past the last.
type Members = [u32; MEMBERS];

impl<'a> Set<'a> {
    fn of(entry: Entry<'a>) -> Option<Self> {
        let (lock, rest) = entry.own().split_first()?;
        let (changed, words) = rest.split_first()?;
        Some(Self {
            lock,
            changed,
            words,
        })
    }

    /// The dests. While another CPU changes the set, one may be missing or twice.
    fn members(&self) -> Members {
        let mut members = [GONE; MEMBERS];
        for (pair, word) in members.chunks_exact_mut(2).zip(self.words) {
            // Stored as one more than the index, so that 0 is none.
            let word = word.load(Relaxed);
            let halves = [word as u32, (word >> 32) as u32];
            for (member, half) in pair.iter_mut().zip(halves) {
                *member = half.wrapping_sub(1);
            }
        }
        members
    }

    fn store(&self, members: &Members, now: u32) {
        for (pair, word) in members.chunks_exact(2).zip(self.words) {
            let halves = pair.iter().map(|index| index.wrapping_add(1));
            let joined = halves
                .rev()
                .fold(0, |word: u64, half| (word << 32) | u64::from(half));
            word.store(joined, Relaxed);
        }
        self.changed.store(u64::from(now), Relaxed);
    }

    /// Changes the set unless another CPU is at it: then that one's change is enough. `change`
    /// returns whether it changed something.
    fn change(&self, now: u32, change: impl FnOnce(&mut Members) -> bool) {
        if self.lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            return;
        }
        let mut members = self.members();
        if change(&mut members) {
            self.store(&members, now);
        }
        self.lock.store(0, Release);
    }

    /// Seconds since it was last changed.
    fn unchanged(&self, now: u32) -> u32 {
        let silent = now.wrapping_sub(self.changed.load(Relaxed) as u32);
        if silent > u32::MAX / 2 {
            0
        } else {
            silent
        }
    }
}

/// Puts a dest in front.
fn join(view: &View<'_>, members: &mut Members, index: u32) -> bool {
    if members.contains(&index) {
        return false;
    }
    if members.last().is_some_and(|&last| last != GONE) {
        let leaving = most_loaded(view, members);
        leave(members, leaving.unwrap_or(GONE));
    }
    members.rotate_right(1);
    if let Some(first) = members.first_mut() {
        *first = index;
    }
    true
}

/// Takes a dest out; where it is none of them, the one that joined first.
fn leave(members: &mut Members, index: u32) {
    let found = members.iter().position(|&member| member == index);
    let at = found.unwrap_or(MEMBERS - 1);
    if let Some(rest) = members.get_mut(at..) {
        rest.rotate_left(1);
    }
    if let Some(last) = members.last_mut() {
        *last = GONE;
    }
}

/// The member with weight of the most load for its weight, of equals the first.
fn most_loaded(view: &View<'_>, members: &Members) -> Option<u32> {
    let mut most: Option<(u32, u64, u64)> = None;
    for &index in members {
        let weight = u64::from(view.weight(index as usize));
        if weight == 0 {
            continue;
        }
        let load = overhead(view.live, index);
        let is_more = most.is_none_or(|(_, most_load, most_weight)| {
            // 42 and 16 bits.
            most_load.wrapping_mul(weight) < load.wrapping_mul(most_weight)
        });
        if is_more {
            most = Some((index, load, weight));
        }
    }
    most.map(|(index, ..)| index)
}

/// The member that takes something of the least load for its weight, of equals the first.
fn least_loaded(parts: &Parts<'_>, members: &Members) -> Option<u32> {
    let keyed = members.iter().map(|&index| (parts.wlc.key(index), index));
    let least = keyed.min_by_key(|&(key, _)| key)?;
    (least.0 != u64::MAX).then_some(least.1)
}

impl Scheduler for LocalityReplicated {
    fn name(&self) -> &'static str {
        "lblcr"
    }

    fn needs(&self, dests: usize, options: &Options) -> Needs {
        Parts::needs(dests, Sets::words(options.addresses))
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        Parts::build(plan, table);
    }

    fn start(&self, view: &View<'_>) {
        Parts::of(view).fill();
    }

    fn carry(&self, old: &View<'_>, map: &[u32], new: &View<'_>) {
        let from = Sets::new(Parts::of(old).cache, old.options.addresses);
        let to = Sets::new(Parts::of(new).cache, new.options.addresses);
        for (key, entry) in from.entries() {
            let Some(set) = Set::of(entry) else {
                continue;
            };
            let mut members = [GONE; MEMBERS];
            let stay = set.members().into_iter().filter_map(|index| {
                let index = *map.get(index as usize)?;
                (index != GONE).then_some(index)
            });
            for (member, index) in members.iter_mut().zip(stay) {
                *member = index;
            }
            let changed = set.changed.load(Relaxed) as u32;
            to.insert(key, entry.used(), |entry| {
                if let Some(set) = Set::of(entry) {
                    set.store(&members, changed);
                }
            });
        }
    }

    fn follows_counts(&self) -> bool {
        true
    }

    fn changed(&self, view: &View<'_>, index: u32) {
        Parts::of(view).refresh(index);
    }

    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32> {
        let parts = Parts::of(view);
        let cache = Sets::new(parts.cache, view.options.addresses);
        let key = flow.key;
        let now = view.live.now();
        let Some((entry, set)) = cache.find(key).and_then(|e| Some((e, Set::of(e)?))) else {
            let least = parts.wlc.least()?;
            cache.insert(key, now, |entry| begin(entry, least, now));
            return Some(least);
        };
        let members = set.members();
        let expiration = view.options.expiration;
        let fresh = entry.unused(now) < expiration && entry.is_of(key);
        if !fresh {
            let least = parts.wlc.least()?;
            entry.set_used(now);
            set.change(now, |members| {
                *members = alone(least);
                true
            });
            return Some(least);
        }
        entry.set_used(now);
        let chosen = least_loaded(&parts, &members);
        let several = members.get(1).is_some_and(|&second| second != GONE);
        if several && set.unchanged(now) > expiration {
            set.change(now, |members| match most_loaded(view, members) {
                Some(most) => {
                    leave(members, most);
                    true
                }
                None => false,
            });
        }
        if let Some(index) = chosen.filter(|&index| !parts.is_too_busy(index)) {
            return Some(index);
        }
        let least = parts.wlc.least()?;
        set.change(now, |members| join(view, members, least));
        Some(least)
    }
}

/// A set of one dest.
fn alone(index: u32) -> Members {
    let mut members = [GONE; MEMBERS];
    if let Some(first) = members.first_mut() {
        *first = index;
    }
    members
}

/// Sets a new entry's set.
fn begin(entry: Entry<'_>, index: u32, now: u32) {
    if let Some(set) = Set::of(entry) {
        set.lock.store(0, Relaxed);
        set.store(&alone(index), now);
    }
}

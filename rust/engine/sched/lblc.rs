// SPDX-License-Identifier: GPL-2.0

//! Locality-based least connection (`ip_vs_lblc.c`): flows to one destination address go to one
//! dest, chosen as by `wlc`, for as long as that has weight and is not too busy. It is too busy when
//! it has more active connections than its weight and some dest has fewer than half its own weight.
//!
//! An address not used for [`Options::expiration`] is forgotten; `ip_vs` looks for those every half
//! hour, here they are not found again from that second on. Unlike in `ip_vs` an address's dest at
//! its upper threshold is not used.
//!
//! State: `wlc`'s; how many dests have connections to spare, and for each whether; the addresses.

use super::cache::Cache;
use super::flow::Flow;
use super::scheduler::{Needs, Options, Plan, Scheduler, View, GONE};
use super::tree::{settle, Least};
use super::wlc::WeightedLeastConnection;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The scheduler `lblc`.
pub(super) struct Locality;

/// An entry: key, last use, index of the dest.
type Dests<'a> = Cache<'a, 3>;

/// A view with its state taken apart; `lblcr` has the same parts.
pub(super) struct Parts<'a> {
    /// Finds the least loaded.
    pub(super) wlc: Least<'a, WeightedLeastConnection>,
    /// How many dests have fewer active connections than half their weight.
    count: Option<&'a AtomicU64>,
    /// 1 for each that has.
    spare: &'a [AtomicU64],
    /// The rest.
    pub(super) cache: &'a [AtomicU64],
    view: &'a View<'a>,
}

impl<'a> Parts<'a> {
    /// What the parts need, with so many words of `cache`.
    pub(super) fn needs(dests: usize, cache: usize) -> Needs {
        let wlc = Least::<WeightedLeastConnection>::needs(dests);
        let spare = dests.saturating_add(1);
        Needs {
            state: wlc.state.saturating_add(spare).saturating_add(cache),
            ..wlc
        }
    }

    /// Fills a plan's table.
    pub(super) fn build(plan: &Plan<'_>, table: &mut [u32]) {
        Least::<WeightedLeastConnection>::build(plan, table);
    }

    /// Takes a view's state apart.
    pub(super) fn of(view: &'a View<'a>) -> Self {
        let dests = view.weights.len();
        let len = Least::<WeightedLeastConnection>::needs(dests).state;
        let (wlc, rest) = view.state.split_at_checked(len).unwrap_or_default();
        let (count, rest) = match rest.split_first() {
            Some((count, rest)) => (Some(count), rest),
            None => (None, rest),
        };
        let (spare, cache) = rest.split_at_checked(dests).unwrap_or_default();
        Self {
            wlc: Least::new(wlc, view),
            count,
            spare,
            cache,
            view,
        }
    }

    /// Sets the parts but for the cache; nobody else has them yet.
    pub(super) fn fill(&self) {
        self.wlc.fill();
        let mut count = 0u64;
        for (index, word) in (0u32..).zip(self.spare) {
            let spare = self.has_spare(index);
            word.store(spare, Relaxed);
            count = count.wrapping_add(spare);
        }
        if let Some(word) = self.count {
            word.store(count, Relaxed);
        }
    }

    /// Brings the parts up to date.
    pub(super) fn refresh(&self, index: u32) {
        self.wlc.refresh(index);
        let (Some(count), Some(word)) = (self.count, self.spare.get(index as usize)) else {
            return;
        };
        let (before, after) = settle(word, || self.has_spare(index));
        // Changes of a word are in a row, so those of the count add up.
        if before != after {
            count.fetch_add(after.wrapping_sub(before), Relaxed);
        }
    }

    /// 1 for a dest with fewer active connections than half its weight.
    fn has_spare(&self, index: u32) -> u64 {
        let active = u64::from(self.view.live.active(index));
        let weight = u64::from(self.view.weight(index as usize));
        u64::from(active.wrapping_mul(2) < weight)
    }

    /// Whether the dest at `index` is too busy for what it has been chosen for.
    pub(super) fn is_too_busy(&self, index: u32) -> bool {
        // Below 0 when one change has overtaken another.
        let count = self.count.map_or(0, |count| count.load(Relaxed) as i64);
        count > 0 && self.view.live.active(index) > self.view.weight(index as usize)
    }
}

impl Scheduler for Locality {
    fn name(&self) -> &'static str {
        "lblc"
    }

    fn needs(&self, dests: usize, options: &Options) -> Needs {
        Parts::needs(dests, Dests::words(options.addresses))
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        Parts::build(plan, table);
    }

    fn start(&self, view: &View<'_>) {
        Parts::of(view).fill();
    }

    fn carry(&self, old: &View<'_>, map: &[u32], new: &View<'_>) {
        let from = Dests::new(Parts::of(old).cache, old.options.addresses);
        let to = Dests::new(Parts::of(new).cache, new.options.addresses);
        for (key, entry) in from.entries() {
            let index = entry.own().first().map_or(0, |word| word.load(Relaxed));
            match map.get(index as usize) {
                Some(&index) if index != GONE => to.insert(key, entry.used(), |entry| {
                    set(entry.own(), index);
                }),
                _ => {}
            }
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
        let cache = Dests::new(parts.cache, view.options.addresses);
        let key = flow.key;
        let now = view.live.now();
        let Some(entry) = cache.find(key) else {
            let least = parts.wlc.least()?;
            cache.insert(key, now, |entry| set(entry.own(), least));
            return Some(least);
        };
        let index = entry.own().first().map_or(GONE, |w| w.load(Relaxed) as u32);
        let fresh = entry.unused(now) < view.options.expiration && entry.is_of(key);
        if fresh {
            entry.set_used(now);
            if view.is_usable(index) && !parts.is_too_busy(index) {
                return Some(index);
            }
        }
        let least = parts.wlc.least()?;
        set(entry.own(), least);
        entry.set_used(now);
        Some(least)
    }
}

/// Sets an entry's dest.
fn set(own: &[AtomicU64], index: u32) {
    if let Some(word) = own.first() {
        word.store(u64::from(index), Relaxed);
    }
}

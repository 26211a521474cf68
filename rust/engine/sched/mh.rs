// SPDX-License-Identifier: GPL-2.0

//! Maglev hashing (`ip_vs_mh.c`): a table of prime size in which every dest goes through the slots
//! in an order of its own, taking the next free one when it is its turn; a turn is as many slots as
//! its weight has parts. A flow goes to the dest in its source address's slot, or nowhere when that
//! dest takes nothing. When a dest leaves, few slots change but its own.
//!
//! A dest's weight for this is the last one above 0, so that weight 0 does not move others' flows.
//! Keys, hash, order and turns are those of the kernel, so that directors of both kinds agree, with
//! the same table size, where the flow goes to.
//!
//! With [`Options::port`] the source port is added to the address. With [`Options::fallback`] a
//! flow whose dest takes nothing is hashed again with an offset, and again. `ip_vs` does so as
//! often as there are slots; here after [`TRIES`] times one of the dests that have weight is taken
//! by hash, so that one dest among a thousand is found as fast.
//!
//! The table has each slot's dest, then how many dests have weight, then these.
//!
//! Source: Eisenbud et al., "Maglev: a fast and reliable software network load balancer" (NSDI
//! 2016), section 3.4.

use super::flow::Flow;
use super::scheduler::{Identity, Needs, Options, Plan, Scheduler, View, MH_SIZES, NONE};
use super::sh::hashed;
use crate::engine::hash::{word32, Key};

/// Times that a flow is hashed again; of dests half of which take nothing, fewer than one flow in
/// four billion finds none.
const TRIES: u32 = 32;

/// The first key of `generate_hash_secret`: for offsets and flows.
const OFFSET: Key = Key::new(2_654_435_761, 2_654_435_761);

/// The second: for steps.
const STEP: Key = Key::new(2_654_446_892, 2_654_446_892);

/// The scheduler `mh`.
pub(super) struct Maglev;

impl Scheduler for Maglev {
    fn name(&self) -> &'static str {
        "mh"
    }

    fn needs(&self, dests: usize, options: &Options) -> Needs {
        Needs {
            table: (size(dests, options) as usize)
                .saturating_add(1)
                .saturating_add(dests),
            state: 0,
            scratch: dests.saturating_mul(2),
        }
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], scratch: &mut [u32]) {
        let size = size(plan.identities.len(), plan.options);
        let Some((slots, rest)) = table.split_at_mut_checked(size as usize) else {
            return;
        };
        slots.fill(NONE);
        list(plan.weights, rest);
        populate(plan, slots, scratch);
    }

    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32> {
        let size = size(view.weights.len(), view.options);
        let hashed = hashed(view, flow);
        let slot = modulo(word32(&OFFSET, hashed), size);
        let index = view.entry(slot as usize);
        if view.is_usable(index) {
            return Some(index);
        }
        if !view.options.fallback || index == NONE {
            return None;
        }
        again(view, size, hashed, slot)
    }
}

/// The size of the table: as set up, or as large as it takes for so many dests.
fn size(dests: usize, options: &Options) -> u32 {
    let wanted = if MH_SIZES.contains(&options.mh_size) {
        options.mh_size
    } else {
        Options::DEFAULT.mh_size
    };
    let fits = |size: &u32| *size >= wanted && *size as usize >= dests;
    MH_SIZES.iter().copied().find(fits).unwrap_or(131_071)
}

/// `value % size`; 0 for no size, which there is not.
#[inline(always)]
fn modulo(value: u32, size: u32) -> u32 {
    value.checked_rem(size).unwrap_or(0)
}

/// Writes how many weights are above 0, then which.
fn list(weights: &[u32], to: &mut [u32]) {
    let Some((count, list)) = to.split_first_mut() else {
        return;
    };
    *count = 0;
    let indices = (0..weights.len() as u32).zip(weights.iter());
    let have_weight = indices.filter(|&(_, &weight)| weight > 0);
    for (entry, (index, _)) in list.iter_mut().zip(have_weight) {
        *entry = index;
        *count = count.wrapping_add(1);
    }
}

/// Gives the slots to the dests. `scratch` has two words for each dest.
fn populate(plan: &Plan<'_>, slots: &mut [u32], scratch: &mut [u32]) {
    let size = slots.len() as u32;
    let turns = Turns::of(plan, size);
    let place = |key: &Key, identity: &Identity| {
        let value = identity.address.wrapping_add(u32::from(identity.port));
        word32(key, value)
    };
    // Of each dest that gets slots its index, and the slot it looks at next.
    let mut count = 0usize;
    let entries = scratch.chunks_exact_mut(2);
    let weighted = (0u32..).zip(plan.identities);
    let weighted = weighted.filter(|(_, identity)| identity.last_weight > 0);
    for ((index, identity), entry) in weighted.zip(entries) {
        if let [at, next] = entry {
            *at = index;
            *next = modulo(place(&OFFSET, identity), size);
            count = count.wrapping_add(1);
        }
    }
    let mut left = if count > 0 { size } else { 0 };
    while left > 0 {
        for entry in scratch.chunks_exact_mut(2).take(count) {
            let [index, next] = entry else {
                return;
            };
            let Some(identity) = plan.identities.get(*index as usize) else {
                return;
            };
            let step = modulo(place(&STEP, identity), size.wrapping_sub(1)).wrapping_add(1);
            for _ in 0..turns.count(identity.last_weight).min(left) {
                // Steps through a table of prime size come by every slot, and one is free.
                while let Some(slot) = slots.get_mut(*next as usize) {
                    if *slot == NONE {
                        *slot = *index;
                        break;
                    }
                    *next = modulo(next.wrapping_add(step), size);
                }
                left = left.wrapping_sub(1);
            }
        }
    }
}

/// How many slots a dest takes at a time.
struct Turns {
    /// Of the weights; 0 where all are.
    gcd: u32,
    /// Halvings that keep a turn of the heaviest small against the table.
    shift: u32,
}

impl Turns {
    fn of(plan: &Plan<'_>, size: u32) -> Self {
        let weights = || plan.identities.iter().map(|identity| identity.last_weight);
        let gcd = weights().fold(0, super::wrr::gcd);
        let most = weights().max().unwrap_or(0).checked_div(gcd).unwrap_or(0);
        // `IP_VS_MH_TAB_BITS`: half of the configured index, which is 8 for the smallest size and
        // one more for each larger (the paper's counts as the kernel's next to it).
        let known = MH_SIZES.iter().filter(|&&s| s != 65537);
        let index = known.take_while(|&&smaller| smaller < size).count() as u32;
        let index = if size == 65537 { 8 } else { index };
        let bits = index.wrapping_add(8) / 2;
        let occupied = u32::BITS.wrapping_sub(most.leading_zeros());
        Self {
            gcd,
            shift: occupied.saturating_sub(bits),
        }
    }

    /// Of a dest of that weight: its parts, at least one if there is any.
    fn count(&self, weight: u32) -> u32 {
        let parts = weight.checked_div(self.gcd).unwrap_or(0);
        (parts >> self.shift).max(u32::from(weight > 0))
    }
}

/// A dest that takes something, for a flow whose own slot has none.
#[cold]
fn again(view: &View<'_>, size: u32, hashed: u32, slot: u32) -> Option<u32> {
    for attempt in 0..TRIES {
        let offset = modulo(slot.wrapping_add(attempt), size);
        let hash = word32(&OFFSET, hashed.wrapping_add(offset));
        let index = view.entry(modulo(hash, size) as usize);
        if view.is_usable(index) {
            return Some(index);
        }
    }
    let list = view.table.get(size as usize..)?;
    let (&count, list) = list.split_first()?;
    let list = list.get(..count as usize)?;
    let start = modulo(word32(&STEP, hashed), count) as usize;
    let (before, from) = list.split_at_checked(start)?;
    let mut candidates = from.iter().chain(before).copied();
    candidates.find(|&index| !view.is_overloaded(index))
}

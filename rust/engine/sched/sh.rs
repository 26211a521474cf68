// SPDX-License-Identifier: GPL-2.0

//! Source hashing (`ip_vs_sh.c`): 256 slots given to the dests in turn, `weight` slots each time
//! (one where the weight is 0); a flow goes to the dest in the slot of its source address, or
//! nowhere when that dest takes nothing.
//!
//! With [`Options::port`] the source port is added to the address. With [`Options::fallback`] a
//! flow whose dest takes nothing goes to the next slot whose dest takes something, from twice its
//! own slot's number on.
//!
//! The table has each slot's dest, then for each slot the next one, itself or after it and going
//! round, whose dest has weight.

use super::flow::Flow;
use super::scheduler::{hash_32, Needs, Options, Plan, Scheduler, View, NONE};

/// `IP_VS_SH_TAB_BITS`.
const BITS: u32 = 8;

/// How many slots.
const SLOTS: u32 = 1 << BITS;

/// The scheduler `sh`.
pub(super) struct SourceHashing;

impl Scheduler for SourceHashing {
    fn name(&self) -> &'static str {
        "sh"
    }

    fn needs(&self, _dests: usize, _options: &Options) -> Needs {
        Needs {
            table: 2 * SLOTS as usize,
            ..Needs::default()
        }
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        table.fill(NONE);
        let Some((slots, next)) = table.split_at_mut_checked(SLOTS as usize) else {
            return;
        };
        let indices = 0..plan.weights.len() as u32;
        let in_turn = indices
            .zip(plan.weights.iter().copied())
            .flat_map(|(index, weight)| (0..weight.clamp(1, SLOTS)).map(move |_| index))
            .cycle();
        for (slot, index) in slots.iter_mut().zip(in_turn) {
            *slot = index;
        }
        let has_weight = |index: u32| plan.weights.get(index as usize).is_some_and(|&w| w > 0);
        let mut found = NONE;
        // Twice backwards: the first time finds where the last slots go round to.
        for _ in 0..2 {
            let numbered = (0..SLOTS).zip(slots.iter().zip(next.iter_mut()));
            for (number, (&index, next)) in numbered.rev() {
                if has_weight(index) {
                    found = number;
                }
                *next = found;
            }
        }
    }

    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32> {
        let slot = hash_32(hashed(view, flow), BITS);
        let index = view.entry(slot as usize);
        if view.is_usable(index) {
            return Some(index);
        }
        if !view.options.fallback {
            return None;
        }
        next_usable(view, slot.wrapping_mul(2))
    }
}

/// What of a flow is hashed, here and in `mh`.
#[inline(always)]
pub(super) fn hashed(view: &View<'_>, flow: &Flow) -> u32 {
    let port = if view.options.port { flow.sport } else { 0 };
    flow.source.wrapping_add(u32::from(port))
}

/// The dest in the first slot from `slot` on that takes something.
#[cold]
fn next_usable(view: &View<'_>, mut slot: u32) -> Option<u32> {
    for _ in 0..SLOTS {
        slot = view.entry((SLOTS | (slot % SLOTS)) as usize);
        let index = view.entry(slot as usize);
        if index == NONE {
            return None;
        }
        if !view.is_overloaded(index) {
            return Some(index);
        }
        slot = slot.wrapping_add(1);
    }
    None
}

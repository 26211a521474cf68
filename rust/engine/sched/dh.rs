// SPDX-License-Identifier: GPL-2.0

//! Destination hashing (`ip_vs_dh.c`): 256 slots given to the dests in turn; a flow goes to the
//! dest in the slot of its destination address, or nowhere when that dest takes nothing.
//!
//! The table has each slot's dest.

use super::flow::Flow;
use super::scheduler::{hash_32, Needs, Options, Plan, Scheduler, View};

/// `IP_VS_DH_TAB_BITS`.
const BITS: u32 = 8;

/// The scheduler `dh`.
pub(super) struct DestinationHashing;

impl Scheduler for DestinationHashing {
    fn name(&self) -> &'static str {
        "dh"
    }

    fn needs(&self, _dests: usize, _options: &Options) -> Needs {
        Needs {
            table: 1 << BITS,
            ..Needs::default()
        }
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        table.fill(super::scheduler::NONE);
        let in_turn = (0..plan.weights.len() as u32).cycle();
        for (slot, index) in table.iter_mut().zip(in_turn) {
            *slot = index;
        }
    }

    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32> {
        let index = view.entry(hash_32(flow.destination, BITS) as usize);
        view.is_usable(index).then_some(index)
    }
}

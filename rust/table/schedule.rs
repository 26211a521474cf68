// SPDX-License-Identifier: GPL-2.0

//! A service's dests as the scheduler sees them.

use core::sync::atomic::AtomicU64;

use kernel::{prelude::*, sync::Arc};

use super::dest::Dest;
use crate::engine::sched::{Dests, Flow, Scheduler, View, GONE, STATE_WORDS};

/// A snapshot of a service's dests, newest first as `ip_vs` lists them. Never changed once it is
/// published, but for the scheduler's state.
pub(crate) struct Schedule {
    scheduler: &'static dyn Scheduler,
    dests: KVVec<Arc<Dest>>,
    weights: KVVec<u32>,
    table: KVVec<u32>,
    state: [AtomicU64; STATE_WORDS],
}

impl Schedule {
    /// A snapshot of `dests`, which come in the order they were added.
    pub(super) fn new<'a>(
        scheduler: &'static dyn Scheduler,
        dests: impl DoubleEndedIterator<Item = &'a Arc<Dest>> + ExactSizeIterator,
    ) -> Result<Self> {
        let len = dests.len();
        let mut new = Self {
            scheduler,
            dests: KVVec::with_capacity(len, GFP_KERNEL)?,
            weights: KVVec::with_capacity(len, GFP_KERNEL)?,
            table: KVVec::from_elem(0, scheduler.table_len(len), GFP_KERNEL)?,
            state: [const { AtomicU64::new(0) }; STATE_WORDS],
        };
        for dest in dests.rev() {
            new.dests.push(dest.clone(), GFP_KERNEL)?;
            new.weights.push(dest.spec().weight, GFP_KERNEL)?;
        }
        scheduler.build(&new.weights, &mut new.table);
        Ok(new)
    }

    /// How many dests there are.
    pub(super) fn len(&self) -> usize {
        self.dests.len()
    }

    /// Lets this snapshot go on where `old` stands, if the rule is the same. `map` is empty and has
    /// room for as many words as `old` has dests.
    ///
    /// Both list the dests they share in the same order, so one pass over each finds them.
    pub(super) fn carry_on(&self, old: &Self, map: &mut KVVec<u32>) {
        if old.scheduler.name() != self.scheduler.name() {
            return;
        }
        let mut rest = (0u32..).zip(self.dests.iter());
        for dest in &old.dests {
            let mut ahead = rest.clone();
            let index = match ahead.find(|(_, other)| Arc::ptr_eq(dest, other)) {
                Some((index, _)) => {
                    rest = ahead;
                    index
                }
                None => GONE,
            };
            if map.push_within_capacity(index).is_err() {
                return;
            }
        }
        self.scheduler.carry(&old.view(), map, &self.view());
    }

    fn view(&self) -> View<'_> {
        View {
            weights: &self.weights,
            table: &self.table,
            state: &self.state,
            dests: self,
            thresholds: false,
        }
    }

    /// The dest for a new flow; none when no dest takes one.
    pub(crate) fn pick(&self, flow: &Flow) -> Option<&Arc<Dest>> {
        let index = self.scheduler.pick(&self.view(), flow)?;
        self.dests.get(index as usize)
    }
}

impl Dests for Schedule {
    fn active(&self, index: u32) -> u32 {
        self.dests.get(index as usize).map_or(0, |d| d.active())
    }

    fn inactive(&self, index: u32) -> u32 {
        self.dests.get(index as usize).map_or(0, |d| d.inactive())
    }

    fn is_overloaded(&self, _index: u32) -> bool {
        false
    }
}

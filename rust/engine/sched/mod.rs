// SPDX-License-Identifier: GPL-2.0

//! Which dest gets a new flow.
//!
//! Every change of a service's dests makes a snapshot that is never changed again: the dests'
//! weights, a table the scheduler fills from them once, and a few words of state that picks on all
//! CPUs move on by compare-and-swap. A change of dests makes a new snapshot and carries the state
//! over.
//!
//! Index 0 is the head of `ip_vs`'s list. `ip_vs` puts a new dest at the head (`list_add_rcu` in
//! `ip_vs_ctl.c`), so whoever wants its sequence puts the newest dest first.
//!
//! Between carrying the state over and publishing the new snapshot, CPUs may still pick from the
//! old one; as many picks repeat in the new one.

mod rr;
mod wrr;

use super::tuple::TupleV4;
use core::sync::atomic::AtomicU64;

/// Words of state that every snapshot has, all 0 where there is nothing to carry over.
pub const STATE_WORDS: usize = 2;

/// What [`Scheduler::carry`]'s map says of a dest that is gone.
pub const GONE: u32 = u32::MAX;

/// Names of the schedulers there are.
pub const NAMES: [&str; 2] = ["rr", "wrr"];

/// The scheduler of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Scheduler> {
    match name {
        "rr" => Some(&rr::RoundRobin),
        "wrr" => Some(&wrr::WeightedRoundRobin),
        _ => None,
    }
}

/// What changes about dests without a new snapshot.
///
/// Asked only where a rule needs it: `rr` and `wrr` ask for nothing unless [`View::thresholds`].
pub trait Dests {
    /// Active connections of the dest at `index`.
    fn active(&self, index: u32) -> u32;

    /// Inactive connections of the dest at `index`.
    fn inactive(&self, index: u32) -> u32;

    /// Whether the dest at `index` has reached its upper threshold.
    fn is_overloaded(&self, index: u32) -> bool;
}

/// A snapshot of a service's dests.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Weight of each dest.
    pub weights: &'a [u32],
    /// What the scheduler made of the weights; [`Scheduler::table_len`] words.
    pub table: &'a [u32],
    /// Where the scheduler stands.
    pub state: &'a [AtomicU64; STATE_WORDS],
    /// The dests themselves.
    pub dests: &'a dyn Dests,
    /// Whether any dest has a threshold, so that [`Dests::is_overloaded`] must be asked.
    pub thresholds: bool,
}

impl View<'_> {
    /// Whether the dest at `index` takes nothing new for now.
    #[inline(always)]
    fn is_overloaded(&self, index: u32) -> bool {
        self.thresholds && self.dests.is_overloaded(index)
    }

    /// Weight of the dest at `index`, 0 when there is none.
    #[inline(always)]
    fn weight(&self, index: usize) -> u32 {
        self.weights.get(index).copied().unwrap_or(0)
    }
}

/// What a pick may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Client, virtual address and protocol of the flow's first packet.
    pub tuple: TupleV4,
}

/// A rule for choosing dests; chosen once per service, by name.
pub trait Scheduler: Sync {
    /// Its name, as in `ipvsadm -s`.
    fn name(&self) -> &'static str;

    /// How many words of table a snapshot of that many dests needs.
    fn table_len(&self, dests: usize) -> usize;

    /// Fills `table`, [`Scheduler::table_len`] words, for dests of these weights.
    fn build(&self, weights: &[u32], table: &mut [u32]);

    /// Sets the state of `new`, not published yet, so that it goes on where `old` stands.
    ///
    /// `map` has for each dest of `old` its index in `new`, or [`GONE`].
    fn carry(&self, old: &View<'_>, map: &[u32], new: &View<'_>);

    /// Index of the dest for a new flow; none when no dest takes one.
    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_its_scheduler() {
        for name in NAMES {
            assert_eq!(by_name(name).map(|s| s.name()), Some(name));
        }
        for name in ["", "RR", "rr ", "wlcx"] {
            assert!(by_name(name).is_none());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Which dest gets a new flow.
//!
//! Every change of a service's dests makes a snapshot: the dests' weights, a table the scheduler
//! fills from them once, and words of state that CPUs change by compare-and-swap while it is in
//! use. A change of dests makes a new snapshot and carries the state over. The caller has the
//! memory for all of it and asks [`Scheduler::needs`] how much.
//!
//! Index 0 is the head of `ip_vs`'s list. `ip_vs` puts a new dest at the head (`list_add_rcu` in
//! `ip_vs_ctl.c`), so whoever wants its sequence puts the newest dest first.
//!
//! A snapshot's life: [`Scheduler::build`], [`Scheduler::start`], [`Scheduler::carry`], published,
//! and then, where [`Scheduler::follows_counts`], [`Scheduler::changed`] once for each dest, as its
//! counts may have changed since. Between carrying the state over and publishing the new snapshot,
//! CPUs may still pick from the old one; as many picks repeat in the new one.
//!
//! What a pick costs, with n dests:
//!
//! | | a pick | a change of a dest's counts |
//! |---|---|---|
//! | rr, dh, sh, mh | O(1) | nothing |
//! | wrr, twos | O(log n) | nothing |
//! | lc, wlc, sed, nq, ovf, fo | O(1) | O(log n) (fo: nothing) |
//! | lblc, lblcr | O(1) | O(log n) |

mod cache;
mod dh;
mod flow;
mod fo;
mod lblc;
mod lblcr;
mod lc;
mod mh;
mod name;
mod nq;
mod ovf;
mod rr;
pub mod scheduler;
mod sed;
mod sh;
mod tree;
mod twos;
mod wlc;
mod wrr;

pub use flow::Flow;
pub use name::{SchedulerName, SCHEDULER_NAME_MAX};
pub use scheduler::{Identity, Live, Options, Plan, Scheduler, View, GONE, MH_SIZES};

/// Names of the schedulers there are.
pub const NAMES: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// The scheduler of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Scheduler> {
    match name {
        "rr" => Some(&rr::RoundRobin),
        "wrr" => Some(&wrr::WeightedRoundRobin),
        "lc" => Some(&lc::LeastConnection),
        "wlc" => Some(&wlc::WeightedLeastConnection),
        "lblc" => Some(&lblc::Locality),
        "lblcr" => Some(&lblcr::LocalityReplicated),
        "dh" => Some(&dh::DestinationHashing),
        "sh" => Some(&sh::SourceHashing),
        "sed" => Some(&sed::ShortestExpectedDelay),
        "nq" => Some(&nq::NeverQueue),
        "fo" => Some(&fo::FailOver),
        "ovf" => Some(&ovf::Overflow),
        "mh" => Some(&mh::Maglev),
        "twos" => Some(&twos::TwoChoices),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_its_scheduler() {
        for name in NAMES {
            assert_eq!(by_name(name).map(|s| s.name()), Some(name));
        }
        for name in ["", "RR", "rr ", "wlcx", "lblcrr"] {
            assert!(by_name(name).is_none());
        }
    }
}

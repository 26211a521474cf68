// SPDX-License-Identifier: GPL-2.0

//! Dests that drain: they take no new connections, and those that they have end by themselves or
//! at a deadline.

use core::ptr;

use kernel::{
    prelude::*,
    sync::{Arc, SetOnce},
};

use super::{
    config::{ConfigGuard, Member},
    dest::Dest,
    netns::Netns,
};
use crate::kapi::{netns::Net, sort};

/// Told of a dest whose last connection has ended, with the configuration locked.
pub(crate) type OnDrained = fn(&Net, &ConfigGuard<'_>, &Member);

static ON_DRAINED: SetOnce<OnDrained> = SetOnce::new();

/// Sets who is told, once.
pub(crate) fn on_drained(told: OnDrained) {
    ON_DRAINED.populate(told);
}

impl Netns {
    /// Dests whose deadline has passed and that have connections. Without memory none; it is asked
    /// again before long.
    pub(super) fn overdue(&self) -> KVVec<Arc<Dest>> {
        let config = self.config();
        let mut overdue = KVVec::new();
        if !config.is_draining() {
            return overdue;
        }
        for dest in config.shared_dests().filter(|dest| dest.is_overdue()) {
            if overdue.push(dest.clone(), GFP_KERNEL).is_err() {
                break;
            }
        }
        // Each connection is looked for among them.
        sort::by_key(&mut overdue, address);
        overdue
    }

    /// Ends the connections of dests. May sleep; the table is not resized meanwhile.
    pub(super) fn end_connections(&self, dests: &[Arc<Dest>]) {
        if dests.is_empty() {
            return;
        }
        self.connections.remove_all(|conn| {
            let at = ptr::from_ref(conn.dest()) as usize;
            let is_one = dests.binary_search_by_key(&at, address).is_ok();
            if is_one {
                conn.dest().count_drain_ended();
            }
            is_one
        });
    }
}

/// Where a dest is in memory.
fn address(dest: &Arc<Dest>) -> usize {
    ptr::from_ref::<Dest>(dest) as usize
}

impl ConfigGuard<'_> {
    /// Ends the draining of dests that have no connections any more, and tells of it. True while
    /// others drain.
    pub(super) fn end_drains(&mut self) -> bool {
        if !self.is_draining() {
            return false;
        }
        let mut others = false;
        for service in self.services() {
            for member in service.dests() {
                let dest = member.dest();
                if dest.drain_left().is_none() {
                    continue;
                }
                if dest.active() > 0 || dest.inactive() > 0 {
                    others = true;
                    continue;
                }
                dest.set_deadline(None);
                if let Some(told) = ON_DRAINED.as_ref() {
                    told(self.net(), self, member);
                }
            }
        }
        self.set_draining(others);
        others
    }
}

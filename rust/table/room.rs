// SPDX-License-Identifier: GPL-2.0

//! Whether a namespace has room for another flow.

use super::{counters::Counter, live::Live, schedule::Schedule};
use crate::kapi::{random, rcu::Rcu};

/// Entries that a flow may need: its connection, and its client's template.
const ENTRIES: usize = 2;

/// Services that are asked for a template which may go.
const ASKED: usize = 16;

impl Live {
    /// Whether the namespace holds as many connections and templates as it may (`conn-max`): both
    /// are made by whoever sends a packet, and both count for `ip_vs`.
    pub(crate) fn is_full(&self) -> bool {
        let max = self.settings.conn_max();
        if max == 0 {
            return false;
        }
        let held = u64::from(self.connections.count()).saturating_add(self.templates.get().into());
        held >= max
    }

    /// Whether there is room for a flow of the service that has `schedule`. Where there is none,
    /// templates go that are not assured, those of this service first.
    pub(crate) fn has_room(&self, schedule: &Schedule, rcu: Rcu<'_>) -> bool {
        // One goes in place of each entry that the last flow had too many.
        for _ in 0..ENTRIES {
            if !self.is_full() {
                return true;
            }
            if self.templates.get() == 0
                || !(schedule.give_up_template() || self.give_up_template(rcu))
            {
                return false;
            }
            self.counters.count(Counter::TemplatesDropped);
        }
        !self.is_full()
    }

    /// Ends a template that is not assured, of any of some services.
    fn give_up_template(&self, rcu: Rcu<'_>) -> bool {
        let Some(index) = self.index.get(rcu) else {
            return false;
        };
        let start = random::u64() as usize;
        let mut some = index.schedules_from(start, rcu).take(ASKED);
        some.any(Schedule::give_up_template)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What time changes of the configuration: weights of dests that start slowly, and templates.

use core::mem::replace;

use kernel::prelude::*;

use super::{
    super::{counters::Counter, publication},
    guard::ConfigGuard,
};
use crate::kapi::{rcu::RcuBox, time};

impl ConfigGuard<'_> {
    /// Gives dests that start slowly the weight of this second. True while there are such.
    pub(in crate::table) fn warm_up(&mut self) -> bool {
        let now = time::uptime();
        if !self.has_warming() || replace(&mut self.config.warmed, now) == now {
            return self.has_warming();
        }
        let config = &mut *self.config;
        for service in config.services.iter_mut().filter(|s| s.warming) {
            // Without memory it is tried again.
            let Ok(schedule) = service.schedule(&config.locals) else {
                continue;
            };
            let warming = schedule.is_warming();
            let Ok(schedule) = RcuBox::new(schedule, GFP_KERNEL_ACCOUNT) else {
                continue;
            };
            service.warming = warming;
            publication::publish(&service.published, schedule);
        }
        self.has_warming()
    }

    pub(in crate::table) fn has_warming(&self) -> bool {
        self.config.services.iter().any(|service| service.warming)
    }

    /// Tells other directors of some templates; `turn` says of which.
    #[inline(never)] // What it shows some of takes room.
    pub(in crate::table) fn tell_templates(&self, turn: u32) {
        for service in &self.config.services {
            if let Some(templates) = &service.templates {
                self.live
                    .tell_templates(turn, service.id, (templates, &service.spec.persistence));
            }
        }
    }

    /// Ends templates that have expired; `turn` says which to look at. With `pressed` also some that
    /// are not assured. True when there are others.
    pub(in crate::table) fn sweep_templates(&self, turn: u32, pressed: Option<u32>) -> bool {
        let mut some = false;
        for service in &self.config.services {
            if let Some(templates) = &service.templates {
                let dropped = templates.sweep(turn, &service.spec.persistence, pressed);
                let counters = &self.live.counters;
                counters.count_many(Counter::TemplatesDropped, dropped);
                some |= templates.count() > 0;
            }
        }
        some
    }
}

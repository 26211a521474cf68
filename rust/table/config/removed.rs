// SPDX-License-Identifier: GPL-2.0

//! Services, dests and local addresses that are removed and of which something is left.

use core::net::IpAddr;

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{counters::Traffic, dest::Dest, index::Published},
    service::Service,
    Config, ConfigGuard,
};
use crate::{
    engine::spec::{DestId, DestSpec, ServiceId},
    kapi::{broken::broken, delay, rcu::Moment, sort},
};

/// A dest that was removed but still has connections.
pub(super) struct Removed {
    pub(super) dest: Arc<Dest>,
    /// What it had carried when it was removed.
    pub(super) carried: Traffic,
    /// Those who were reading then may still give it connections.
    pub(super) at: Moment,
}

impl Removed {
    fn ids(&self) -> (ServiceId, DestId) {
        (self.dest.service(), self.dest.id())
    }
}

/// The removed dests.
pub(super) struct RemovedDests {
    all: KVVec<Removed>,
    /// They are in the order of their ids.
    in_order: bool,
}

impl RemovedDests {
    pub(super) fn new() -> Self {
        Self {
            all: KVVec::new(),
            in_order: true,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Removed> + Clone {
        self.all.iter()
    }

    /// Makes room for more.
    pub(super) fn reserve(&mut self, more: usize) -> Result {
        Ok(self.all.reserve(more, GFP_KERNEL)?)
    }

    /// Adds one; there is room for it.
    fn add(&mut self, removed: Removed) {
        if self.all.push_within_capacity(removed).is_err() {
            broken!(c"no room for a removed dest");
        }
        self.in_order = false;
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&mut Removed) -> bool) {
        self.all.retain(keep);
    }

    /// Puts them in order. Whoever looks for some does so first: thousands may be looked for among
    /// thousands.
    pub(super) fn sort(&mut self) {
        if !self.in_order {
            sort::by_key(&mut self.all, Removed::ids);
            self.in_order = true;
        }
    }

    /// Those from the first on whose ids are not less.
    fn from(&self, least: impl Fn(&Removed) -> bool) -> impl Iterator<Item = &Removed> {
        let first = self.all.partition_point(|removed| !least(removed));
        self.all.iter().skip(first)
    }

    /// One of that service; they are in order.
    pub(super) fn of_service(&self, id: &ServiceId) -> Option<&Removed> {
        let mut rest = self.from(|removed| removed.dest.service() >= *id);
        rest.next().filter(|removed| removed.dest.service() == *id)
    }

    /// Those of that id in that service; they are in order.
    fn of(&self, service: ServiceId, id: DestId) -> impl Iterator<Item = &Removed> {
        let ids = (service, id);
        let rest = self.from(move |removed| removed.ids() >= ids);
        rest.take_while(move |removed| removed.ids() == ids)
    }
}

impl Config {
    /// A removed dest that may come back as one of those settings, and what it had carried when it
    /// was removed.
    pub(super) fn removed_dest(
        &self,
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
        published: &Published,
    ) -> Option<(Arc<Dest>, Traffic)> {
        let found = self.removed.of(service, id).find(|removed| {
            let dest = &removed.dest;
            dest.is_gone()
                // Its connections have no way in another mode.
                && dest.spec().mode == spec.mode
                && dest.is_told_by(published)
        });
        found.map(|removed| (removed.dest.clone(), removed.carried))
    }
}

impl ConfigGuard<'_> {
    pub(super) fn retire_service(&mut self, service: &Service) {
        self.config.retired = self.config.retired.plus(service.carried());
        self.retire_locals(service.locals.addresses());
        for member in &service.dests {
            let carried = member.dest.carried();
            self.retire_dest(member.dest.clone(), carried);
        }
    }

    /// Keeps a removed dest while it has connections; there is room for it. Packets no longer see
    /// it, but for those that are on their way.
    pub(super) fn retire_dest(&mut self, dest: Arc<Dest>, carried: Traffic) {
        dest.set_gone();
        delay::here();
        let at = Moment::now();
        let removed = Removed { dest, carried, at };
        self.config.removed.add(removed);
        self.netns.expect_work();
    }

    /// Lets packets to local addresses in that have left their pools, while connections may have
    /// them; there is room for them.
    pub(super) fn retire_locals(&mut self, addresses: &[IpAddr]) {
        self.config.left_locals.keep(addresses);
        self.netns.expect_work();
    }

    /// Forgets what was removed, dests and local addresses, and has no connections any more and
    /// gets none. True when some still has.
    pub(in crate::table) fn bury_removed(&mut self) -> bool {
        let connections = &self.netns.connections;
        let config = &mut *self.config;
        let before = config.removed.len();
        let mut retired = config.retired;
        let forgotten = &mut config.forgotten;
        config.removed.retain(|removed| {
            let dest = &removed.dest;
            // In this order: what the last readers began is counted.
            let may_grow = !removed.at.has_no_readers();
            let lives = may_grow || dest.active() > 0 || dest.inactive() > 0;
            if !lives {
                retired = retired.plus(dest.carried().since(removed.carried));
                forgotten.add(dest);
                dest.forget_way(None);
            }
            lives
        });
        config.retired = retired;
        let forgot_locals = config.left_locals.forget(|| connections.count());
        if config.removed.len() != before || forgot_locals {
            self.update_filters();
        }
        self.has_removed()
    }

    /// Whether there are removed dests or local addresses that are not forgotten yet.
    pub(in crate::table) fn has_removed(&self) -> bool {
        !self.config.removed.is_empty() || !self.config.left_locals.is_empty()
    }
}

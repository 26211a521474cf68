// SPDX-License-Identifier: GPL-2.0

//! Services, dests and local addresses that are removed and of which something is left.

use core::{mem::replace, net::IpAddr};

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{counters::Traffic, dest::Dest, publication::Published, ways::Which},
    service::Service,
    Config, ConfigGuard,
};
use crate::{
    engine::spec::{DestId, DestSpec, ServiceId},
    kapi::{broken::broken, delay, rcu::Moment, sort},
};

/// Removed dests that are looked through one by one rather than sorted.
const UNSORTED: usize = 64;

/// A dest that was removed but still has connections.
pub(super) struct Removed {
    pub(super) dest: Arc<Dest>,
    /// Where the schedules of its service were published, which it tells what happens to it.
    pub(super) published: Published,
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

/// The removed dests: some in the order of their ids, and then some that came since.
pub(super) struct RemovedDests {
    all: KVVec<Removed>,
    /// How many of them are in order.
    in_order: usize,
}

impl RemovedDests {
    pub(super) fn new() -> Self {
        Self {
            all: KVVec::new(),
            in_order: 0,
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
        Ok(self.all.reserve(more, GFP_KERNEL_ACCOUNT)?)
    }

    /// Adds one; there is room for it.
    fn add(&mut self, removed: Removed) {
        if self.all.push_within_capacity(removed).is_err() {
            broken!(c"no room for a removed dest");
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Removed) -> bool) {
        let (sorted, mut number, mut kept) = (self.in_order, 0usize, 0usize);
        self.all.retain(|removed| {
            let keeps = keep(removed);
            kept = kept.wrapping_add((keeps && number < sorted).into());
            number = number.wrapping_add(1);
            keeps
        });
        self.in_order = kept;
    }

    /// Puts them in order if many have come since they were. Whoever looks for some does so first:
    /// thousands may be looked for among thousands, also one after the other.
    fn sort(&mut self) {
        let since = self.all.len().wrapping_sub(self.in_order);
        if since > UNSORTED && since > self.all.len() / 16 {
            sort::by_key(&mut self.all, Removed::ids);
            self.in_order = self.all.len();
        }
    }

    /// Those whose `key`, by which they are in order, is this one.
    fn with<K: Ord + Copy>(
        &self,
        this: K,
        key: impl Fn(&Removed) -> K + Copy,
    ) -> impl Iterator<Item = &Removed> {
        let (sorted, rest) = self.all.split_at(self.in_order.min(self.all.len()));
        let first = sorted.partition_point(|removed| key(removed) < this);
        let sorted = sorted.iter().skip(first);
        let sorted = sorted.take_while(move |removed| key(removed) == this);
        let rest = rest.iter().filter(move |removed| key(removed) == this);
        Iterator::chain(sorted, rest)
    }

    /// One of that service.
    pub(super) fn of_service(&mut self, id: &ServiceId) -> Option<&Removed> {
        self.sort();
        self.with(*id, |removed| removed.dest.service()).next()
    }

    /// Those of that id in that service.
    fn of(&mut self, service: ServiceId, id: DestId) -> impl Iterator<Item = &Removed> {
        self.sort();
        self.with((service, id), Removed::ids)
    }
}

impl Config {
    /// A removed dest that may come back as one of those settings, and what it had carried when it
    /// was removed.
    pub(super) fn removed_dest(
        &mut self,
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
                && Arc::ptr_eq(&removed.published, published)
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
            self.retire_dest(member.dest.clone(), service.published.clone(), carried);
        }
    }

    /// Keeps a removed dest while it has connections; there is room for it. Packets no longer see
    /// it, but for those that are on their way.
    pub(super) fn retire_dest(&mut self, dest: Arc<Dest>, published: Published, carried: Traffic) {
        dest.set_gone();
        delay::here();
        let at = Moment::now();
        let removed = Removed {
            dest,
            published,
            carried,
            at,
        };
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
            let lives = may_grow || dest.has_connections();
            if !lives {
                retired = retired.plus(dest.carried().since(removed.carried));
                forgotten.add(dest);
                dest.forget_way(Which::All);
            }
            lives
        });
        config.retired = retired;
        let forgot_locals = config.left_locals.forget(|| connections.count());
        let stale = replace(&mut config.filters_stale, false);
        if config.removed.len() != before || forgot_locals || stale {
            self.update_filters();
        }
        self.has_removed()
    }

    /// Whether there are removed dests or local addresses that are not forgotten yet.
    pub(in crate::table) fn has_removed(&self) -> bool {
        let config = &self.config;
        !config.removed.is_empty() || !config.left_locals.is_empty() || config.filters_stale
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Dests that were removed and still have connections.

use kernel::{prelude::*, sync::Arc};

use super::super::{counters::Traffic, dest::Dest, publication::Published};
use crate::{
    engine::spec::{DestId, DestSpec, ServiceId},
    kapi::{broken::broken, rcu::Moment, sort},
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
    pub(super) fn add(&mut self, removed: Removed) {
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

    /// One that may come back as a dest of those settings, and what it had carried when it was
    /// removed.
    pub(super) fn take_up(
        &mut self,
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
        published: &Published,
    ) -> Option<(Arc<Dest>, Traffic)> {
        let found = self.of(service, id).find(|removed| {
            let dest = &removed.dest;
            dest.is_gone()
                // Its connections have no way in another mode.
                && dest.spec().mode == spec.mode
                && Arc::ptr_eq(&removed.published, published)
        });
        found.map(|removed| (removed.dest.clone(), removed.carried))
    }

    /// Those of that id in that service.
    pub(super) fn of(&mut self, service: ServiceId, id: DestId) -> impl Iterator<Item = &Removed> {
        self.sort();
        self.with((service, id), Removed::ids)
    }
}

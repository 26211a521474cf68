// SPDX-License-Identifier: GPL-2.0

//! Finding a service by a packet's destination or mark.

use kernel::{prelude::*, sync::Arc};

use super::schedule::Schedule;
use crate::{
    engine::{hash::Key, tuple::ServiceKey},
    kapi::{
        broken::broken,
        rcu::{Rcu, RcuSlot},
    },
};

/// A service's present schedule, shared by the configuration and the index.
pub(super) type Published = Arc<RcuSlot<Schedule>>;

/// An immutable hash table of services, open addressing, at most half full.
pub(super) struct Index {
    slots: KVVec<Option<(ServiceKey, Published)>>,
    mask: usize,
    key: Key,
    /// Whether any service has all ports.
    all_ports: bool,
    /// Whether any service is of FTP.
    ftp: bool,
}

impl Index {
    /// An index of `services`, `count` of them, and of their addresses.
    pub(super) fn new<'a>(
        services: impl Iterator<Item = (ServiceKey, &'a Published)>,
        count: usize,
        key: Key,
    ) -> Result<Self> {
        let len = count
            .checked_mul(4)
            .and_then(usize::checked_next_power_of_two)
            .ok_or(ENOMEM)?
            .max(2);
        let mut slots = KVVec::with_capacity(len, GFP_KERNEL)?;
        for _ in 0..len {
            slots.push(None, GFP_KERNEL)?;
        }
        let mut index = Self {
            slots,
            mask: len - 1,
            key,
            all_ports: false,
            ftp: false,
        };
        for (service, published) in services {
            index.all_ports |= service.is_of_all_ports();
            index.ftp |= service.is_of_ftp();
            index.insert(service, published.clone());
            if !service.is_of_mark() {
                index.insert(service.of_address(), published.clone());
            }
        }
        Ok(index)
    }

    fn insert(&mut self, service: ServiceKey, published: Published) {
        let mut at = self.start(service);
        for _ in 0..self.slots.len() {
            match self.slots.get_mut(at) {
                Some(slot @ None) => {
                    *slot = Some((service, published));
                    return;
                }
                // The first service of an address stands for it.
                Some(Some((key, _))) if *key == service => return,
                _ => at = at.wrapping_add(1) & self.mask,
            }
        }
        broken!(c"no room in the index of services");
    }

    fn start(&self, service: ServiceKey) -> usize {
        service.hash(&self.key) as usize & self.mask
    }

    /// The present schedule of the service that flows with that key are for: one of their port; or
    /// one of FTP whose clients stay with their dest, so that their data goes there too; or else
    /// one of all ports.
    pub(super) fn find<'a>(&self, service: ServiceKey, rcu: Rcu<'a>) -> Option<&'a Schedule> {
        let found = self.find_exactly(service, rcu);
        if found.is_some() || !(self.all_ports || self.ftp) {
            return found;
        }
        let ftp = service.of_ftp_data().filter(|_| self.ftp);
        let found = ftp.and_then(|service| self.find_exactly(service, rcu));
        if let Some(schedule) = found.filter(|schedule| schedule.is_persistent()) {
            return Some(schedule);
        }
        self.find_exactly(service.all_ports(), rcu)
    }

    /// The present schedule of the service of flows with that mark, of that IP version.
    pub(super) fn find_marked<'a>(
        &self,
        mark: u32,
        version: u8,
        rcu: Rcu<'a>,
    ) -> Option<&'a Schedule> {
        self.find_exactly(ServiceKey::marked(mark, version), rcu)
    }

    /// Present schedules of services, in the order of the table from a place on.
    pub(super) fn schedules_from<'a>(
        &'a self,
        start: usize,
        rcu: Rcu<'a>,
    ) -> impl Iterator<Item = &'a Schedule> {
        let places = (0..self.slots.len()).map(move |step| start.wrapping_add(step) & self.mask);
        let slots = places.filter_map(|at| self.slots.get(at)?.as_ref());
        slots.filter_map(move |(_, published)| published.get(rcu))
    }

    /// The present schedule of that very key.
    pub(super) fn find_exactly<'a>(
        &self,
        service: ServiceKey,
        rcu: Rcu<'a>,
    ) -> Option<&'a Schedule> {
        let mut at = self.start(service);
        // At least half of the slots are empty, so this ends.
        while let Some(Some((key, published))) = self.slots.get(at) {
            if *key == service {
                return published.get(rcu);
            }
            at = at.wrapping_add(1) & self.mask;
        }
        None
    }
}

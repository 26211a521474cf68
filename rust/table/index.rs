// SPDX-License-Identifier: GPL-2.0

//! Finding a service by a packet's destination or mark.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernel::{
    prelude::*,
    sync::{Arc, SetOnce},
};

use super::{publication::Published, schedule::Schedule};
use crate::{
    engine::{hash::Key, service_key::ServiceKey},
    kapi::{broken::broken, rcu::Rcu},
};

/// A hash table of services, open addressing, at most half full.
///
/// Entries never change and never go: one of a service that is removed finds nothing from then on,
/// as nothing is published there any more. A table with many such is replaced by another.
pub(super) struct Index {
    slots: KVVec<SetOnce<(ServiceKey, Published)>>,
    mask: usize,
    used: AtomicUsize,
    key: Key,
    /// Whether any service has all ports.
    all_ports: AtomicBool,
    /// Whether any service is of FTP.
    ftp: AtomicBool,
}

impl Index {
    /// An index of `services`, `count` of them, and of their addresses.
    pub(super) fn new<'a>(
        services: impl Iterator<Item = (ServiceKey, &'a Published)>,
        count: usize,
        key: Key,
    ) -> Result<Self> {
        // As many again may come before there is another.
        let len = count
            .checked_mul(8)
            .and_then(usize::checked_next_power_of_two)
            .ok_or(ENOMEM)?
            .max(4);
        let mut slots = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..len {
            slots.push(SetOnce::new(), GFP_KERNEL_ACCOUNT)?;
        }
        let index = Self {
            slots,
            mask: len - 1,
            used: AtomicUsize::new(0),
            key,
            all_ports: AtomicBool::new(false),
            ftp: AtomicBool::new(false),
        };
        for (service, published) in services {
            index.put_in(service, published, |_| true);
        }
        Ok(index)
    }

    /// Whether there is room for one more service.
    pub(super) fn has_room(&self) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        used.saturating_add(2) <= self.slots.len() / 2
    }

    /// Whether it goes on well without one of its services, of which `count` are left.
    pub(super) fn may_lose_one(&self, count: usize) -> bool {
        self.used.load(Ordering::Relaxed) / 8 <= count.saturating_add(8)
    }

    /// Whether that service stands for its address.
    pub(super) fn has_for_address(&self, service: ServiceKey, published: &Published) -> bool {
        if service.is_of_mark() {
            return false;
        }
        let address = service.of_address();
        let mut at = self.start(address);
        while let Some((key, there)) = self.slots.get(at).and_then(SetOnce::as_ref) {
            if *key == address && Arc::ptr_eq(there, published) {
                return true;
            }
            at = at.wrapping_add(1) & self.mask;
        }
        false
    }

    /// Adds a service that has a schedule and for which there is room. One call at a time.
    pub(super) fn add(&self, service: ServiceKey, published: &Published, rcu: Rcu<'_>) {
        self.put_in(service, published, |there| there.get(rcu).is_some());
    }

    /// Puts a service in. `stands` says of another whether it is still there, to stand for the
    /// address of both.
    fn put_in(
        &self,
        service: ServiceKey,
        published: &Published,
        stands: impl Fn(&Published) -> bool,
    ) {
        if service.is_of_all_ports() {
            self.all_ports.store(true, Ordering::Relaxed);
        }
        if service.is_of_ftp() {
            self.ftp.store(true, Ordering::Relaxed);
        }
        self.insert(service, published, |_| false);
        if !service.is_of_mark() {
            self.insert(service.of_address(), published, stands);
        }
    }

    /// Puts an entry in, unless its key has one that `stands` for it.
    fn insert(
        &self,
        service: ServiceKey,
        published: &Published,
        stands: impl Fn(&Published) -> bool,
    ) {
        let mut at = self.start(service);
        for _ in 0..self.slots.len() {
            let Some(slot) = self.slots.get(at) else {
                return;
            };
            match slot.as_ref() {
                None => {
                    slot.populate((service, published.clone()));
                    self.used.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                // The first service of an address stands for it. One that is back publishes where
                // it did before.
                Some((key, there)) if *key == service => {
                    if Arc::ptr_eq(there, published) || stands(there) {
                        return;
                    }
                }
                Some(_) => {}
            }
            at = at.wrapping_add(1) & self.mask;
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
        let all_ports = self.all_ports.load(Ordering::Relaxed);
        let has_ftp = self.ftp.load(Ordering::Relaxed);
        if found.is_some() || !(all_ports || has_ftp) {
            return found;
        }
        let ftp = service.of_ftp_data().filter(|_| has_ftp);
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
        while let Some((key, published)) = self.slots.get(at).and_then(SetOnce::as_ref) {
            if *key == service {
                let schedule = published.get(rcu);
                if schedule.is_some() {
                    return schedule;
                }
            }
            at = at.wrapping_add(1) & self.mask;
        }
        None
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Taking changes back.

use core::net::IpAddr;

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{counters::Traffic, dest::Dest, ordered::Ordered, publication::Published},
    service::{Member, Past, Service},
    store::Config,
};
use crate::{engine::spec::DestSpec, kapi::broken::broken};

/// How to take back a change: places of service and dest, and what was there.
pub(super) enum Undo {
    ServiceAdd(usize),
    ServiceSet(usize, Past),
    ServiceDel(usize, KBox<Service>),
    DestAdd(usize, usize),
    /// With what the dest had carried when it was removed.
    DestBack(usize, usize, Traffic),
    /// What it was set to, and the deadline of its draining.
    DestSet(Arc<Dest>, DestSpec, Option<u32>),
    /// With where the service's schedules are published, and what the dest had carried.
    DestDel(usize, usize, Member, (Published, Traffic)),
    /// Place of the service, none for the namespace's pool.
    LocalAdd(Option<usize>, IpAddr),
    /// As above, and the address's place in the pool.
    LocalDel(Option<usize>, usize, IpAddr),
}

impl Undo {
    /// How many dests leave for good when the change stands.
    pub(super) fn dests_removed(&self) -> usize {
        match self {
            Self::ServiceDel(_, service) => service.dests.len(),
            Self::DestDel(..) => 1,
            _ => 0,
        }
    }

    /// How many local addresses leave their pools for good when the change stands.
    pub(super) fn locals_removed(&self) -> usize {
        match self {
            Self::ServiceDel(_, service) => service.locals.addresses().len(),
            Self::LocalDel(..) => 1,
            _ => 0,
        }
    }

    /// Takes the change back: the last that has not been taken back yet.
    #[inline(never)]
    pub(super) fn take_back(self, config: &mut Config) {
        let services = &mut config.services;
        match self {
            Self::ServiceAdd(place) => {
                if let Some(service) = services.take(place) {
                    config.marks.remove(&service.id);
                }
            }
            Self::ServiceSet(place, past) => {
                if let Some(service) = changed_at(services, place) {
                    (service.spec, service.scheduler) = (past.spec, past.scheduler);
                    if let Some(templates) = past.templates {
                        service.templates = templates;
                    }
                }
            }
            Self::ServiceDel(place, service) => {
                config.marks.add(&service.id);
                services.put(place, service);
            }
            Self::DestAdd(at, within) => {
                if let Some(service) = changed_at(services, at) {
                    drop(service.dests.take(within));
                }
            }
            Self::DestBack(at, within, carried) => {
                if let Some(service) = changed_at(services, at) {
                    service.retired = service.retired.plus(carried);
                    if let Some(member) = service.dests.take(within) {
                        member.dest.set_gone();
                    }
                }
            }
            Self::DestSet(dest, spec, deadline) => {
                dest.set_spec(spec);
                dest.life().set_deadline(deadline);
            }
            Self::DestDel(at, within, member, (_, carried)) => {
                if let Some(service) = changed_at(services, at) {
                    service.retired = service.retired.since(carried);
                    service.dests.put(within, member);
                }
            }
            Self::LocalAdd(place, _) => {
                if let Some(pool) = config.pool_at(place) {
                    pool.take_back_add();
                }
            }
            Self::LocalDel(place, at, address) => {
                if let Some(pool) = config.pool_at(place) {
                    pool.take_back_remove(at, address);
                }
            }
        }
    }
}

/// The service at the place at which a change has been made.
fn changed_at(services: &mut Ordered<KBox<Service>>, place: usize) -> Option<&mut KBox<Service>> {
    let service = services.get_mut(place);
    if service.is_none() {
        broken!(c"there is no service where one was changed");
    }
    service
}

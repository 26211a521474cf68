// SPDX-License-Identifier: GPL-2.0

//! Batches of changes: made one by one, then published, or taken back in the opposite order.

use core::net::IpAddr;

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{
        counters::{Estimator, Traffic},
        dest::Dest,
        local::Pool,
        schedule::{self, Publication},
    },
    service::{scheduler_by_name, templates, Member, Past, Service},
    ConfigGuard,
};
use crate::{
    engine::{
        change::{Change, ChangeError},
        service::ServiceSpec,
        spec::{DestId, DestSpec, Mode, ServiceId},
    },
    kapi::{
        broken::broken,
        delay,
        modules::Hold,
        netns::Net,
        rcu::RcuBox,
        route::{self, NextHop},
        time,
    },
};

/// A refused change: which one of those given, and why.
pub(crate) struct Refused {
    pub(crate) index: usize,
    pub(crate) error: ChangeError,
}

/// How to take back a change.
enum Undo {
    ServiceAdd,
    ServiceSet(usize, Past),
    ServiceDel(usize, KBox<Service>),
    DestAdd(usize),
    /// Position of the service, and what the dest had carried when it was removed.
    DestBack(usize, Traffic),
    /// What it was set to, and the deadline of its draining.
    DestSet(Arc<Dest>, DestSpec, Option<u32>),
    /// Positions of service and dest, and what the dest had carried.
    DestDel(usize, usize, Member, Traffic),
    /// Position of the service, none for the namespace's pool.
    LocalAdd(Option<usize>),
    /// As above, and the address and its place in the pool.
    LocalDel(Option<usize>, usize, IpAddr),
}

impl<'a> ConfigGuard<'a> {
    /// Applies changes in order, all or none. May sleep.
    ///
    /// # Errors
    ///
    /// The first change that is refused and why; nothing has changed then.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> Result<(), Refused> {
        let no_memory = |index| Refused {
            index,
            error: ChangeError::NoMemory,
        };
        let mut undo = KVVec::with_capacity(changes.len(), GFP_KERNEL).map_err(|_| no_memory(0))?;
        self.config.removed.sort();
        let mut outcome = Ok(());
        for (index, change) in changes.iter().enumerate() {
            let step = self.step(change).and_then(|step| {
                undo.push(step, GFP_KERNEL)
                    .map_err(|_| ChangeError::NoMemory)
            });
            if let Err(error) = step {
                outcome = Err(Refused { index, error });
                break;
            }
        }
        if outcome.is_ok() {
            outcome = self.publish(&mut undo).map_err(|_| no_memory(0));
        }
        if outcome.is_err() {
            while let Some(step) = undo.pop() {
                self.take_back(step);
            }
        }
        for service in self.config.services.iter_mut() {
            service.changed = false;
        }
        outcome
    }

    /// Applies one change to the configuration, but not to what packets see.
    #[inline(never)]
    fn step(&mut self, change: &Change) -> Result<Undo, ChangeError> {
        match *change {
            Change::ServiceAdd { id, spec } => self.add_service(id, spec),
            Change::ServiceSet { id, update } => {
                let (position, service) = self.config.service_mut(&id)?;
                let new = update.of(&service.spec);
                new.validate(&id)?;
                Ok(Undo::ServiceSet(
                    position,
                    service.set(new, &self.netns.templates)?,
                ))
            }
            Change::ServiceDel { id } => {
                let (position, _) = self.config.service_mut(&id)?;
                let service = self.config.services.remove(position);
                let service = service.map_err(|_| ChangeError::NoService(id))?;
                Ok(Undo::ServiceDel(position, service))
            }
            Change::DestAdd { service, id, spec } => self.add_dest(service, id, spec),
            Change::DestSet {
                service,
                id,
                update,
            } => {
                let is_lenient = self.is_lenient;
                let (_, place) = self.config.service_mut(&service)?;
                let position = place.position(&id).ok_or(ChangeError::NoDest(id))?;
                let member = place.dests.get(position).ok_or(ChangeError::NoDest(id))?;
                let old = member.dest.spec();
                let new = update.of(&old);
                let is_lenient = is_lenient || new.mode == old.mode;
                new.validate(&port_that_counts(id, &new, &service, is_lenient), &service)?;
                update.validate()?;
                if new.mode != old.mode && !is_lenient {
                    check_dest(self.netns.net(), id.address, new.mode)?;
                }
                member.dest.set_spec(new);
                let dest = member.dest.clone();
                place.changed = true;
                let deadline = dest.deadline();
                if let Some(seconds) = update.drain {
                    dest.drain(seconds);
                    self.config.draining = true;
                    self.netns.expect_work();
                } else if new.weight > 0 {
                    dest.set_deadline(None);
                }
                Ok(Undo::DestSet(dest, old, deadline))
            }
            Change::DestDel { service, id } => {
                let (at, place) = self.config.service_mut(&service)?;
                let position = place.position(&id).ok_or(ChangeError::NoDest(id))?;
                let member = place.dests.remove(position);
                let member = member.map_err(|_| ChangeError::NoDest(id))?;
                let carried = member.dest.carried();
                place.retired = place.retired.plus(carried);
                place.changed = true;
                Ok(Undo::DestDel(at, position, member, carried))
            }
            Change::LocalAdd { service, address } => {
                let (position, pool) = self.config.pool_mut(service.as_ref())?;
                pool.add(self.netns.net(), address)?;
                Ok(Undo::LocalAdd(position))
            }
            Change::LocalDel { service, address } => {
                let (position, pool) = self.config.pool_mut(service.as_ref())?;
                let (at, address) = pool.remove(address)?;
                Ok(Undo::LocalDel(position, at, address))
            }
        }
    }

    #[inline(never)]
    fn add_service(&mut self, id: ServiceId, spec: ServiceSpec) -> Result<Undo, ChangeError> {
        id.validate()?;
        spec.validate(&id)?;
        let scheduler = scheduler_by_name(&spec.scheduler)?;
        if self.config.find(&id).is_some() {
            return Err(ChangeError::ServiceExists(id));
        }
        // Where a service of that id was removed, its dests may still have connections.
        let published = match self.config.removed.of_service(&id) {
            Some(removed) => Ok(Publication::again(removed.dest.published())),
            None => Publication::new(),
        };
        let service = KBox::new(
            Service {
                id,
                spec,
                scheduler,
                dests: KVVec::new(),
                locals: Pool::new(),
                published: published.map_err(|_| ChangeError::NoMemory)?,
                templates: templates(&spec, &self.netns.templates)?,
                retired: Traffic::default(),
                zero: Traffic::default(),
                estimator: Estimator::new(Traffic::default()),
                changed: true,
                warming: false,
            },
            GFP_KERNEL,
        )
        .map_err(|_| ChangeError::NoMemory)?;
        push(&mut self.config.services, service)?;
        // Its dests most likely come next.
        self.config.last = self.config.services.len().saturating_sub(1);
        Ok(Undo::ServiceAdd)
    }

    #[inline(never)]
    fn add_dest(
        &mut self,
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
    ) -> Result<Undo, ChangeError> {
        let (net, is_lenient) = (self.netns.net(), self.is_lenient);
        let (position, place) = self.config.service_mut(&service)?;
        spec.validate(&port_that_counts(id, &spec, &service, is_lenient), &service)?;
        if place.position(&id).is_some() {
            return Err(ChangeError::DestExists(id));
        }
        if !is_lenient {
            check_dest(net, id.address, spec.mode)?;
        }
        place.changed = true;
        let slow_start = place.spec.slow_start;
        let published = place.published.clone();
        if let Some((dest, carried)) = self.config.removed_dest(service, id, spec, &published) {
            // Its connections find it again.
            let zero = dest.carried();
            let (_, place) = self.config.service_mut(&service)?;
            let member = Member {
                dest: dest.clone(),
                zero,
                estimator: Estimator::new(zero),
            };
            push(&mut place.dests, member)?;
            // That was counted as what a removed one had carried.
            place.retired = place.retired.since(carried);
            dest.set_spec(spec);
            dest.set_back();
            return Ok(Undo::DestBack(position, carried));
        }
        let dest = Dest::new(service, id, spec, published).map_err(|_| ChangeError::NoMemory)?;
        if slow_start > 0 {
            dest.start_slowly();
        }
        let member = Member {
            dest,
            zero: Traffic::default(),
            estimator: Estimator::new(Traffic::default()),
        };
        let (_, place) = self.config.service_mut(&service)?;
        push(&mut place.dests, member)?;
        Ok(Undo::DestAdd(position))
    }

    /// Takes back the last change that has not been taken back yet.
    #[inline(never)]
    fn take_back(&mut self, step: Undo) {
        let services = &mut self.config.services;
        match step {
            Undo::ServiceAdd => drop(services.pop()),
            Undo::ServiceSet(position, past) => {
                if let Some(service) = changed_at(services, position) {
                    (service.spec, service.scheduler) = (past.spec, past.scheduler);
                    if let Some(templates) = past.templates {
                        service.templates = templates;
                    }
                }
            }
            // There is room where it was taken from.
            Undo::ServiceDel(position, service) => {
                if services.insert_within_capacity(position, service).is_err() {
                    broken!(c"no room for a service where it was");
                }
            }
            Undo::DestAdd(position) => {
                if let Some(service) = changed_at(services, position) {
                    drop(service.dests.pop());
                }
            }
            Undo::DestBack(position, carried) => {
                if let Some(service) = changed_at(services, position) {
                    service.retired = service.retired.plus(carried);
                    if let Some(member) = service.dests.pop() {
                        member.dest.set_gone();
                    }
                }
            }
            Undo::DestSet(dest, spec, deadline) => {
                dest.set_spec(spec);
                dest.set_deadline(deadline);
            }
            Undo::DestDel(position, at, member, carried) => {
                if let Some(service) = changed_at(services, position) {
                    service.retired = service.retired.since(carried);
                    if service.dests.insert_within_capacity(at, member).is_err() {
                        broken!(c"no room for a dest where it was");
                    }
                }
            }
            Undo::LocalAdd(position) => {
                if let Some(pool) = self.config.pool_at(position) {
                    pool.take_back_add();
                }
            }
            Undo::LocalDel(position, at, address) => {
                if let Some(pool) = self.config.pool_at(position) {
                    pool.take_back_remove(at, address);
                }
            }
        }
    }

    /// Makes what packets see of the configuration as it is now, then shows it to them.
    ///
    /// Everything that can fail comes first. Takes the removed services and dests out of `undo`.
    #[inline(never)]
    fn publish(&mut self, undo: &mut KVVec<Undo>) -> Result {
        let netns = self.netns;
        let mut schedules = KVVec::new();
        for service in self.config.services.iter().filter(|s| s.changed) {
            let schedule = RcuBox::new(service.schedule(&self.config.locals)?, GFP_KERNEL)?;
            schedules.push((service.published.clone(), schedule), GFP_KERNEL)?;
        }
        let index = self.index()?;
        let leaving = undo.iter().map(Undo::dests_removed).sum();
        self.config.removed.reserve(leaving)?;
        let leaving = undo.iter().map(Undo::locals_removed).sum();
        self.config.left_locals.reserve(leaving)?;
        let config = &mut *self.config;
        config.activity.prepare(netns, &config.services)?;
        let wanted = !config.services.is_empty();
        let hold = match &mut config.hold {
            Some(_) => None,
            None if wanted => Some(Hold::new()?),
            None => None,
        };
        // Nothing fails from here on.
        if hold.is_some() || !wanted {
            config.hold = hold;
        }
        for (published, schedule) in schedules {
            schedule::publish(&published, schedule);
            delay::here();
        }
        netns.index.replace(Some(index));
        let config = &mut *self.config;
        config.activity.settle(netns, &config.services);
        // Those that are back in their service.
        self.config.removed.retain(|removed| removed.dest.is_gone());
        let settings = self.config.settings;
        for service in self.config.services.iter_mut().filter(|s| s.changed) {
            service.published.set_last(true);
            // The worker looks.
            service.warming = service.spec.slow_start > 0;
            for member in &service.dests {
                member.dest.follow_service(&service.spec, &settings);
            }
        }
        while let Some(step) = undo.pop() {
            match step {
                Undo::ServiceDel(_, mut service) => {
                    let mut others = self.config.services.iter();
                    let slot = &service.published;
                    let again = others.any(|other| Arc::ptr_eq(&other.published, slot));
                    service.published.set_last(!again);
                    self.retire_service(&service);
                }
                Undo::DestDel(_, _, member, carried) => self.retire_dest(member.dest, carried),
                Undo::LocalDel(_, _, address) => self.retire_locals(&[address]),
                _ => {}
            }
        }
        self.update_filters();
        if !self.config.services.is_empty() && netns.estimation.wake() {
            self.config.estimated_at = time::nanoseconds();
        }
        if self.has_warming() {
            netns.expect_work();
        }
        netns.next_generation();
        Ok(())
    }
}

impl Undo {
    /// How many dests leave for good when the change stands.
    fn dests_removed(&self) -> usize {
        match self {
            Self::ServiceDel(_, service) => service.dests.len(),
            Self::DestDel(..) => 1,
            _ => 0,
        }
    }

    /// How many local addresses leave their pools for good when the change stands.
    fn locals_removed(&self) -> usize {
        match self {
            Self::ServiceDel(_, service) => service.locals.addresses().len(),
            Self::LocalDel(..) => 1,
            _ => 0,
        }
    }
}

/// The dest as its settings are checked: where the mode leaves the port as it is, and whoever asks
/// may say any, with the service's.
fn port_that_counts(id: DestId, spec: &DestSpec, service: &ServiceId, is_lenient: bool) -> DestId {
    if is_lenient && !spec.mode.toward(id.address).can_change_port() {
        return DestId {
            port: service.port(),
            ..id
        };
    }
    id
}

/// Whether a dest's packets could be sent now.
pub(super) fn check_route(net: &'static Net, address: IpAddr) -> Result<(), ChangeError> {
    NextHop::check(net, address).map_err(|error| {
        if error == ENOMEM || error == ENOBUFS {
            ChangeError::NoMemory
        } else {
            ChangeError::NoRoute(address)
        }
    })
}

/// Checks that there is a way to a dest, or with mode local that it is this host.
fn check_dest(net: &'static Net, address: IpAddr, mode: Mode) -> Result<(), ChangeError> {
    if mode != Mode::Local {
        return check_route(net, address);
    }
    match route::is_of_this_host(net, address) {
        true => Ok(()),
        false => Err(ChangeError::NotOnThisHost(address)),
    }
}

fn push<T>(list: &mut KVVec<T>, item: T) -> Result<(), ChangeError> {
    list.push(item, GFP_KERNEL)
        .map_err(|_| ChangeError::NoMemory)
}

/// The service at the place at which a change has been made.
fn changed_at(services: &mut KVVec<KBox<Service>>, position: usize) -> Option<&mut KBox<Service>> {
    let service = services.get_mut(position);
    if service.is_none() {
        broken!(c"there is no service where one was changed");
    }
    service
}

// SPDX-License-Identifier: GPL-2.0

//! Batches of changes: made one by one, then published, or taken back in the opposite order.

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{
        connections::{need_accounts, need_slabs},
        counters::{EarlyDrops, Estimator, Traffic},
        dest::Dest,
        local::Pool,
        ordered::Ordered,
        publication::Publication,
    },
    checks::{check_dest, port_that_counts},
    guard::ConfigGuard,
    service::{scheduler_by_name, templates, Member, Service},
    undo::Undo,
};
use crate::engine::{
    change::{Change, ChangeError},
    service::{ServiceSpec, ServiceUpdate},
    spec::{DestId, DestSpec, DestUpdate, ServiceId},
};

/// A refused change: which one of those given, and why.
pub(crate) struct Refused {
    pub(crate) index: usize,
    pub(crate) error: ChangeError,
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
        let mut undo =
            KVVec::with_capacity(changes.len(), GFP_KERNEL_ACCOUNT).map_err(|_| no_memory(0))?;
        let mut outcome = Ok(());
        for (index, change) in changes.iter().enumerate() {
            let step = self.step(change).and_then(|step| {
                undo.push(step, GFP_KERNEL_ACCOUNT)
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
                step.take_back(&mut self.config);
            }
        }
        self.config.settle_changes();
        outcome
    }

    /// Removes all services.
    pub(crate) fn flush(&mut self) -> Result<(), ChangeError> {
        let mut changes = KVVec::with_capacity(self.service_count(), GFP_KERNEL_ACCOUNT)
            .map_err(|_| ChangeError::NoMemory)?;
        for service in &self.config.services {
            changes
                .push(Change::ServiceDel { id: service.id }, GFP_KERNEL_ACCOUNT)
                .map_err(|_| ChangeError::NoMemory)?;
        }
        self.apply(&changes).map_err(|refused| refused.error)
    }

    /// Applies one change to the configuration, but not to what packets see.
    #[inline(never)]
    fn step(&mut self, change: &Change) -> Result<Undo, ChangeError> {
        match *change {
            Change::ServiceAdd { id, spec } => self.add_service(id, spec),
            Change::ServiceSet { id, update } => self.set_service(id, update),
            Change::ServiceDel { id } => {
                let missing = ChangeError::NoService(id);
                let place = self.config.services.place(&id).ok_or(missing)?;
                let service = self.config.services.take(place).ok_or(missing)?;
                self.config.marks.remove(&id);
                Ok(Undo::ServiceDel(place, service))
            }
            Change::DestAdd { service, id, spec } => self.add_dest(service, id, spec),
            Change::DestSet {
                service,
                id,
                update,
            } => self.set_dest(service, id, update),
            Change::DestDel { service, id } => self.remove_dest(service, id),
            Change::LocalAdd { service, address } => {
                let (position, pool) = self.config.pool_mut(service.as_ref())?;
                pool.add(self.live.net(), address)?;
                Ok(Undo::LocalAdd(position, address))
            }
            Change::LocalDel { service, address } => {
                let (position, pool) = self.config.pool_mut(service.as_ref())?;
                let (at, address) = pool.remove(address)?;
                Ok(Undo::LocalDel(position, at, address))
            }
        }
    }

    #[inline(never)]
    fn set_service(&mut self, id: ServiceId, update: ServiceUpdate) -> Result<Undo, ChangeError> {
        let (place, service) = self.config.service_mut(&id)?;
        let new = update.of(&service.spec);
        new.validate(&id)?;
        need_slabs_of(&new, &id)?;
        self.config.mark_changed(place)?;
        let (place, service) = self.config.service_mut(&id)?;
        Ok(Undo::ServiceSet(
            place,
            service.set(new, &self.live.templates)?,
        ))
    }

    #[inline(never)]
    fn set_dest(
        &mut self,
        service: ServiceId,
        id: DestId,
        update: DestUpdate,
    ) -> Result<Undo, ChangeError> {
        let is_lenient = self.is_lenient;
        let (at, place) = self.config.service_mut(&service)?;
        let member = place.dests.find(&id).ok_or(ChangeError::NoDest(id))?;
        let dest = member.dest.clone();
        let old = dest.spec();
        let new = update.of(&old);
        let is_lenient = is_lenient || new.mode == old.mode;
        new.validate(&port_that_counts(id, &new, &service, is_lenient), &service)?;
        update.validate()?;
        if new.mode != old.mode && !is_lenient {
            check_dest(self.live.net(), id.address, new.mode)?;
        }
        self.config.mark_changed(at)?;
        dest.set_spec(new);
        let deadline = dest.life().deadline();
        if let Some(seconds) = update.drain {
            dest.life().drain(seconds);
            self.config.draining = true;
            self.live.expect_work();
        } else if new.weight > 0 {
            dest.life().set_deadline(None);
        }
        Ok(Undo::DestSet(dest, old, deadline))
    }

    #[inline(never)]
    fn remove_dest(&mut self, service: ServiceId, id: DestId) -> Result<Undo, ChangeError> {
        let missing = ChangeError::NoDest(id);
        let (at, place) = self.config.service_mut(&service)?;
        let within = place.dests.place(&id).ok_or(missing)?;
        self.config.mark_changed(at)?;
        let (at, place) = self.config.service_mut(&service)?;
        let member = place.dests.take(within).ok_or(missing)?;
        let carried = member.dest.carried();
        place.retired = place.retired.plus(carried);
        let left = (place.published.clone(), carried);
        Ok(Undo::DestDel(at, within, member, left))
    }

    #[inline(never)]
    fn add_service(&mut self, id: ServiceId, spec: ServiceSpec) -> Result<Undo, ChangeError> {
        id.validate()?;
        spec.validate(&id)?;
        need_slabs_of(&spec, &id)?;
        let scheduler = scheduler_by_name(&spec.scheduler)?;
        if self.config.services.place(&id).is_some() {
            return Err(ChangeError::ServiceExists(id));
        }
        // Where a service of that id was removed, its dests may still have connections.
        let published = match self.config.removed.of_service(&id) {
            Some(removed) => Ok(Publication::again(&removed.published)),
            None => Publication::new(),
        };
        let service = KBox::new(
            Service {
                id,
                spec,
                scheduler,
                dests: Ordered::new(self.config.key),
                locals: Pool::new(),
                published: published.map_err(|_| ChangeError::NoMemory)?,
                templates: templates(&spec, &self.live.templates)?,
                retired: Traffic::default(),
                early_drops: EarlyDrops::new().map_err(|_| ChangeError::NoMemory)?,
                zero: Traffic::default(),
                estimator: Estimator::new(Traffic::default()),
                changed: false,
                respecified: true,
                warming: false,
            },
            GFP_KERNEL_ACCOUNT,
        )
        .map_err(|_| ChangeError::NoMemory)?;
        let place = self.config.services.push(service);
        let place = place.map_err(|_| ChangeError::NoMemory)?;
        self.config.marks.add(&id);
        if let Err(error) = self.config.mark_changed(place) {
            Undo::ServiceAdd(place).take_back(&mut self.config);
            return Err(error);
        }
        Ok(Undo::ServiceAdd(place))
    }

    #[inline(never)]
    fn add_dest(
        &mut self,
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
    ) -> Result<Undo, ChangeError> {
        let (net, is_lenient) = (self.live.net(), self.is_lenient);
        let (at, place) = self.config.service_mut(&service)?;
        spec.validate(&port_that_counts(id, &spec, &service, is_lenient), &service)?;
        if place.dests.place(&id).is_some() {
            return Err(ChangeError::DestExists(id));
        }
        if !is_lenient {
            check_dest(net, id.address, spec.mode)?;
        }
        let slow_start = place.spec.slow_start;
        let published = place.published.clone();
        self.config.mark_changed(at)?;
        if let Some((dest, carried)) = self.config.removed.take_up(service, id, spec, &published) {
            // Its connections find it again.
            let within = self.add_member(&service, &dest, dest.carried())?;
            let (_, place) = self.config.service_mut(&service)?;
            // That was counted as what a removed one had carried.
            place.retired = place.retired.since(carried);
            dest.set_spec(spec);
            dest.set_back();
            return Ok(Undo::DestBack(at, within, carried));
        }
        let needed = need_slabs(service.is_ipv6(), id.address.is_ipv6());
        let made = needed.and_then(|()| Dest::new(service, id, spec, published));
        let dest = made.map_err(|_| ChangeError::NoMemory)?;
        if slow_start > 0 {
            dest.life().start_slowly();
        }
        let within = self.add_member(&service, &dest, Traffic::default())?;
        Ok(Undo::DestAdd(at, within))
    }

    /// Adds a dest, which has carried `zero`, to its service; its place there.
    #[inline(never)]
    fn add_member(
        &mut self,
        service: &ServiceId,
        dest: &Arc<Dest>,
        zero: Traffic,
    ) -> Result<usize, ChangeError> {
        self.config.order = self.config.order.wrapping_add(1);
        dest.set_order(self.config.order);
        let member = Member {
            dest: dest.clone(),
            zero,
            estimator: Estimator::new(zero),
        };
        let (_, place) = self.config.service_mut(service)?;
        let pushed = place.dests.push(member);
        pushed.map_err(|_| ChangeError::NoMemory)
    }
}

/// Makes the slabs that connections of a service are in besides those of its dests.
fn need_slabs_of(spec: &ServiceSpec, id: &ServiceId) -> Result<(), ChangeError> {
    if !spec.has_accounts() {
        return Ok(());
    }
    need_accounts(id.is_ipv6()).map_err(|_| ChangeError::NoMemory)
}

// SPDX-License-Identifier: GPL-2.0

//! A namespace's configuration, and how it changes.
//!
//! Everything here is under the configuration mutex. Packets see what [`ConfigGuard::apply`]
//! publishes by RCU at its end: all of a batch or nothing.

use core::{mem::replace, net::IpAddr, ops::ControlFlow};

use kernel::{
    prelude::*,
    sync::{Arc, MutexGuard},
};

use super::{
    activity::{goes_by_mark, Activity},
    counters::{Counter, Counters, Estimator, EventSums, Traffic},
    cpus::ByCpu,
    dest::Dest,
    filter::{header_word, AddressFilter, Gate},
    index::{Index, Published},
    local::{Left, Pool},
    netns::Netns,
    schedule::{self, Publication, Schedule},
    settings::Settings,
    templates::{Holder, TemplateCursor, TemplateView},
};
use crate::{
    engine::{
        change::{Change, ChangeError, SchedulerName},
        sched::{self, Scheduler},
        service::ServiceSpec,
        spec::{DestId, DestSpec, Mode, ServiceId, SpecError},
    },
    kapi::{
        netns::Net,
        percpu::Cpu,
        rcu::{Moment, Rcu, RcuBox},
        route::{self, NextHop},
        time,
        work::give_way,
    },
};

/// The configuration.
pub(crate) struct Config {
    services: KVVec<Service>,
    removed: KVVec<Removed>,
    settings: Settings,
    /// Local addresses of services that have none of their own.
    locals: Pool,
    left_locals: Left,
    activity: Activity,
    /// What removed services and dests have carried.
    retired: Traffic,
    /// What dests have carried that are forgotten, by CPU.
    forgotten: ByCpu,
    estimator: Estimator,
    /// When rates were last estimated, in nanoseconds since the boot.
    estimated_at: u64,
    /// What is taken off the namespace's counts since they were last set to zero.
    zero: Traffic,
    zero_events: EventSums,
    /// A dest may drain.
    draining: bool,
    /// Second of the uptime at which weights of dests that start slowly were last looked at.
    warmed: u32,
    /// Where the last service was found: batches often stay with one.
    last: usize,
}

/// A service.
pub(crate) struct Service {
    id: ServiceId,
    spec: ServiceSpec,
    /// That of the settings.
    scheduler: &'static dyn Scheduler,
    dests: KVVec<Member>,
    /// Its own local addresses.
    locals: Pool,
    published: Publication,
    /// Where networks of clients go, with persistence.
    templates: Option<Holder>,
    /// What removed dests have carried.
    retired: Traffic,
    zero: Traffic,
    estimator: Estimator,
    /// Its schedule has to be made anew.
    changed: bool,
    /// Its schedule has dests that start slowly.
    warming: bool,
}

/// A dest's place in a service.
pub(crate) struct Member {
    dest: Arc<Dest>,
    zero: Traffic,
    estimator: Estimator,
}

/// A dest that was removed but still has connections.
struct Removed {
    dest: Arc<Dest>,
    /// What it had carried when it was removed.
    carried: Traffic,
    /// Those who were reading then may still give it connections.
    at: Moment,
}

/// A refused change: which one of those given, and why.
pub(crate) struct Refused {
    pub(crate) index: usize,
    pub(crate) error: ChangeError,
}

/// How to take back a change.
enum Undo {
    ServiceAdd,
    ServiceSet(usize, Past),
    ServiceDel(usize, Service),
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

/// What a service was set to.
struct Past {
    spec: ServiceSpec,
    scheduler: &'static dyn Scheduler,
    /// Its templates, where it has others now.
    templates: Option<Option<Holder>>,
}

impl Service {
    /// What names it.
    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Its settings.
    pub(crate) fn spec(&self) -> ServiceSpec {
        self.spec
    }

    /// Its dests, in the order they were added.
    pub(crate) fn dests(&self) -> &[Member] {
        &self.dests
    }

    /// Its own local addresses.
    pub(crate) fn locals(&self) -> &Pool {
        &self.locals
    }

    /// Its traffic since it was added or set to zero.
    pub(crate) fn traffic(&self) -> Traffic {
        self.carried().since(self.zero)
    }

    /// Its traffic a second.
    pub(crate) fn rates(&self) -> Traffic {
        self.estimator.rates()
    }

    /// Networks of clients that stay with a dest.
    pub(crate) fn templates(&self) -> u32 {
        let templates = self.templates.as_ref();
        templates.map_or(0, |templates| templates.count())
    }

    /// Shows them to `visit` until it breaks, from the cursor on; one at which it breaks comes
    /// again. Returns where to go on, none at the end. May sleep.
    pub(crate) fn list_templates(
        &self,
        cursor: TemplateCursor,
        visit: impl FnMut(&TemplateView) -> ControlFlow<()>,
    ) -> Option<TemplateCursor> {
        let templates = self.templates.as_ref()?;
        templates.list(cursor, &self.spec.persistence, visit)
    }

    /// Changes its settings, which are valid. What it was before.
    fn set(&mut self, spec: ServiceSpec) -> Result<Past, ChangeError> {
        let scheduler = scheduler_by_name(&spec.scheduler)?;
        // Networks of another size are others.
        let same = spec.persistence.prefix == self.spec.persistence.prefix;
        let has = spec.persistence.seconds != 0;
        let stay = has == self.templates.is_some() && (same || !has);
        let templates = if stay { None } else { Some(templates(&spec)?) };
        self.changed = true;
        Ok(Past {
            spec: replace(&mut self.spec, spec),
            scheduler: replace(&mut self.scheduler, scheduler),
            templates: templates.map(|new| replace(&mut self.templates, new)),
        })
    }

    fn carried(&self) -> Traffic {
        self.dests
            .iter()
            .fold(self.retired, |sum, member| sum.plus(member.dest.carried()))
    }

    fn position(&self, id: &DestId) -> Option<usize> {
        self.dests.iter().position(|m| m.dest.id() == *id)
    }

    /// A schedule of its dests as they are now, which goes on where the published one stands.
    /// `default` are the local addresses it has when it has none of its own.
    fn schedule(&self, default: &Pool) -> Result<Schedule> {
        let dests = self.dests.iter().map(|member| &member.dest);
        let locals = self.locals.or_default(default)?;
        let options = self.spec.options(self.id.address().is_none());
        let schedule = Schedule::new(
            &self.spec,
            (self.scheduler, options),
            dests,
            locals,
            self.templates.as_ref().map(Holder::share),
        )?;
        // The configuration mutex is held, so what is published stays the same.
        let guard = kernel::sync::rcu::read_lock();
        let len = self.published.get(Rcu::of(&guard)).map_or(0, Schedule::len);
        drop(guard);
        let mut map = KVVec::with_capacity(len, GFP_KERNEL)?;
        let guard = kernel::sync::rcu::read_lock();
        if let Some(old) = self.published.get(Rcu::of(&guard)) {
            schedule.carry_on(old, &mut map);
        }
        drop(guard);
        Ok(schedule)
    }

    fn zero(&mut self) {
        self.zero = self.carried();
        self.estimator = Estimator::new(self.zero);
        for member in self.dests.iter_mut() {
            member.zero = member.dest.carried();
            member.estimator = Estimator::new(member.zero);
        }
    }

    /// Estimates rates from what it and its dests have carried; gives what it has.
    fn estimate(&mut self, elapsed_ms: u32) -> Traffic {
        let mut sum = self.retired;
        for member in self.dests.iter_mut() {
            let carried = member.dest.carried();
            member.estimator.look(carried, elapsed_ms);
            sum = sum.plus(carried);
        }
        self.estimator.look(sum, elapsed_ms);
        sum
    }
}

impl Member {
    /// The dest.
    pub(crate) fn dest(&self) -> &Dest {
        &self.dest
    }

    /// Its traffic since it was added or set to zero.
    pub(crate) fn traffic(&self) -> Traffic {
        self.dest.carried().since(self.zero)
    }

    /// Its traffic a second.
    pub(crate) fn rates(&self) -> Traffic {
        self.estimator.rates()
    }
}

impl Config {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            services: KVVec::new(),
            removed: KVVec::new(),
            settings: Settings::DEFAULT,
            locals: Pool::new(),
            left_locals: Left::new(),
            activity: Activity::default(),
            retired: Traffic::default(),
            forgotten: ByCpu::new()?,
            estimator: Estimator::new(Traffic::default()),
            estimated_at: 0,
            zero: Traffic::default(),
            zero_events: EventSums::default(),
            draining: false,
            warmed: 0,
            last: 0,
        })
    }

    pub(super) fn drop_hooks(&mut self) {
        self.activity.end();
    }

    /// Shows every dest, removed ones too.
    pub(super) fn for_each_dest(&self, mut f: impl FnMut(&Dest)) {
        for service in &self.services {
            service.dests.iter().for_each(|member| f(&member.dest));
        }
        self.removed.iter().for_each(|removed| f(&removed.dest));
    }

    fn find(&mut self, id: &ServiceId) -> Option<usize> {
        if self.services.get(self.last).is_some_and(|s| s.id == *id) {
            return Some(self.last);
        }
        self.last = self.services.iter().position(|s| s.id == *id)?;
        Some(self.last)
    }

    fn service_mut(&mut self, id: &ServiceId) -> Result<(usize, &mut Service), ChangeError> {
        let missing = ChangeError::NoService(*id);
        let position = self.find(id).ok_or(missing)?;
        let service = self.services.get_mut(position).ok_or(missing)?;
        Ok((position, service))
    }

    /// The local addresses of a service, or those of the namespace, to be changed.
    fn pool_mut(
        &mut self,
        service: Option<&ServiceId>,
    ) -> Result<(Option<usize>, &mut Pool), ChangeError> {
        if let Some(id) = service {
            let (position, service) = self.service_mut(id)?;
            service.changed = true;
            return Ok((Some(position), &mut service.locals));
        }
        for service in self.services.iter_mut() {
            service.changed |= service.locals.is_empty();
        }
        Ok((None, &mut self.locals))
    }

    /// The pool of the service at `position`, or the namespace's.
    fn pool_at(&mut self, position: Option<usize>) -> Option<&mut Pool> {
        match position {
            Some(position) => Some(&mut self.services.get_mut(position)?.locals),
            None => Some(&mut self.locals),
        }
    }

    /// A removed dest that may come back as one of those settings, and what it had carried when it
    /// was removed.
    fn removed_dest(
        &self,
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
        published: &Published,
    ) -> Option<(Arc<Dest>, Traffic)> {
        let found = self.removed.iter().find(|removed| {
            let dest = &removed.dest;
            dest.is_gone()
                && (dest.service(), dest.id()) == (service, id)
                // Its connections have no way in another mode.
                && dest.spec().mode == spec.mode
                && dest.is_told_by(published)
        });
        found.map(|removed| (removed.dest.clone(), removed.carried))
    }

    fn carried(&self) -> Traffic {
        let of_services = self
            .services
            .iter()
            .fold(self.retired, |sum, service| sum.plus(service.carried()));
        self.removed.iter().fold(of_services, |sum, removed| {
            sum.plus(removed.dest.carried().since(removed.carried))
        })
    }

    /// Estimates all rates, `elapsed_ms` after the last time.
    fn estimate(&mut self, elapsed_ms: u32) {
        let mut sum = self.retired;
        for service in self.services.iter_mut() {
            sum = sum.plus(service.estimate(elapsed_ms));
            give_way();
        }
        for removed in self.removed.iter() {
            sum = sum.plus(removed.dest.carried().since(removed.carried));
        }
        self.estimator.look(sum, elapsed_ms);
    }
}

/// The configuration, locked.
pub(crate) struct ConfigGuard<'a> {
    netns: &'a Netns,
    config: MutexGuard<'a, Config>,
    /// Dests are taken that `ip_vs` takes.
    is_lenient: bool,
}

impl<'a> ConfigGuard<'a> {
    pub(super) fn new(netns: &'a Netns, config: MutexGuard<'a, Config>) -> Self {
        Self {
            netns,
            config,
            is_lenient: false,
        }
    }

    /// Takes dests that there is no route to yet, and any port where it plays no part, until it is
    /// dropped.
    pub(crate) fn be_lenient(&mut self) {
        self.is_lenient = true;
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u32 {
        self.netns.generation()
    }

    /// The namespace.
    pub(super) fn net(&self) -> &Net {
        self.netns.net()
    }

    /// Whether a dest may drain.
    pub(super) fn is_draining(&self) -> bool {
        self.config.draining
    }

    pub(super) fn set_draining(&mut self, draining: bool) {
        self.config.draining = draining;
    }

    /// The dests of all services.
    pub(super) fn shared_dests(&self) -> impl Iterator<Item = &Arc<Dest>> {
        let members = self.config.services.iter().flat_map(|s| s.dests.iter());
        members.map(|member| &member.dest)
    }

    /// The services, in the order they were added.
    pub(crate) fn services(&self) -> &[Service] {
        &self.config.services
    }

    /// The service of that id.
    pub(crate) fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.config.services.iter().find(|s| s.id == *id)
    }

    /// The dest of that id in the service of that id.
    pub(crate) fn dest(&self, service: &ServiceId, id: &DestId) -> Result<&Member, ChangeError> {
        let service = self
            .service(service)
            .ok_or(ChangeError::NoService(*service))?;
        service
            .dests
            .iter()
            .find(|member| member.dest.id() == *id)
            .ok_or(ChangeError::NoDest(*id))
    }

    /// The namespace's local addresses, for services that have none of their own.
    pub(crate) fn locals(&self) -> &Pool {
        &self.config.locals
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Settings {
        self.config.settings
    }

    /// Checks and sets all settings.
    pub(crate) fn set_settings(&mut self, settings: Settings) -> Result<(), SpecError> {
        settings.validate()?;
        self.config.settings = settings;
        self.netns.settings.set(&settings);
        self.netns.defence.look(&settings);
        self.netns.next_generation();
        Ok(())
    }

    /// Traffic of the namespace since it was last set to zero.
    pub(crate) fn traffic(&self) -> Traffic {
        self.config.carried().since(self.config.zero)
    }

    /// Traffic of the namespace a second.
    pub(crate) fn rates(&self) -> Traffic {
        self.config.estimator.rates()
    }

    /// What one CPU has carried of the namespace's traffic, never set to zero.
    pub(crate) fn carried_on(&self, cpu: Cpu) -> Traffic {
        let mut sum = self.config.forgotten.of(cpu);
        self.config
            .for_each_dest(|dest| sum = sum.plus(dest.carried_on(cpu)));
        sum
    }

    /// Estimates all rates; false when there is nothing to estimate any more. May sleep.
    pub(super) fn estimate(&mut self) -> bool {
        let (now, config) = (time::nanoseconds(), &mut *self.config);
        let elapsed_ms = now.saturating_sub(config.estimated_at) / 1_000_000;
        config.estimated_at = now;
        config.estimate(u32::try_from(elapsed_ms).unwrap_or(u32::MAX));
        !config.services.is_empty() || config.estimator.rates() != Traffic::default()
    }

    /// What happened in the namespace since it was last set to zero.
    pub(crate) fn counters(&self) -> Counters {
        let netns = self.netns;
        let sums = netns.counters.sums().since(&self.config.zero_events);
        Counters {
            conns_now: u64::from(netns.connections.count()),
            conns_expired: sums.get(Counter::ConnsExpired),
            table_buckets: u64::from(netns.connections.buckets()),
            table_resizes: u64::from(netns.connections.resizes()),
            drop_malformed: sums.get(Counter::DropMalformed),
            drop_no_dest: sums.get(Counter::DropNoDest),
            drop_no_memory: sums.get(Counter::DropNoMemory),
            drop_no_port: sums.get(Counter::DropNoPort),
            drop_conn_max: sums.get(Counter::DropConnMax),
            drop_overload: sums.get(Counter::DropOverload),
            conns_dropped: sums.get(Counter::ConnsDropped),
            drop_no_route: sums.get(Counter::DropNoRoute),
            drop_dest_gone: sums.get(Counter::DropDestGone),
            drop_too_big: sums.get(Counter::DropTooBig),
            not_syn: sums.get(Counter::NotSyn),
            slow_xmit: sums.get(Counter::SlowXmit),
            route_refreshes: sums.get(Counter::RouteRefreshes),
        }
    }

    /// Sets traffic and counts to zero: all, or those of one service with its dests.
    pub(crate) fn zero(&mut self, service: Option<&ServiceId>) -> Result<(), ChangeError> {
        if let Some(id) = service {
            self.config.service_mut(id)?.1.zero();
            return Ok(());
        }
        self.config.zero = self.config.carried();
        self.config.estimator = Estimator::new(self.config.zero);
        self.config.zero_events = self.netns.counters.sums();
        self.config.services.iter_mut().for_each(Service::zero);
        Ok(())
    }

    /// Removes all services.
    pub(crate) fn flush(&mut self) -> Result<(), ChangeError> {
        let mut changes = KVVec::new();
        for service in &self.config.services {
            changes
                .push(Change::ServiceDel { id: service.id }, GFP_KERNEL)
                .map_err(|_| ChangeError::NoMemory)?;
        }
        self.apply(&changes).map_err(|refused| refused.error)
    }

    /// Whether a dest's packets could be sent now.
    pub(crate) fn has_route(&self, address: IpAddr) -> bool {
        check_route(self.netns.net(), address).is_ok()
    }

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
    fn step(&mut self, change: &Change) -> Result<Undo, ChangeError> {
        match *change {
            Change::ServiceAdd { id, spec } => self.add_service(id, spec),
            Change::ServiceSet { id, update } => {
                let (position, service) = self.config.service_mut(&id)?;
                let new = update.of(&service.spec);
                new.validate(&id)?;
                Ok(Undo::ServiceSet(position, service.set(new)?))
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

    fn add_service(&mut self, id: ServiceId, spec: ServiceSpec) -> Result<Undo, ChangeError> {
        id.validate()?;
        spec.validate(&id)?;
        let scheduler = scheduler_by_name(&spec.scheduler)?;
        if self.config.find(&id).is_some() {
            return Err(ChangeError::ServiceExists(id));
        }
        // Where a service of that id was removed, its dests may still have connections.
        let mut removed = self.config.removed.iter();
        let published = match removed.find(|removed| removed.dest.service() == id) {
            Some(removed) => Ok(Publication::again(removed.dest.published())),
            None => Publication::new(),
        };
        let service = Service {
            id,
            spec,
            scheduler,
            dests: KVVec::new(),
            locals: Pool::new(),
            published: published.map_err(|_| ChangeError::NoMemory)?,
            templates: templates(&spec)?,
            retired: Traffic::default(),
            zero: Traffic::default(),
            estimator: Estimator::new(Traffic::default()),
            changed: true,
            warming: false,
        };
        push(&mut self.config.services, service)?;
        Ok(Undo::ServiceAdd)
    }

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
    fn take_back(&mut self, step: Undo) {
        let services = &mut self.config.services;
        match step {
            Undo::ServiceAdd => drop(services.pop()),
            Undo::ServiceSet(position, past) => {
                if let Some(service) = services.get_mut(position) {
                    (service.spec, service.scheduler) = (past.spec, past.scheduler);
                    if let Some(templates) = past.templates {
                        service.templates = templates;
                    }
                }
            }
            // There is room where it was taken from.
            Undo::ServiceDel(position, service) => {
                let _ = services.insert_within_capacity(position, service);
            }
            Undo::DestAdd(position) => {
                if let Some(service) = services.get_mut(position) {
                    drop(service.dests.pop());
                }
            }
            Undo::DestBack(position, carried) => {
                if let Some(service) = services.get_mut(position) {
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
                if let Some(service) = services.get_mut(position) {
                    service.retired = service.retired.since(carried);
                    let _ = service.dests.insert_within_capacity(at, member);
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
    fn publish(&mut self, undo: &mut KVVec<Undo>) -> Result {
        let netns = self.netns;
        let mut schedules = KVVec::new();
        for service in self.config.services.iter().filter(|s| s.changed) {
            let schedule = RcuBox::new(service.schedule(&self.config.locals)?, GFP_KERNEL)?;
            schedules.push((service.published.clone(), schedule), GFP_KERNEL)?;
        }
        let services = self.config.services.iter();
        let index = Index::new(
            services.map(|s| (s.id.key(), &*s.published)),
            self.config.services.len(),
            netns.service_key,
        )?;
        let index = RcuBox::new(index, GFP_KERNEL)?;
        let leaving = undo.iter().map(Undo::dests_removed).sum();
        self.config.removed.reserve(leaving, GFP_KERNEL)?;
        let leaving = undo.iter().map(Undo::locals_removed).sum();
        self.config.left_locals.reserve(leaving)?;
        let config = &mut *self.config;
        config.activity.prepare(netns, &config.services)?;
        // Nothing fails from here on.
        for (published, schedule) in schedules {
            schedule::publish(&published, schedule);
        }
        netns.index.replace(Some(index));
        let config = &mut *self.config;
        config.activity.settle(netns, &config.services);
        // Those that are back in their service.
        self.config.removed.retain(|removed| removed.dest.is_gone());
        for service in self.config.services.iter_mut().filter(|s| s.changed) {
            service.published.set_last(true);
            // The worker looks.
            service.warming = service.spec.slow_start > 0;
            for member in &service.dests {
                member.dest.follow_service(&service.spec);
            }
        }
        while let Some(step) = undo.pop() {
            match step {
                Undo::ServiceDel(_, mut service) => {
                    let mut others = self.config.services.iter();
                    let slot = &service.published;
                    let again = others.any(|other| Arc::ptr_eq(&other.published, slot));
                    service.published.set_last(!again);
                    self.retire_service(service);
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

    /// Gives dests that start slowly the weight of this second. True while there are such.
    pub(super) fn warm_up(&mut self) -> bool {
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
            let Ok(schedule) = RcuBox::new(schedule, GFP_KERNEL) else {
                continue;
            };
            service.warming = warming;
            schedule::publish(&service.published, schedule);
        }
        self.has_warming()
    }

    pub(super) fn has_warming(&self) -> bool {
        self.config.services.iter().any(|service| service.warming)
    }

    fn retire_service(&mut self, service: Service) {
        self.config.retired = self.config.retired.plus(service.carried());
        self.retire_locals(service.locals.addresses());
        for member in service.dests {
            let carried = member.dest.carried();
            self.retire_dest(member.dest, carried);
        }
    }

    /// Keeps a removed dest while it has connections; there is room for it. Packets no longer see
    /// it, but for those that are on their way.
    fn retire_dest(&mut self, dest: Arc<Dest>, carried: Traffic) {
        dest.set_gone();
        let at = Moment::now();
        let removed = Removed { dest, carried, at };
        let _ = self.config.removed.push_within_capacity(removed);
        self.netns.expect_work();
    }

    /// Lets packets to local addresses in that have left their pools, while connections may have
    /// them; there is room for them.
    fn retire_locals(&mut self, addresses: &[IpAddr]) {
        self.config.left_locals.keep(addresses);
        self.netns.expect_work();
    }

    /// Forgets what was removed, dests and local addresses, and has no connections any more and
    /// gets none. True when some still has.
    pub(super) fn bury_removed(&mut self) -> bool {
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

    /// Ends templates that have expired; `turn` says which to look at. True when there are others.
    pub(super) fn sweep_templates(&self, turn: u32) -> bool {
        let mut some = false;
        for service in &self.config.services {
            if let Some(templates) = &service.templates {
                templates.sweep(turn, &service.spec.persistence);
                some |= templates.count() > 0;
            }
        }
        some
    }

    /// Whether there are removed dests or local addresses that are not forgotten yet.
    pub(super) fn has_removed(&self) -> bool {
        !self.config.removed.is_empty() || !self.config.left_locals.is_empty()
    }

    /// Lets exactly those packets in that services and connections are there for.
    fn update_filters(&self) {
        let config = &*self.config;
        let services = config.services.iter().map(|s| s.id);
        let removed = config.removed.iter().map(|r| r.dest.service());
        let ids = Iterator::chain(services, removed);
        let addresses = ids.clone().filter_map(|id| id.address());
        let addresses = Iterator::chain(addresses, self.locals_in_use());
        set(self.netns, |gate| &gate.virtual_addresses, addresses);
        // Those that marked flows came to, while there may be connections of such.
        for (gate, version) in [(&self.netns.gate_v4, 4), (&self.netns.gate_v6, 6)] {
            if !ids.clone().any(|id| goes_by_mark(&id, version)) {
                gate.virtual_addresses.forget_added();
            }
        }
        let members = config.services.iter().flat_map(|s| s.dests.iter());
        let dests = Iterator::chain(
            members.map(|member| &member.dest),
            config.removed.iter().map(|removed| &removed.dest),
        );
        let translated = dests.filter(|dest| dest.is_translated());
        let translated = translated.map(|dest| dest.id().address);
        set(self.netns, |gate| &gate.translated_dests, translated);
    }
}

impl ConfigGuard<'_> {
    /// Addresses that dests may answer to: those of all pools, and those that have left them.
    fn locals_in_use(&self) -> impl Iterator<Item = IpAddr> + Clone + '_ {
        let config = &*self.config;
        let services = config.services.iter();
        let of_services = services.flat_map(|service| service.locals.addresses());
        let pools = Iterator::chain(of_services, config.locals.addresses());
        let all = Iterator::chain(pools, config.left_locals.addresses());
        all.copied()
    }
}

/// Makes a filter of each family hold exactly those of `addresses` that are of it.
fn set(
    netns: &Netns,
    filter: fn(&Gate) -> &AddressFilter,
    addresses: impl Iterator<Item = IpAddr> + Clone,
) {
    let v4 = addresses.clone().filter(IpAddr::is_ipv4);
    filter(&netns.gate_v4).set(v4.map(header_word));
    let v6 = addresses.filter(IpAddr::is_ipv6);
    filter(&netns.gate_v6).set(v6.map(header_word));
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
    if is_lenient && !spec.mode.can_change_port() {
        return DestId {
            port: service.port(),
            ..id
        };
    }
    id
}

/// Whether a dest's packets could be sent now.
fn check_route(net: &'static Net, address: IpAddr) -> Result<(), ChangeError> {
    NextHop::check(net, address).map_err(|error| {
        if error == ENOMEM || error == ENOBUFS {
            ChangeError::NoMemory
        } else {
            ChangeError::NoRoute(address)
        }
    })
}

fn scheduler_by_name(name: &SchedulerName) -> Result<&'static dyn Scheduler, ChangeError> {
    sched::by_name(name.as_str()).ok_or(ChangeError::NoScheduler(*name))
}

/// Templates for a service of `spec`, none yet; or none at all.
fn templates(spec: &ServiceSpec) -> Result<Option<Holder>, ChangeError> {
    if spec.persistence.seconds == 0 {
        return Ok(None);
    }
    Ok(Some(Holder::new().map_err(|_| ChangeError::NoMemory)?))
}

fn push<T>(list: &mut KVVec<T>, item: T) -> Result<(), ChangeError> {
    list.push(item, GFP_KERNEL)
        .map_err(|_| ChangeError::NoMemory)
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

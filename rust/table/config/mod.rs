// SPDX-License-Identifier: GPL-2.0

//! A namespace's configuration: what there is, and what is read of it.
//!
//! Everything here is under the configuration mutex. Packets see what [`ConfigGuard::apply`]
//! publishes by RCU at its end: all of a batch or nothing.

mod change;
mod publish;
mod removed;
mod service;

use core::{mem::replace, net::IpAddr};

use kernel::{
    prelude::*,
    sync::{Arc, MutexGuard},
};

use self::{change::check_route, removed::RemovedDests};
pub(crate) use self::{
    change::Refused,
    service::{Member, Service},
};
use super::{
    activity::{goes_by_mark, Activity, Marks},
    counters::{Counter, Counters, Estimator, EventSums, Traffic},
    cpus::ByCpu,
    dest::Dest,
    filter::{header_word, AddressFilter, Gate},
    index::Index,
    local::{Left, Pool},
    netns::Netns,
    ordered::Ordered,
    publication,
    settings::{LiveSettings, Settings},
};
use crate::{
    engine::{
        change::{Change, ChangeError},
        hash::Key,
        spec::{DestId, ServiceId},
    },
    kapi::{modules::Hold, netns::Net, percpu::Cpu, rcu::RcuBox, time, work::give_way},
};

/// The configuration.
pub(crate) struct Config {
    // In boxes, as they are large.
    services: Ordered<KBox<Service>>,
    /// Places of those that have changed since they were published.
    changed: KVVec<usize>,
    /// How many of them go by marks.
    marks: Marks,
    /// Order of the next dest that is added.
    order: u64,
    removed: RemovedDests,
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
    /// Keeps the module while there are services.
    hold: Option<Hold>,
    /// Packets to some address are let in that nothing is there for any more.
    filters_stale: bool,
    /// For the tables of dests by their ids.
    key: Key,
}

impl Config {
    /// Nothing, where it is to be: it is large. `key` is for tables by ids. May sleep.
    pub(super) fn init(key: Key) -> Result<impl Init<Self>> {
        let forgotten = ByCpu::new()?;
        Ok(init!(Self {
            services: Ordered::new(key),
            changed: KVVec::new(),
            marks: Marks::default(),
            order: 0,
            removed: RemovedDests::new(),
            settings: Settings::DEFAULT,
            locals: Pool::new(),
            left_locals: Left::new(),
            activity: Activity::default(),
            retired: Traffic::default(),
            forgotten,
            estimator: Estimator::new(Traffic::default()),
            estimated_at: 0,
            zero: Traffic::default(),
            zero_events: EventSums::default(),
            draining: false,
            warmed: 0,
            hold: None,
            filters_stale: false,
            key,
        }))
    }

    /// Starts with the limit that the first namespace sets for others.
    pub(super) fn inherit(&mut self, is_first: bool, live: &LiveSettings) {
        self.settings.inherit(is_first);
        live.set(&self.settings);
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

    fn service_mut(&mut self, id: &ServiceId) -> Result<(usize, &mut Service), ChangeError> {
        let missing = ChangeError::NoService(*id);
        let place = self.services.place(id).ok_or(missing)?;
        let service = self.services.get_mut(place).ok_or(missing)?;
        Ok((place, service))
    }

    /// Has the schedule of the service at `place` made anew.
    fn mark_changed(&mut self, place: usize) -> Result<(), ChangeError> {
        let Some(service) = self.services.get_mut(place).filter(|s| !s.changed) else {
            return Ok(());
        };
        let pushed = self.changed.push(place, GFP_KERNEL_ACCOUNT);
        service.changed = pushed.is_ok();
        pushed.map_err(|_| ChangeError::NoMemory)
    }

    /// The services whose schedules have to be made anew.
    fn changed(&self) -> impl Iterator<Item = &Service> {
        let places = self.changed.iter();
        places.filter_map(|place| self.services.get(*place).map(|service| &**service))
    }

    /// All that has changed is published, or taken back.
    fn settle_changes(&mut self) {
        for place in &self.changed {
            if let Some(service) = self.services.get_mut(*place) {
                service.changed = false;
                service.respecified = false;
                service.dests.close_gaps();
            }
        }
        self.changed.clear();
        self.services.close_gaps();
    }

    /// The local addresses of a service, or those of the namespace, to be changed.
    fn pool_mut(
        &mut self,
        service: Option<&ServiceId>,
    ) -> Result<(Option<usize>, &mut Pool), ChangeError> {
        if let Some(id) = service {
            let (place, _) = self.service_mut(id)?;
            self.mark_changed(place)?;
            let (place, service) = self.service_mut(id)?;
            return Ok((Some(place), &mut service.locals));
        }
        for place in self.services.places() {
            let service = self.services.get(place);
            if service.is_some_and(|service| service.locals.is_empty()) {
                self.mark_changed(place)?;
            }
        }
        Ok((None, &mut self.locals))
    }

    /// The pool of the service at `place`, or the namespace's.
    fn pool_at(&mut self, place: Option<usize>) -> Option<&mut Pool> {
        match place {
            Some(place) => Some(&mut self.services.get_mut(place)?.locals),
            None => Some(&mut self.locals),
        }
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
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> + Clone {
        self.config.services.iter().map(|service| &**service)
    }

    /// How many services there are.
    pub(crate) fn service_count(&self) -> usize {
        self.config.services.len()
    }

    /// The service of that id.
    pub(crate) fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.config.services.find(id).map(|service| &**service)
    }

    /// The dest of that id in the service of that id.
    pub(crate) fn dest(&self, service: &ServiceId, id: &DestId) -> Result<&Member, ChangeError> {
        let service = self
            .service(service)
            .ok_or(ChangeError::NoService(*service))?;
        service.dests.find(id).ok_or(ChangeError::NoDest(*id))
    }

    /// The namespace's local addresses, for services that have none of their own.
    pub(crate) fn locals(&self) -> &Pool {
        &self.config.locals
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Settings {
        self.config.settings
    }

    /// Whether the settings are the host's.
    pub(crate) fn is_of_first(&self) -> bool {
        self.net().is_first()
    }

    /// Checks whether this namespace may have these settings in place of those it has.
    ///
    /// # Errors
    ///
    /// The limit that they exceed.
    pub(crate) fn check_settings(&self, settings: &Settings) -> Result<(), ChangeError> {
        Ok(settings.check(&self.config.settings, self.is_of_first())?)
    }

    /// Checks and sets all settings.
    ///
    /// # Errors
    ///
    /// What is wrong with them, or `NoMemory`.
    pub(crate) fn set_settings(&mut self, settings: Settings) -> Result<(), ChangeError> {
        settings.validate()?;
        self.check_settings(&settings)?;
        let config = &mut *self.config;
        config.settings = settings;
        for service in &config.services {
            let members = service.dests.iter();
            members.for_each(|member| member.dest.follow_service(&service.spec, &settings));
        }
        self.netns.settings.set(&settings);
        self.netns.defence.look(&settings);
        self.netns.next_generation();
        Ok(())
    }

    /// The index of the services as they are.
    fn index(&self) -> Result<KBox<RcuBox<Index>>> {
        let services = self.config.services.iter();
        let index = Index::new(
            services.map(|s| (s.id.key(), &*s.published)),
            self.config.services.len(),
            self.netns.service_key,
        )?;
        RcuBox::new(index, GFP_KERNEL_ACCOUNT)
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
            templates_now: u64::from(netns.templates.get()),
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
            templates_dropped: sums.get(Counter::TemplatesDropped),
            drop_martian: sums.get(Counter::DropMartian),
            input_rules: u64::from(netns.input_rules()),
            drop_no_route: sums.get(Counter::DropNoRoute),
            drop_dest_gone: sums.get(Counter::DropDestGone),
            drop_too_big: sums.get(Counter::DropTooBig),
            not_syn: sums.get(Counter::NotSyn),
            slow_xmit: sums.get(Counter::SlowXmit),
            drop_output: sums.get(Counter::DropOutput),
            no_reply: sums.get(Counter::NoReply),
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
        let services = self.config.services.iter_mut();
        services.for_each(|service| service.zero());
        Ok(())
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

    /// Whether a dest's packets could be sent now.
    pub(crate) fn has_route(&self, address: IpAddr) -> bool {
        check_route(self.netns.net(), address).is_ok()
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
            let Ok(schedule) = RcuBox::new(schedule, GFP_KERNEL_ACCOUNT) else {
                continue;
            };
            service.warming = warming;
            publication::publish(&service.published, schedule);
        }
        self.has_warming()
    }

    pub(super) fn has_warming(&self) -> bool {
        self.config.services.iter().any(|service| service.warming)
    }

    /// Ends templates that have expired; `turn` says which to look at. With `pressed` also some that
    /// are not assured. True when there are others.
    pub(super) fn sweep_templates(&self, turn: u32, pressed: Option<u32>) -> bool {
        let mut some = false;
        for service in &self.config.services {
            if let Some(templates) = &service.templates {
                let dropped = templates.sweep(turn, &service.spec.persistence, pressed);
                let counters = &self.netns.counters;
                counters.count_many(Counter::TemplatesDropped, dropped);
                some |= templates.count() > 0;
            }
        }
        some
    }

    /// Lets exactly those packets in that services and connections are there for. That takes a look at
    /// all there is, so the worker does it; what is new is let in by [`Self::let_in`] at once.
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
    /// Lets packets to `address` in, or those from a dest that `is_translated`.
    fn let_in(&self, address: IpAddr, is_translated: bool) {
        let gate = match address.is_ipv6() {
            true => &self.netns.gate_v6,
            false => &self.netns.gate_v4,
        };
        let filter = match is_translated {
            true => &gate.translated_dests,
            false => &gate.virtual_addresses,
        };
        filter.include(header_word(address));
    }

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

// SPDX-License-Identifier: GPL-2.0

//! A namespace's configuration: what there is.

use kernel::prelude::*;

use super::{
    super::{
        activity::{Activate, Activity, Marks},
        counters::{Estimator, EventSums, Traffic},
        cpus::ByCpu,
        dest::Dest,
        local::{Left, Pool},
        ordered::Ordered,
        settings::{LiveSettings, Settings},
    },
    removed::RemovedDests,
    service::Service,
};
use crate::{
    engine::{change::ChangeError, hash::Key, spec::ServiceId},
    kapi::modules::Hold,
};

/// The configuration.
pub(crate) struct Config {
    // In boxes, as they are large.
    pub(super) services: Ordered<KBox<Service>>,
    /// Places of those that have changed since they were published.
    pub(super) changed: KVVec<usize>,
    /// How many of them go by marks.
    pub(super) marks: Marks,
    /// Order of the next dest that is added.
    pub(super) order: u64,
    pub(super) removed: RemovedDests,
    pub(super) settings: Settings,
    /// Local addresses of services that have none of their own.
    pub(super) locals: Pool,
    pub(super) left_locals: Left,
    pub(super) activity: Activity,
    /// What removed services and dests have carried.
    pub(super) retired: Traffic,
    /// What dests have carried that are forgotten, by CPU.
    pub(super) forgotten: ByCpu,
    pub(super) estimator: Estimator,
    /// When rates were last estimated, in nanoseconds since the boot.
    pub(super) estimated_at: u64,
    /// What is taken off the namespace's counts since they were last set to zero.
    pub(super) zero: Traffic,
    pub(super) zero_events: EventSums,
    /// A dest may drain.
    pub(super) draining: bool,
    /// Second of the uptime at which weights of dests that start slowly were last looked at.
    pub(super) warmed: u32,
    /// Keeps the module while there are services.
    pub(super) hold: Option<Hold>,
    /// Packets to some address are let in that nothing is there for any more.
    pub(super) filters_stale: bool,
    /// For the tables of dests by their ids.
    pub(super) key: Key,
}

impl Config {
    /// Nothing, where it is to be: it is large. `key` is for tables by ids. May sleep.
    pub(in crate::table) fn init(key: Key) -> Result<impl Init<Self>> {
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
            activity: Activity::new(),
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

    /// Starts with the limit that the first namespace sets for others, and where the module says.
    pub(in crate::table) fn inherit(
        &mut self,
        is_first: bool,
        live: &LiveSettings,
        hooks: &dyn Activate,
    ) -> Result {
        self.settings.inherit(is_first);
        self.activity.move_to(hooks, self.settings.posts())?;
        live.set(&self.settings);
        Ok(())
    }

    pub(in crate::table) fn drop_hooks(&mut self) {
        self.activity.end();
    }

    /// Shows every dest, removed ones too.
    pub(in crate::table) fn for_each_dest(&self, mut f: impl FnMut(&Dest)) {
        for service in &self.services {
            service.dests.iter().for_each(|member| f(&member.dest));
        }
        self.removed.iter().for_each(|removed| f(&removed.dest));
    }

    pub(super) fn service_mut(
        &mut self,
        id: &ServiceId,
    ) -> Result<(usize, &mut Service), ChangeError> {
        let missing = ChangeError::NoService(*id);
        let place = self.services.place(id).ok_or(missing)?;
        let service = self.services.get_mut(place).ok_or(missing)?;
        Ok((place, service))
    }

    /// Has the schedule of the service at `place` made anew.
    pub(super) fn mark_changed(&mut self, place: usize) -> Result<(), ChangeError> {
        let Some(service) = self.services.get_mut(place).filter(|s| !s.changed) else {
            return Ok(());
        };
        let pushed = self.changed.push(place, GFP_KERNEL_ACCOUNT);
        service.changed = pushed.is_ok();
        pushed.map_err(|_| ChangeError::NoMemory)
    }

    /// The services whose schedules have to be made anew.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Service> {
        let places = self.changed.iter();
        places.filter_map(|place| self.services.get(*place).map(|service| &**service))
    }

    /// All that has changed is published, or taken back.
    pub(super) fn settle_changes(&mut self) {
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
    pub(super) fn pool_mut(
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
    pub(super) fn pool_at(&mut self, place: Option<usize>) -> Option<&mut Pool> {
        match place {
            Some(place) => Some(&mut self.services.get_mut(place)?.locals),
            None => Some(&mut self.locals),
        }
    }
}

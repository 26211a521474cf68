// SPDX-License-Identifier: GPL-2.0

//! A service as it is configured, and its dests.

use core::{mem::replace, net::IpAddr, ops::ControlFlow};

use kernel::{prelude::*, sync::Arc};

use super::super::{
    counters::{EarlyDrops, Estimator, Traffic},
    dest::Dest,
    local::Pool,
    ordered::{Named, Ordered},
    publication::Publication,
    schedule::Schedule,
    templates::{Holder, TemplateCursor, TemplateView, Total},
};
use crate::{
    engine::{
        change::ChangeError,
        hash::{self, Key},
        persistence::Persistence,
        sched::{self, Scheduler, SchedulerName},
        service::ServiceSpec,
        spec::{DestId, ServiceId},
    },
    kapi::rcu::Rcu,
};

/// A service.
pub(crate) struct Service {
    pub(super) id: ServiceId,
    pub(super) spec: ServiceSpec,
    /// That of the settings.
    pub(super) scheduler: &'static dyn Scheduler,
    pub(super) dests: Ordered<Member>,
    /// Its own local addresses.
    pub(super) locals: Pool,
    pub(super) published: Publication,
    /// Where networks of clients go, with persistence.
    pub(super) templates: Option<Holder>,
    /// What removed dests have carried.
    pub(super) retired: Traffic,
    /// What was dropped before a dest was chosen.
    pub(super) early_drops: EarlyDrops,
    pub(super) zero: Traffic,
    pub(super) estimator: Estimator,
    /// Its schedule has to be made anew.
    pub(super) changed: bool,
    /// Its dests do not follow its settings yet.
    pub(super) respecified: bool,
    /// Its schedule has dests that start slowly.
    pub(super) warming: bool,
}

/// A dest's place in a service.
pub(crate) struct Member {
    pub(super) dest: Arc<Dest>,
    pub(super) zero: Traffic,
    pub(super) estimator: Estimator,
}

/// What a service was set to.
pub(super) struct Past {
    pub(super) spec: ServiceSpec,
    pub(super) scheduler: &'static dyn Scheduler,
    /// Its templates, where it has others now.
    pub(super) templates: Option<Option<Holder>>,
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
    pub(crate) fn dests(&self) -> &Ordered<Member> {
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
    #[inline(never)] // What it shows some of takes room.
    pub(crate) fn list_templates(
        &self,
        cursor: TemplateCursor,
        visit: impl FnMut(&TemplateView) -> ControlFlow<()>,
    ) -> Option<TemplateCursor> {
        let templates = self.templates.as_ref()?;
        templates.list(cursor, &self.spec.persistence, visit)
    }

    /// The template of a network of clients, or of a call of it, while there is one.
    pub(in crate::table) fn look_at_template(
        &self,
        network: IpAddr,
        call: &[u8],
    ) -> Option<TemplateView> {
        let rule = &self.spec.persistence;
        let templates = self.templates.as_ref()?;
        templates.look(rule.whom(network, call), rule)
    }

    /// Changes its settings, which are valid. What it was before.
    pub(super) fn set(&mut self, spec: ServiceSpec, total: &Total) -> Result<Past, ChangeError> {
        let scheduler = scheduler_by_name(&spec.scheduler)?;
        // Networks of another size are others, and so are calls.
        let kind = |rule: &Persistence| (rule.prefix, rule.engine);
        let same = kind(&spec.persistence) == kind(&self.spec.persistence);
        let has = spec.persistence.seconds != 0;
        let stay = has == self.templates.is_some() && (same || !has);
        let templates = if stay {
            None
        } else {
            Some(templates(&spec, total)?)
        };
        self.respecified = true;
        Ok(Past {
            spec: replace(&mut self.spec, spec),
            scheduler: replace(&mut self.scheduler, scheduler),
            templates: templates.map(|new| replace(&mut self.templates, new)),
        })
    }

    pub(super) fn carried(&self) -> Traffic {
        self.dests
            .iter()
            .fold(self.carried_by_none(), |sum, member| {
                sum.plus(member.dest.carried())
            })
    }

    /// What none of its dests has a part in.
    fn carried_by_none(&self) -> Traffic {
        self.retired.plus(self.early_drops.carried())
    }

    /// A schedule of its dests as they are now, which goes on where the published one stands.
    /// `default` are the local addresses it has when it has none of its own.
    pub(super) fn schedule(&self, default: &Pool) -> Result<Schedule> {
        let dests = self.dests.iter().map(|member| &member.dest);
        let dests = (self.dests.len(), dests);
        let locals = self.locals.or_default(default)?;
        let options = self.spec.options(self.id.address().is_none());
        let schedule = Schedule::new(
            &self.spec,
            (self.scheduler, options),
            dests,
            locals,
            self.templates.as_ref().map(Holder::share),
            &self.early_drops,
        )?;
        // The configuration mutex is held, so what is published stays the same.
        let guard = kernel::sync::rcu::read_lock();
        let len = self.published.get(Rcu::of(&guard)).map_or(0, Schedule::len);
        drop(guard);
        let mut map = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        let guard = kernel::sync::rcu::read_lock();
        if let Some(old) = self.published.get(Rcu::of(&guard)) {
            schedule.carry_on(old, &mut map);
        }
        drop(guard);
        Ok(schedule)
    }

    pub(super) fn zero(&mut self) {
        self.zero = self.carried();
        self.estimator = Estimator::new(self.zero);
        for member in self.dests.iter_mut() {
            member.zero = member.dest.carried();
            member.estimator = Estimator::new(member.zero);
        }
    }

    /// Estimates rates from what it and its dests have carried; gives what it has.
    pub(super) fn estimate(&mut self, elapsed_ms: u32) -> Traffic {
        let mut sum = self.carried_by_none();
        for member in self.dests.iter_mut() {
            let carried = member.dest.carried();
            member.estimator.look(carried, elapsed_ms);
            sum = sum.plus(carried);
        }
        self.estimator.look(sum, elapsed_ms);
        sum
    }
}

impl Named for KBox<Service> {
    type Id = ServiceId;

    fn name(&self) -> ServiceId {
        self.id
    }

    fn hash(id: &ServiceId, key: &Key) -> u32 {
        id.key().hash(key) as u32
    }
}

impl Named for Member {
    type Id = DestId;

    fn name(&self) -> DestId {
        self.dest.id()
    }

    fn hash(id: &DestId, key: &Key) -> u32 {
        let bits = match id.address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let words = [(bits >> 64) as u64, bits as u64, u64::from(id.port)];
        hash::words(key, words) as u32
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

pub(super) fn scheduler_by_name(
    name: &SchedulerName,
) -> Result<&'static dyn Scheduler, ChangeError> {
    sched::by_name(name.as_str()).ok_or(ChangeError::NoScheduler(*name))
}

/// Templates for a service of `spec`, none yet, which count into `total`; or none at all.
pub(super) fn templates(spec: &ServiceSpec, total: &Total) -> Result<Option<Holder>, ChangeError> {
    if spec.persistence.seconds == 0 {
        return Ok(None);
    }
    Ok(Some(Holder::new(total).map_err(|_| ChangeError::NoMemory)?))
}

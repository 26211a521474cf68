// SPDX-License-Identifier: GPL-2.0

//! Showing changes to packets: all of a batch at once. What that takes grows with what has changed, and
//! with the services whose dests have; not with all there is.

use kernel::{prelude::*, sync::Arc};

use super::{
    super::{
        index::Index,
        publication::{self, Published},
        schedule::Schedule,
    },
    callers::NextCallers,
    guard::ConfigGuard,
    service::Service,
    undo::Undo,
};
use crate::kapi::{
    delay,
    modules::Hold,
    rcu::{Rcu, RcuBox},
    time,
};

/// What becomes of the index.
enum NextIndex {
    /// It stays.
    Same,
    /// The service at that place comes to it.
    With(usize),
    /// It is replaced.
    New(KBox<RcuBox<Index>>),
}

/// Schedules that are made, and where they are to be published.
type Schedules = KVVec<(Published, KBox<RcuBox<Schedule>>)>;

/// What is made, to be shown.
struct Ready {
    schedules: Schedules,
    index: NextIndex,
    callers: NextCallers,
    /// What keeps the module from now on, where nothing did.
    hold: Option<Hold>,
}

impl ConfigGuard<'_> {
    /// Makes what packets see of the configuration as it is now, then shows it to them. Takes the removed
    /// services and dests out of `undo`.
    pub(super) fn publish(&mut self, undo: &mut KVVec<Undo>) -> Result {
        let ready = self.make(undo)?;
        self.show(ready, undo);
        Ok(())
    }

    /// Everything that can fail.
    #[inline(never)]
    fn make(&mut self, undo: &[Undo]) -> Result<Ready> {
        let schedules = self.make_schedules()?;
        let index = self.next_index(undo)?;
        let callers = self.next_callers(undo)?;
        let leaving = undo.iter().map(Undo::dests_removed).sum();
        self.config.removed.reserve(leaving)?;
        let leaving = undo.iter().map(Undo::locals_removed).sum();
        self.config.left_locals.reserve(leaving)?;
        let config = &mut *self.config;
        let services = &config.services;
        let added = undo.iter().filter_map(|step| match step {
            Undo::ServiceAdd(place) => Some(services.get(*place)?.id.is_ipv6()),
            Undo::DestAdd(at, within) | Undo::DestBack(at, within, _) => {
                let member = services.get(*at)?.dests.get(*within)?;
                Some(member.dest.id().address.is_ipv6())
            }
            _ => None,
        });
        config.activity.prepare(self.hooks, &config.marks, added)?;
        let is_wanted = !config.services.is_empty();
        let hold = match config.hold {
            None if is_wanted => Some(Hold::new()?),
            _ => None,
        };
        Ok(Ready {
            schedules,
            index,
            callers,
            hold,
        })
    }

    /// Shows it. Nothing fails here.
    #[inline(never)]
    fn show(&mut self, ready: Ready, undo: &mut KVVec<Undo>) {
        let live = self.live;
        if ready.hold.is_some() || self.config.services.is_empty() {
            self.config.hold = ready.hold;
        }
        live.is_set_up();
        self.follow_services(undo);
        for (published, schedule) in ready.schedules {
            publication::publish(&published, schedule);
            delay::here();
        }
        self.replace_index(ready.index);
        if let Some(callers) = ready.callers {
            live.callers.replace(callers);
        }
        let config = &mut *self.config;
        config.activity.settle(live, &config.marks);
        self.follow_rules();
        if undo.iter().any(|step| matches!(step, Undo::DestBack(..))) {
            // Those are in their service again.
            self.config.removed.retain(|removed| removed.dest.is_gone());
        }
        let warming = self.settle_services();
        while let Some(step) = undo.pop() {
            self.complete(step);
        }
        if !self.config.services.is_empty() && live.estimation.wake() {
            self.config.estimated_at = time::nanoseconds();
        }
        if warming || self.config.filters_stale {
            live.expect_work();
        }
        live.next_generation();
    }

    /// Services that have changed hold what they have published. True where dests may start slowly.
    fn settle_services(&mut self) -> bool {
        let config = &mut *self.config;
        let mut warming = false;
        for place in &config.changed {
            if let Some(service) = config.services.get_mut(*place) {
                service.published.set_last(true);
                // The worker looks.
                service.warming = service.spec.slow_start > 0;
                warming |= service.warming;
            }
        }
        warming
    }

    #[inline(never)]
    fn make_schedules(&self) -> Result<Schedules> {
        let mut schedules = KVVec::with_capacity(self.config.changed.len(), GFP_KERNEL_ACCOUNT)?;
        for service in self.config.changed() {
            let schedule = RcuBox::new(service.schedule(&self.config.locals)?, GFP_KERNEL_ACCOUNT)?;
            schedules.push((service.published.clone(), schedule), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(schedules)
    }

    /// Lets the dests that are new, or whose service is set anew, do what it says.
    #[inline(never)]
    fn follow_services(&self, undo: &[Undo]) {
        for service in self.config.changed().filter(|s| s.respecified) {
            for member in &service.dests {
                member
                    .dest
                    .follow_service(&service.spec, &self.config.settings);
            }
        }
        for step in undo {
            let (service, dest) = match step {
                Undo::DestAdd(at, within) | Undo::DestBack(at, within, _) => {
                    let service = self.config.services.get(*at);
                    let member = service.and_then(|service| service.dests.get(*within));
                    (service, member.map(|member| &member.dest))
                }
                // Of what it says some depends on the weight.
                Undo::DestSet(dest, ..) => (self.config.services.find(&dest.service()), Some(dest)),
                _ => continue,
            };
            let service = service.filter(|service| !service.respecified);
            if let Some((service, dest)) = service.zip(dest) {
                dest.follow_service(&service.spec, &self.config.settings);
            }
        }
    }

    /// What becomes of the index: services that come and go one by one do not take a new one each.
    #[inline(never)]
    fn next_index(&self, undo: &[Undo]) -> Result<NextIndex> {
        let (mut added, mut removed) = (None, None);
        for step in undo {
            match step {
                Undo::ServiceAdd(place) if added.is_none() && removed.is_none() => {
                    added = Some(*place);
                }
                Undo::ServiceDel(_, service) if added.is_none() && removed.is_none() => {
                    removed = Some(service);
                }
                Undo::ServiceAdd(_) | Undo::ServiceDel(..) => {
                    return Ok(NextIndex::New(self.index()?))
                }
                _ => {}
            }
        }
        let guard = kernel::sync::rcu::read_lock();
        let there = self.live.index.get(Rcu::of(&guard));
        let stays = there.is_some_and(|index| match added {
            Some(_) => index.has_room(),
            None => removed.is_none_or(|service| self.may_lose(index, service)),
        });
        drop(guard);
        Ok(match added {
            _ if !stays => NextIndex::New(self.index()?),
            Some(place) => NextIndex::With(place),
            None => NextIndex::Same,
        })
    }

    /// Lets replies wait for their marks where the host's routing asks for those by now.
    pub(in crate::table) fn follow_rules(&mut self) {
        let config = &mut *self.config;
        config
            .activity
            .follow_rules(self.live, self.hooks, &config.marks);
    }

    /// Whether the index goes on well without a service that was removed: where that stands for an
    /// address that others have too, who does from now on is to be found out.
    fn may_lose(&self, index: &Index, service: &Service) -> bool {
        let (key, services) = (service.id.key(), &self.config.services);
        let shares = |other: &Service| {
            let other = other.id.key();
            !other.is_of_mark() && other.of_address() == key.of_address()
        };
        index.may_lose_one(services.len())
            && !(index.has_for_address(key, &service.published)
                && services.iter().any(|other| shares(other)))
    }

    /// The index of the services as they are.
    fn index(&self) -> Result<KBox<RcuBox<Index>>> {
        let services = self.config.services.iter();
        let index = Index::new(
            services.map(|s| (s.id.key(), &*s.published)),
            self.config.services.len(),
            self.live.service_key,
        )?;
        RcuBox::new(index, GFP_KERNEL_ACCOUNT)
    }

    fn replace_index(&self, next: NextIndex) {
        match next {
            NextIndex::Same => {}
            NextIndex::New(index) => self.live.index.replace(Some(index)),
            NextIndex::With(place) => {
                let guard = kernel::sync::rcu::read_lock();
                let rcu = Rcu::of(&guard);
                let index = self.live.index.get(rcu);
                if let Some((index, service)) = index.zip(self.config.services.get(place)) {
                    index.add(service.id.key(), &service.published, rcu);
                }
            }
        }
    }

    /// What is left to do of a change that packets see: lets packets in that it is for, keeps what it
    /// removes as long as that is used.
    #[inline(never)]
    fn complete(&mut self, step: Undo) {
        match step {
            Undo::ServiceAdd(place) => {
                let service = self.config.services.get(place);
                if let Some(address) = service.and_then(|service| service.id.address()) {
                    self.let_in(address, false);
                }
            }
            Undo::DestAdd(at, within) | Undo::DestBack(at, within, _) => {
                let service = self.config.services.get(at);
                if let Some(member) = service.and_then(|service| service.dests.get(within)) {
                    let dest = &member.dest;
                    if dest.is_translated() {
                        self.let_in(dest.id().address, true);
                    }
                }
            }
            Undo::DestSet(dest, ..) => {
                if dest.is_translated() {
                    self.let_in(dest.id().address, true);
                }
            }
            Undo::LocalAdd(_, address) => self.let_in(address, false),
            Undo::ServiceDel(_, mut service) => {
                let other = self.config.services.find(&service.id);
                let slot = &service.published;
                let again = other.is_some_and(|other| Arc::ptr_eq(&other.published, slot));
                service.published.set_last(!again);
                self.retire_service(&service);
                self.config.filters_stale = true;
            }
            Undo::DestDel(_, _, member, (published, carried)) => {
                self.retire_dest(member.dest, published, carried);
                self.config.filters_stale = true;
            }
            Undo::LocalDel(_, _, address) => {
                self.retire_locals(&[address]);
                self.config.filters_stale = true;
            }
            Undo::ServiceSet(..) => {}
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the configuration has that is recorded: counts, and templates made again.

use super::{
    super::{
        counters::{Estimator, Traffic},
        peers::PeerCount,
        restoring::Restored,
    },
    guard::ConfigGuard,
    service::{Member, Service},
};
use crate::engine::{
    record::{Counts, Owner, Template},
    sync,
};

impl ConfigGuard<'_> {
    /// Makes a template again.
    pub(in crate::table) fn restore_template(&self, template: &Template<'_>) -> Restored {
        let told = sync::Template {
            service: template.service,
            network: template.network,
            dest: template.dest,
            mode: template.mode,
            seconds: template.left.div_ceil(1000).max(1),
            assured: template.assured,
            call: template.call,
        };
        let learned = self.learn_template(&told);
        match learned {
            PeerCount::Learned => Restored::New,
            PeerCount::Full => Restored::Full,
            PeerCount::Misfit => Restored::Misfit,
            _ => Restored::Known,
        }
    }

    /// The namespace's counts that are none of its services', and what happened.
    pub(crate) fn counts(&self) -> [Counts; 2] {
        let services = self.config.services.iter();
        let theirs = services.fold(Traffic::default(), |sum, service| {
            sum.plus(service.traffic())
        });
        let rest = self.traffic().since(theirs);
        let events = self.live.counters.sums().since(&self.config.zero_events);
        [
            Counts::new(Owner::Namespace, &rest.counts()),
            Counts::new(Owner::Events, events.numbers()),
        ]
    }

    /// Goes on with what was counted before the module was changed.
    #[inline(never)] // For the frame of who calls it.
    pub(in crate::table) fn add_counts(&mut self, counts: &Counts) -> Restored {
        let traffic = Traffic::of_numbers(counts.numbers());
        let config = &mut *self.config;
        match counts.owner {
            Owner::Dest(id, dest) => {
                let Ok((_, service)) = config.service_mut(&id) else {
                    return Restored::Misfit;
                };
                let place = service.dests.place(&dest);
                let Some(member) = place.and_then(|place| service.dests.get_mut(place)) else {
                    return Restored::Misfit;
                };
                let failures = counts.numbers().last_chunk().copied();
                member.dest.add_counts(traffic, failures.unwrap_or([0; 2]));
                member.estimator = Estimator::new(member.dest.carried());
            }
            Owner::Service(id) => {
                let Ok((_, service)) = config.service_mut(&id) else {
                    return Restored::Misfit;
                };
                service.retired = service.retired.plus(traffic);
                // Its dests' counts came ahead of its own.
                service.estimator = Estimator::new(service.carried());
            }
            Owner::Namespace => {
                config.retired = config.retired.plus(traffic);
                config.estimator = Estimator::new(config.carried());
            }
            Owner::Events => self.live.counters.add(counts.numbers()),
        }
        Restored::New
    }
}

impl Service {
    /// Its counts that are none of its dests'.
    pub(crate) fn counts(&self) -> Counts {
        let dests = self.dests.iter();
        let theirs = dests.fold(Traffic::default(), |sum, member| sum.plus(member.traffic()));
        let rest = self.traffic().since(theirs);
        Counts::new(Owner::Service(self.id), &rest.counts())
    }
}

impl Member {
    /// Its counts.
    pub(crate) fn counts(&self) -> Counts {
        let failures = self.dest.failures();
        let failures = [failures.lacked_ports(), failures.unanswered()];
        let mut numbers = [0; Traffic::NUMBERS + 2];
        let all = self.traffic().counts().into_iter().chain(failures);
        numbers
            .iter_mut()
            .zip(all)
            .for_each(|(to, from)| *to = from);
        Counts::new(Owner::Dest(self.dest.service(), self.dest.id()), &numbers)
    }
}

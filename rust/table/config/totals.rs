// SPDX-License-Identifier: GPL-2.0

//! What a namespace and its services have carried, and what happened.

use super::{
    super::counters::{Counter, Counters, Estimator, Traffic},
    guard::ConfigGuard,
    store::Config,
};
use crate::{
    engine::{change::ChangeError, proto::State, spec::ServiceId},
    kapi::{percpu::Cpu, time, work::give_way},
};

impl Config {
    pub(super) fn carried(&self) -> Traffic {
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

impl ConfigGuard<'_> {
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
    pub(in crate::table) fn estimate(&mut self) -> bool {
        let (now, config) = (time::nanoseconds(), &mut *self.config);
        let elapsed_ms = now.saturating_sub(config.estimated_at) / 1_000_000;
        config.estimated_at = now;
        config.estimate(u32::try_from(elapsed_ms).unwrap_or(u32::MAX));
        !config.services.is_empty() || config.estimator.rates() != Traffic::default()
    }

    /// Connections in `state`, a moment ago.
    pub(crate) fn connections_in(&self, state: State) -> u32 {
        self.live.connections.count_in(state)
    }

    /// What happened in the namespace since it was last set to zero.
    pub(crate) fn counters(&self) -> Counters {
        let live = self.live;
        let sums = live.counters.sums().since(&self.config.zero_events);
        Counters {
            conns_now: u64::from(live.connections.count()),
            templates_now: u64::from(live.templates.get()),
            conns_expired: sums.get(Counter::ConnsExpired),
            table_buckets: u64::from(live.connections.buckets()),
            table_resizes: u64::from(live.connections.resizes()),
            drop_malformed: sums.get(Counter::DropMalformed),
            drop_no_dest: sums.get(Counter::DropNoDest),
            drop_no_memory: sums.get(Counter::DropNoMemory),
            drop_no_port: sums.get(Counter::DropNoPort),
            drop_conn_max: sums.get(Counter::DropConnMax),
            drop_overload: sums.get(Counter::DropOverload),
            conns_dropped: sums.get(Counter::ConnsDropped),
            templates_dropped: sums.get(Counter::TemplatesDropped),
            drop_martian: sums.get(Counter::DropMartian),
            input_rules: u64::from(live.input_rules()),
            drop_no_route: sums.get(Counter::DropNoRoute),
            drop_dest_gone: sums.get(Counter::DropDestGone),
            drop_too_big: sums.get(Counter::DropTooBig),
            not_syn: sums.get(Counter::NotSyn),
            slow_xmit: sums.get(Counter::SlowXmit),
            drop_output: sums.get(Counter::DropOutput),
            no_reply: sums.get(Counter::NoReply),
            xdp_taken: sums.get(Counter::XdpTaken),
            xdp_pass_new: sums.get(Counter::XdpPassNew),
            xdp_pass_odd: sums.get(Counter::XdpPassOdd),
            xdp_pass_care: sums.get(Counter::XdpPassCare),
            xdp_pass_mode: sums.get(Counter::XdpPassMode),
            xdp_pass_way: sums.get(Counter::XdpPassWay),
            xdp_pass_size: sums.get(Counter::XdpPassSize),
            xdp_pass_device: sums.get(Counter::XdpPassDevice),
            conntrack_fast: sums.get(Counter::ConntrackFast),
            helper_no_room: sums.get(Counter::HelperNoRoom),
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
        self.config.zero_events = self.live.counters.sums();
        let services = self.config.services.iter_mut();
        services.for_each(|service| service.zero());
        Ok(())
    }
}

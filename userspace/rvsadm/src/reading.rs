// SPDX-License-Identifier: GPL-2.0

//! Figures of a namespace, read over and over: what is kept of each dest is small, and of how many.
//!
//! Unlike a [`Snapshot`](crate::snapshot::Snapshot) it need not be of one moment. A list that changes
//! interrupt is read again, but not for ever; then what came is taken, each dest once.

use std::collections::{HashMap, HashSet};

use rvs_engine::spec::{DestId, Mode, ServiceId};
use rvs_netlink::{
    Counters, DestInfo, Error, Lists, Reply, Request, ServiceInfo, States, Stats, Transport,
};

/// Attempts at a list until it may be one that changed in between.
const ATTEMPTS: u32 = 3;

/// A service's figures.
#[derive(Clone, Debug)]
pub struct Service {
    pub id: ServiceId,
    pub scheduler: String,
    pub active: u32,
    pub inactive: u32,
    pub templates: u32,
    pub is_persistent: bool,
    pub stats: Stats,
    pub rates: Stats,
    /// How many dests it has, also of those that are left out.
    pub dests: u32,
}

/// A dest's figures.
#[derive(Clone, Debug)]
pub struct Dest {
    /// Which of the services it is of.
    pub service: usize,
    pub id: DestId,
    pub mode: Option<Mode>,
    pub weight: u32,
    pub upper: u32,
    pub lower: u32,
    pub drain: Option<u32>,
    pub no_port: u64,
    pub no_reply: u64,
    pub active: u32,
    pub inactive: u32,
    pub templates: u32,
    pub stats: Stats,
    pub rates: Stats,
}

impl Service {
    /// Connections there are now.
    pub fn connections(&self) -> u64 {
        u64::from(self.active) + u64::from(self.inactive)
    }
}

impl Dest {
    /// Connections there are now.
    pub fn connections(&self) -> u64 {
        u64::from(self.active) + u64::from(self.inactive)
    }
}

impl From<ServiceInfo> for Service {
    fn from(info: ServiceInfo) -> Self {
        Self {
            id: info.id,
            scheduler: info.scheduler.unwrap_or_default(),
            active: info.active.unwrap_or(0),
            inactive: info.inactive.unwrap_or(0),
            templates: info.templates.unwrap_or(0),
            is_persistent: info.settings.persistence.is_some_and(|seconds| seconds > 0),
            stats: info.stats.unwrap_or_default(),
            rates: info.rates.unwrap_or_default(),
            dests: info.dests.unwrap_or(0),
        }
    }
}

impl Dest {
    fn new(service: usize, info: &DestInfo) -> Self {
        Self {
            service,
            id: info.id,
            mode: info.mode,
            weight: info.weight.unwrap_or(0),
            upper: info.upper.unwrap_or(0),
            lower: info.lower.unwrap_or(0),
            drain: info.drain,
            no_port: info.no_port.unwrap_or(0),
            no_reply: info.no_reply.unwrap_or(0),
            active: info.active.unwrap_or(0),
            inactive: info.inactive.unwrap_or(0),
            templates: info.templates.unwrap_or(0),
            stats: info.stats.unwrap_or_default(),
            rates: info.rates.unwrap_or_default(),
        }
    }
}

/// Figures of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub generation: Option<u32>,
    /// Connections that it may hold; 0 is no limit but memory.
    pub conn_max: u64,
    pub traffic: Stats,
    pub rates: Stats,
    pub counters: Counters,
    /// Connections by state.
    pub states: States,
    pub services: Vec<Service>,
    /// Dests in the order of the list.
    pub dests: Vec<Dest>,
    /// Dests over the limit, which are left out.
    pub omitted: u64,
}

impl Reading {
    /// Reads all, of at most `limit` dests.
    pub fn take(kernel: &mut dyn Transport, limit: usize) -> Result<Self, Error> {
        let totals = kernel.one(&Request::StatsGet)?;
        let config = kernel.one(&Request::ConfigGet)?;
        let services = services(kernel)?;
        let (dests, omitted) = dests(kernel, &services, limit)?;
        Ok(Self {
            generation: totals.generation.or(config.generation),
            conn_max: config.config.and_then(|c| c.conn_max).unwrap_or(0),
            traffic: totals.stats.ok_or(Error::Missing("stats"))?,
            rates: totals.rates.ok_or(Error::Missing("rates"))?,
            counters: totals.counters.ok_or(Error::Missing("counters"))?,
            states: totals.states.unwrap_or_default(),
            services,
            dests,
            omitted,
        })
    }
}

fn services(kernel: &mut dyn Transport) -> Result<Vec<Service>, Error> {
    let mut seen = HashSet::new();
    listed(
        kernel,
        &Request::ServiceList,
        Vec::new,
        |services, reply| {
            let info = reply.service.ok_or(Error::Missing("service"))?;
            if services.is_empty() {
                seen.clear();
            }
            if seen.insert(info.id) {
                services.push(Service::from(info));
            }
            Ok(())
        },
    )
}

fn dests(
    kernel: &mut dyn Transport,
    services: &[Service],
    limit: usize,
) -> Result<(Vec<Dest>, u64), Error> {
    let places = services.iter().enumerate();
    let places: HashMap<_, _> = places.map(|(at, service)| (service.id, at)).collect();
    let mut seen = HashSet::new();
    let none = || (Vec::new(), 0_u64);
    listed(kernel, &Request::DestList(None), none, |dests, reply| {
        let (dests, omitted) = dests;
        let service = reply.service.ok_or(Error::Missing("service"))?;
        let info = reply.dest.ok_or(Error::Missing("dest"))?;
        // Without its service it came in between; the next reading has both.
        let Some(&at) = places.get(&service.id) else {
            return Ok(());
        };
        if dests.is_empty() {
            seen.clear();
        }
        if dests.len() >= limit {
            *omitted = omitted.saturating_add(1);
        } else if seen.insert((at, info.id)) {
            dests.push(Dest::new(at, &info));
        }
        Ok(())
    })
}

/// Reads a list into what `empty` makes, a part at a time.
fn listed<T>(
    kernel: &mut dyn Transport,
    request: &Request,
    empty: impl Fn() -> T,
    mut take: impl FnMut(&mut T, Reply) -> Result<(), Error>,
) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        let mut list = empty();
        match kernel.call(request, &mut |reply| take(&mut list, reply)) {
            Ok(()) => return Ok(list),
            Err(Error::Interrupted { .. }) if attempt >= ATTEMPTS => return Ok(list),
            Err(Error::Interrupted { .. }) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    const LINES: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 2
-A -u 203.0.113.10:53 -s wlc -p 300
-a -u 203.0.113.10:53 -r 192.0.2.1:53 -m -w 1
";

    #[test]
    fn each_dest_is_of_its_service() {
        let mut kernel = FakeKernel::with(LINES);
        let reading = Reading::take(&mut kernel, 100).unwrap();
        assert_eq!(reading.services.len(), 2);
        assert!(reading.services[1].is_persistent);
        let of: Vec<_> = reading.dests.iter().map(|dest| dest.service).collect();
        assert_eq!((of, reading.omitted), (vec![0, 0, 1], 0));
    }

    #[test]
    fn over_the_limit_they_are_only_counted() {
        let mut kernel = FakeKernel::with(LINES);
        let reading = Reading::take(&mut kernel, 2).unwrap();
        assert_eq!((reading.dests.len(), reading.omitted), (2, 1));
    }

    #[test]
    fn a_list_that_always_changes_is_taken_as_it_came() {
        let mut kernel = FakeKernel::with(LINES);
        kernel.interruptions = 1;
        assert_eq!(Reading::take(&mut kernel, 9).unwrap().services.len(), 2);
        kernel.interruptions = 1000;
        assert!(Reading::take(&mut kernel, 9).unwrap().services.is_empty());
        assert_eq!(kernel.interruptions, 997);
    }
}

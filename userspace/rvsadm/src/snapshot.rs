// SPDX-License-Identifier: GPL-2.0

//! The running services and dests, read at one moment.

use std::collections::HashMap;
use std::net::IpAddr;

use rvs_engine::sched::SchedulerName;
use rvs_engine::service::ServiceSpec;
use rvs_engine::spec::ServiceId;
use rvs_netlink::{DestInfo, Error, Lists, Reply, Request, ServiceInfo, Transport};

/// Attempts to read services and dests without a change in between.
const ATTEMPTS: u32 = 8;

/// Attempts before changes in between are taken into account.
const PATIENCE: u32 = 2;

/// A service with its dests.
#[derive(Debug)]
pub struct Running {
    /// The service.
    pub service: ServiceInfo,
    /// Its dests, in order.
    pub dests: Vec<DestInfo>,
    /// Its local addresses, in order.
    pub locals: Vec<IpAddr>,
}

/// Services with their dests, in order.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The services.
    pub services: Vec<Running>,
    /// Local addresses for services that have none.
    pub locals: Vec<IpAddr>,
    /// The configuration's generation, where anything was read that tells it.
    pub generation: Option<u32>,
}

impl Snapshot {
    /// Reads everything: three lists of one generation.
    pub fn read(kernel: &mut dyn Transport) -> Result<Self, Error> {
        for attempt in 0..ATTEMPTS {
            if attempt == PATIENCE {
                let lists = [
                    Request::ServiceList,
                    Request::DestList(None),
                    Request::LocalList(None),
                ];
                let lists = kernel.at_one_moment(&lists)?;
                let lists = lists.and_then(|lists| <[_; 3]>::try_from(lists).ok());
                if let Some([services, dests, locals]) = lists {
                    let generation = services.first().and_then(|reply| reply.generation);
                    return Ok(Self {
                        generation,
                        ..Self::assemble(services, dests, locals)?
                    });
                }
            }
            let services = kernel.collect(&Request::ServiceList)?;
            let dests = kernel.collect(&Request::DestList(None))?;
            let locals = kernel.collect(&Request::LocalList(None))?;
            let replies = services.iter().chain(&dests).chain(&locals);
            let mut generations = replies.map(|reply| reply.generation);
            let first = generations.next().flatten();
            if generations.all(|other| other == first) {
                return Ok(Self {
                    generation: first,
                    ..Self::assemble(services, dests, locals)?
                });
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    fn assemble(
        services: Vec<Reply>,
        dests: Vec<Reply>,
        locals: Vec<Reply>,
    ) -> Result<Self, Error> {
        let mut by_service: HashMap<ServiceId, Vec<DestInfo>> = HashMap::new();
        for (service, dest) in dests_of(dests)? {
            by_service.entry(service.id).or_default().push(dest);
        }
        let mut pools: HashMap<Option<ServiceId>, Vec<IpAddr>> = HashMap::new();
        for (service, address) in locals_of(locals)? {
            pools.entry(service).or_default().push(address);
        }
        let services = services_of(services)?.into_iter().map(|service| Running {
            dests: by_service.remove(&service.id).unwrap_or_default(),
            locals: pools.remove(&Some(service.id)).unwrap_or_default(),
            service,
        });
        Ok(Self {
            services: services.collect(),
            locals: pools.remove(&None).unwrap_or_default(),
            generation: None,
        })
    }
}

/// All settings of a service, as far as the module tells them; nothing without a scheduler.
pub fn settings_of(service: &ServiceInfo) -> Option<ServiceSpec> {
    let scheduler = service.scheduler.as_deref().and_then(SchedulerName::new)?;
    Some(service.settings.of(&ServiceSpec::new(scheduler)))
}

/// The services in `replies`.
pub fn services_of(replies: Vec<Reply>) -> Result<Vec<ServiceInfo>, Error> {
    let services = replies.into_iter().map(|reply| reply.service);
    services
        .map(|service| service.ok_or(Error::Missing("service")))
        .collect()
}

/// The dests in `replies`, each with its service.
pub fn dests_of(replies: Vec<Reply>) -> Result<Vec<(ServiceInfo, DestInfo)>, Error> {
    let dests = replies.into_iter().map(|reply| {
        let service = reply.service.ok_or(Error::Missing("service"))?;
        Ok((service, reply.dest.ok_or(Error::Missing("dest"))?))
    });
    dests.collect()
}

/// The local addresses in `replies`, each with its service if it is of one.
pub fn locals_of(replies: Vec<Reply>) -> Result<Vec<(Option<ServiceId>, IpAddr)>, Error> {
    let locals = replies.into_iter().map(|reply| {
        let address = reply.laddr.ok_or(Error::Missing("local address"))?;
        Ok((reply.service.map(|service| service.id), address))
    });
    locals.collect()
}

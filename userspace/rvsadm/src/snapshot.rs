// SPDX-License-Identifier: GPL-2.0

//! The running services and dests, read at one moment.

use std::collections::HashMap;

use rvs_engine::spec::ServiceId;
use rvs_netlink::{DestInfo, Error, Reply, Request, ServiceInfo, Transport};

/// Attempts to read services and dests without a change between the two.
const ATTEMPTS: u32 = 8;

/// A service with its dests.
#[derive(Debug)]
pub struct Running {
    /// The service.
    pub service: ServiceInfo,
    /// Its dests, in order.
    pub dests: Vec<DestInfo>,
}

/// Services with their dests, in order.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The services.
    pub services: Vec<Running>,
}

impl Snapshot {
    /// Reads everything: two lists of one generation.
    pub fn read(kernel: &mut dyn Transport) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            let services = kernel.collect(&Request::ServiceList)?;
            let dests = kernel.collect(&Request::DestList(None))?;
            let mut generations = services.iter().chain(&dests).map(|reply| reply.generation);
            let first = generations.next().flatten();
            if generations.all(|other| other == first) {
                return Self::assemble(services, dests);
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    fn assemble(services: Vec<Reply>, dests: Vec<Reply>) -> Result<Self, Error> {
        let mut by_service: HashMap<ServiceId, Vec<DestInfo>> = HashMap::new();
        for (service, dest) in dests_of(dests)? {
            by_service.entry(service.id).or_default().push(dest);
        }
        let services = services_of(services)?.into_iter().map(|service| Running {
            dests: by_service.remove(&service.id).unwrap_or_default(),
            service,
        });
        Ok(Self {
            services: services.collect(),
        })
    }
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

// SPDX-License-Identifier: GPL-2.0

//! Which dests a command is about: one of a service, or those of a server in all services.

use std::net::IpAddr;

use clap::Args;
use rvs_engine::change::Change;
use rvs_engine::spec::{DestId, DestUpdate, ServiceId};
use rvs_netlink::{Config, Lists, Request};

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::snapshot::dests_of;
use crate::values;

/// A real server, as it is typed: without a port it is that of the service.
type Server = (IpAddr, Option<u16>);

/// A dest of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// The service.
    pub service: ServiceId,
    /// Its dest.
    pub dest: DestId,
}

impl Id {
    fn new(service: ServiceId, (address, port): Server) -> Self {
        let port = port.unwrap_or(match service {
            ServiceId::Virtual { port, .. } => port,
            // Its flows keep their ports.
            ServiceId::Marked { .. } => 0,
        });
        let dest = DestId { address, port };
        Self { service, dest }
    }

    /// The change of what `update` says.
    pub fn set(&self, update: DestUpdate) -> Change {
        Change::DestSet {
            service: self.service,
            id: self.dest,
            update,
        }
    }

    /// Its removal.
    pub fn del(&self) -> Change {
        Change::DestDel {
            service: self.service,
            id: self.dest,
        }
    }
}

/// The arguments that name a dest.
#[derive(Args, Clone, Copy, Debug)]
pub struct Named {
    /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
    service: ServiceId,
    /// The real server, ADDRESS:PORT; without a port it is that of the service
    #[arg(value_name = "DEST", value_parser = values::dest, add = complete::dests())]
    dest: Server,
}

impl Named {
    /// What they name.
    pub fn id(self) -> Id {
        Id::new(self.service, self.dest)
    }
}

/// The arguments that name a dest, or a server in all services.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Which {
    /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    service: Option<ServiceId>,
    /// The real server, ADDRESS:PORT; without a port it is that of the service
    #[arg(value_name = "DEST", value_parser = values::dest, add = complete::dests())]
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    dest: Option<Server>,
    /// In all services that have the server --dest, all at once or none
    #[arg(long, requires = "server")]
    all: bool,
    /// With --all: the real server, ADDRESS for all its ports, or ADDRESS:PORT
    #[arg(id = "server", long = "dest", value_name = "DEST", requires = "all")]
    #[arg(value_parser = values::dest, add = complete::dests())]
    server: Option<Server>,
}

impl Which {
    /// The one dest that is named.
    pub fn one(&self) -> Option<Id> {
        Some(Id::new(self.service?, self.dest?))
    }

    /// Makes a change of each of them, of all or none; `verb` is for the case that it is refused.
    pub fn change(
        &self,
        verb: &str,
        context: &mut Context<'_>,
        of: impl Fn(&Id) -> Result<Change, Failure>,
    ) -> Result<Vec<Id>, Failure> {
        if let Some(id) = self.one() {
            let change = of(&id)?;
            // As people say it: remove a dest of a service.
            let what = format!("{verb} dest {} of {}", id.dest, id.service);
            context.change(&what, &Request::Change(change))?;
            return Ok(vec![id]);
        }
        let ids = self.found(verb, context)?;
        let changes = ids.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let what = format!("{verb} {} dests", ids.len());
        context.change(&what, &Request::Batch(changes, Config::default()))?;
        if !context.json {
            for id in &ids {
                writeln!(context.out, "{verb} dest {} of {}", id.dest, id.service)?;
            }
        }
        Ok(ids)
    }

    /// The dests of the server in all services.
    fn found(&self, verb: &str, context: &mut Context<'_>) -> Result<Vec<Id>, Failure> {
        let Some((address, port)) = self.server else {
            return Ok(Vec::new());
        };
        let server = match port {
            Some(port) => DestId { address, port }.to_string(),
            None => address.to_string(),
        };
        let what = format!("{verb} dests {server}");
        let failed = |error| Failure::kernel(what.as_str(), error);
        let replies = context.kernel.collect(&Request::DestList(None));
        let dests = dests_of(replies.map_err(failed)?).map_err(failed)?;
        let ids: Vec<_> = dests
            .into_iter()
            .map(|(service, dest)| Id {
                service: service.id,
                dest: dest.id,
            })
            .filter(|id| id.dest.address == address && port.is_none_or(|p| p == id.dest.port))
            .collect();
        if ids.is_empty() {
            let hint = Some("see what there is: rvsadm dest list");
            return Err(Failure::new(what, "no service has it", hint));
        }
        Ok(ids)
    }
}

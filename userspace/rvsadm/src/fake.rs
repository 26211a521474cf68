// SPDX-License-Identifier: GPL-2.0

//! A kernel in memory: what tests talk to instead of the module.

use std::net::IpAddr;

use rvs_engine::change::{Blame as Part, Change, ChangeError};
use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::sched;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{validate_local, DestId, DestSpec, Mode, ServiceId};
use rvs_netlink::{
    Blame, Config, Connection, Counters, DestInfo, Error, Refusal, Reply, Request, ServiceInfo,
    Stats, Transport,
};

use crate::context::Context;
use crate::failure::Failure;

/// A service of the fake.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeService {
    pub id: ServiceId,
    pub spec: ServiceSpec,
    pub dests: Vec<(DestId, DestSpec)>,
    pub locals: Vec<IpAddr>,
}

/// Applies changes by the engine's rules, all or none.
#[derive(Default)]
pub struct FakeKernel {
    pub services: Vec<FakeService>,
    /// Local addresses of services that have none.
    pub locals: Vec<IpAddr>,
    pub config: Config,
    /// Every batch, as it came.
    pub batches: Vec<Vec<Change>>,
    /// A dest that has no route.
    pub unroutable: Option<IpAddr>,
    /// A local address that it does not have.
    pub foreign: Option<IpAddr>,
    /// Its connections, all of every service.
    pub conns: Vec<Connection>,
    /// Its networks of clients, of all services.
    pub templates: Vec<Reply>,
    /// The daemons that run.
    pub daemons: Vec<rvs_netlink::Daemon>,
    generation: u32,
    /// Lists that something still changes in between.
    pub interruptions: u32,
}

impl FakeKernel {
    /// A kernel with the services of these lines.
    pub fn with(lines: &str) -> Self {
        let mut kernel = Self::default();
        let document = crate::document::Document::parse(lines, &crate::ports::Ports::default());
        let document = document.unwrap();
        let plan = crate::diff::Plan::new(&document, &Default::default());
        kernel.daemons = document.daemons;
        for step in plan.steps {
            kernel.apply(&step.change).unwrap();
        }
        kernel
    }

    /// Runs a command with this kernel and gives what it prints.
    pub fn run(
        &mut self,
        json: bool,
        command: impl FnOnce(&mut Context<'_>) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let mut out = Vec::new();
        let mut context = Context {
            kernel: self,
            out: &mut out,
            json,
        };
        command(&mut context)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn find(&mut self, id: &ServiceId) -> Result<&mut FakeService, ChangeError> {
        let found = self.services.iter_mut().find(|service| service.id == *id);
        found.ok_or(ChangeError::NoService(*id))
    }

    fn pool(&mut self, service: Option<ServiceId>) -> Result<&mut Vec<IpAddr>, ChangeError> {
        match service {
            Some(id) => Ok(&mut self.find(&id)?.locals),
            None => Ok(&mut self.locals),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), ChangeError> {
        let known = |spec: ServiceSpec| match sched::by_name(spec.scheduler.as_str()) {
            Some(_) => Ok(spec),
            None => Err(ChangeError::NoScheduler(spec.scheduler)),
        };
        match *change {
            Change::ServiceAdd { id, spec } => {
                id.validate()?;
                spec.validate(&id)?;
                if self.find(&id).is_ok() {
                    return Err(ChangeError::ServiceExists(id));
                }
                self.services.push(FakeService {
                    id,
                    spec: known(spec)?,
                    dests: Vec::new(),
                    locals: Vec::new(),
                });
            }
            Change::ServiceSet { id, update } => {
                let service = self.find(&id)?;
                let spec = update.of(&service.spec);
                spec.validate(&id)?;
                service.spec = known(spec)?;
            }
            Change::ServiceDel { id } => {
                self.find(&id)?;
                self.services.retain(|service| service.id != id);
            }
            Change::DestAdd { service, id, spec } => {
                spec.validate(&id, &service)?;
                if self.unroutable == Some(id.address) {
                    return Err(ChangeError::NoRoute(id.address));
                }
                let service = self.find(&service)?;
                if service.dests.iter().any(|(other, _)| *other == id) {
                    return Err(ChangeError::DestExists(id));
                }
                service.dests.push((id, spec));
            }
            Change::DestSet {
                service,
                id,
                update,
            } => {
                let of = self.find(&service)?;
                let dest = of.dests.iter_mut().find(|(other, _)| *other == id);
                let (_, spec) = dest.ok_or(ChangeError::NoDest(id))?;
                let new = update.of(spec);
                new.validate(&id, &service)?;
                *spec = new;
            }
            Change::DestDel { service, id } => {
                let service = self.find(&service)?;
                let before = service.dests.len();
                service.dests.retain(|(other, _)| *other != id);
                if service.dests.len() == before {
                    return Err(ChangeError::NoDest(id));
                }
            }
            Change::LocalAdd { service, address } => {
                let foreign = self.foreign == Some(address);
                let pool = self.pool(service)?;
                validate_local(address)?;
                if pool.contains(&address) {
                    return Err(ChangeError::LocalExists(address));
                }
                if foreign {
                    return Err(ChangeError::NotOnThisHost(address));
                }
                pool.push(address);
            }
            Change::LocalDel { service, address } => {
                let pool = self.pool(service)?;
                let there = pool.iter().position(|other| *other == address);
                pool.remove(there.ok_or(ChangeError::NoLocal(address))?);
            }
        }
        self.generation += 1;
        Ok(())
    }

    fn set(&mut self, config: &Config) {
        for (state, seconds) in config.tcp_timeouts.iter() {
            assert!(self.config.tcp_timeouts.set(state, seconds));
        }
        let now = &mut self.config;
        now.udp_timeout = config.udp_timeout.or(now.udp_timeout);
        now.conn_max = config.conn_max.or(now.conn_max);
        now.conn_max_others = config.conn_max_others.or(now.conn_max_others);
        now.toa_kind = config.toa_kind.or(now.toa_kind);
        now.sloppy_tcp = config.sloppy_tcp.or(now.sloppy_tcp);
        now.conn_reuse = config.conn_reuse.or(now.conn_reuse);
        now.nat_as_fullnat = config.nat_as_fullnat.or(now.nat_as_fullnat);
        now.drop_entry = config.drop_entry.or(now.drop_entry);
        now.drop_packet = config.drop_packet.or(now.drop_packet);
        now.drop_rate = config.drop_rate.or(now.drop_rate);
        now.memory_min = config.memory_min.or(now.memory_min);
        now.cache_bypass = config.cache_bypass.or(now.cache_bypass);
        now.echo = config.echo.or(now.echo);
        now.places = config.places.or(now.places);
        now.conntrack = config.conntrack.or(now.conntrack);
        now.local_port_min = config.local_port_min.or(now.local_port_min);
        now.local_port_max = config.local_port_max.or(now.local_port_max);
        now.expire_quiesced = config.expire_quiesced.or(now.expire_quiesced);
        now.expire_nodest = config.expire_nodest.or(now.expire_nodest);
    }

    fn batch(&mut self, changes: &[Change], config: &Config) -> Result<(), Error> {
        let before = (self.services.clone(), self.locals.clone());
        for (index, change) in changes.iter().enumerate() {
            if let Err(error) = self.apply(change) {
                (self.services, self.locals) = before;
                return Err(refusal(change, error, Some(index)));
            }
        }
        self.set(config);
        self.batches.push(changes.to_vec());
        Ok(())
    }

    fn service_reply(&self, service: &FakeService) -> Reply {
        Reply {
            generation: Some(self.generation),
            service: Some(ServiceInfo {
                scheduler: Some(service.spec.scheduler.as_str().to_owned()),
                settings: told(&service.spec),
                templates: Some(0),
                dests: u32::try_from(service.dests.len()).ok(),
                active: Some(0),
                inactive: Some(0),
                stats: Some(Stats::default()),
                rates: Some(Stats::default()),
                ..ServiceInfo::new(service.id)
            }),
            ..Reply::default()
        }
    }

    fn dest_replies(&self, of: Option<ServiceId>) -> Result<Vec<Reply>, Error> {
        let services = self.services.iter();
        let services = services.filter(|service| of.is_none_or(|id| id == service.id));
        let dests = services.flat_map(|service| service.dests.iter().map(move |d| (service, d)));
        let replies = dests.map(|(service, (id, spec))| Reply {
            generation: Some(self.generation),
            service: Some(ServiceInfo::new(service.id)),
            dest: Some(DestInfo {
                mode: Some(spec.mode),
                weight: Some(spec.weight),
                upper: Some(spec.thresholds.upper),
                lower: Some(spec.thresholds.lower),
                tunnel: (spec.mode == Mode::Tun).then_some(spec.tunnel),
                no_port: Some(0),
                no_reply: Some(0),
                active: Some(0),
                inactive: Some(0),
                templates: Some(0),
                stats: Some(Stats::default()),
                rates: Some(Stats::default()),
                ..DestInfo::new(*id)
            }),
            ..Reply::default()
        });
        Ok(replies.collect())
    }
}

impl FakeKernel {
    fn local_replies(&self, of: Option<ServiceId>) -> Vec<Reply> {
        let services = self.services.iter();
        let services = services.filter(|service| of.is_none_or(|id| id == service.id));
        let of_services = services.flat_map(|service| {
            let addresses = service.locals.iter();
            addresses.map(|address| (Some(ServiceInfo::new(service.id)), *address))
        });
        let default = self.locals.iter().filter(|_| of.is_none());
        let all = default.map(|address| (None, *address)).chain(of_services);
        let replies = all.map(|(service, address)| Reply {
            generation: Some(self.generation),
            service,
            laddr: Some(address),
            ..Reply::default()
        });
        replies.collect()
    }
}

/// The refusal that the module would answer with.
fn refusal(change: &Change, error: ChangeError, step: Option<usize>) -> Error {
    let path = match error.blame(change) {
        Part::Service(_) => "service",
        Part::Scheduler => "service.scheduler",
        Part::Dest(_) => "dest",
        Part::Local => "laddr.address",
        Part::Nothing => "",
    };
    let errno = match error {
        ChangeError::ServiceExists(_)
        | ChangeError::DestExists(_)
        | ChangeError::LocalExists(_) => 17,
        ChangeError::NoService(_) => 3,
        ChangeError::NoDest(_) | ChangeError::NoScheduler(_) | ChangeError::NoLocal(_) => 2,
        ChangeError::NoRoute(_) => 101,
        ChangeError::NotOnThisHost(_) => 99,
        _ => 22,
    };
    // As the module does it.
    let text = match step {
        Some(index) => format!("change {}: {error}", index + 1),
        None => error.to_string(),
    };
    Error::Refused(Refusal {
        errno,
        text: Some(text),
        blame: Some(Blame {
            path: path.to_owned(),
            value: None,
            change: step,
        }),
        missing: None,
    })
}

impl Transport for FakeKernel {
    fn call(
        &mut self,
        request: &Request,
        sink: &mut dyn FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let replies = match request {
            Request::Change(change) => {
                return self
                    .apply(change)
                    .map_err(|error| refusal(change, error, None));
            }
            Request::Batch(changes, config) => return self.batch(changes, config),
            Request::ServiceFlush => {
                self.services.clear();
                return Ok(());
            }
            Request::ConfigSet(config) => {
                self.set(config);
                return Ok(());
            }
            Request::ServiceList if self.interruptions > 0 => {
                self.interruptions -= 1;
                return Err(Error::Interrupted { attempts: 1 });
            }
            Request::ServiceList => {
                let services = self.services.iter();
                services
                    .map(|service| self.service_reply(service))
                    .collect()
            }
            Request::ServiceGet(id) => {
                let found = self.services.iter().find(|service| service.id == *id);
                let change = Change::ServiceDel { id: *id };
                let error = || refusal(&change, ChangeError::NoService(*id), None);
                vec![self.service_reply(found.ok_or_else(error)?)]
            }
            Request::LocalList(of) => self.local_replies(*of),
            Request::DestList(of) => self.dest_replies(*of)?,
            Request::DestGet(service, id) => {
                let mut dests = self.dest_replies(Some(*service))?;
                dests.retain(|reply| reply.dest.as_ref().is_some_and(|dest| dest.id == *id));
                dests
            }
            Request::ConfigGet => vec![Reply {
                config: Some(self.config.clone()),
                ..Reply::default()
            }],
            Request::StatsGet => vec![Reply {
                stats: Some(Stats::default()),
                rates: Some(Stats::default()),
                counters: Some(Counters::default()),
                ..Reply::default()
            }],
            Request::ConnList(_, selection) => {
                let meant = self
                    .conns
                    .iter()
                    .filter(|c| selection.takes(&c.candidate()));
                let conns = meant.cloned().map(Some);
                let reply = |conn| Reply {
                    conn,
                    ..Reply::default()
                };
                conns.map(reply).collect()
            }
            Request::TemplateList(_) => self.templates.clone(),
            Request::ConnFlush(_, selection) => {
                let before = self.conns.len();
                self.conns.retain(|c| !selection.takes(&c.candidate()));
                vec![Reply {
                    ended: Some((before - self.conns.len()) as u64),
                    ..Reply::default()
                }]
            }
            Request::Explain(_) => vec![Reply::default()],
            Request::SyncGet => vec![Reply {
                sync_counters: Some(Default::default()),
                ..Reply::default()
            }],
            Request::StatsZero(_)
            | Request::Release
            | Request::ConnRecords
            | Request::TemplateRecords
            | Request::CountRecords
            | Request::RecordRestore(_) => Vec::new(),
            Request::SyncStart(daemon) => {
                let key = None;
                let daemon = daemon.clone();
                self.daemons.push(rvs_netlink::Daemon { key, ..daemon });
                Vec::new()
            }
            Request::SyncStop(role) => {
                self.daemons.retain(|daemon| daemon.role != *role);
                Vec::new()
            }
            Request::SyncList => {
                let reply = |daemon: &rvs_netlink::Daemon| Reply {
                    sync: Some(daemon.clone()),
                    ..Reply::default()
                };
                self.daemons.iter().map(reply).collect()
            }
        };
        replies.into_iter().try_for_each(sink)
    }
}

/// What the kernel tells of a service's settings: all of them.
fn told(spec: &ServiceSpec) -> ServiceUpdate {
    let mut timeouts = TimeoutUpdate::default();
    State::all().for_each(|state| timeouts.set(state, spec.timeouts.get(state)));
    ServiceUpdate {
        toa: Some(spec.toa),
        account: Some(spec.account),
        helper: Some(spec.helper),
        scheduler: None,
        flags: Some(spec.flags),
        mh_size: Some(spec.mh_size),
        expiration: Some(spec.expiration),
        one_packet: Some(spec.one_packet),
        random_start: Some(spec.random_start),
        slow_start: Some(spec.slow_start),
        persistence: Some(spec.persistence.seconds),
        prefix: Some(spec.persistence.prefix),
        quiesced: Some(spec.persistence.quiesced),
        engine: Some(spec.persistence.engine),
        timeouts,
        removed: Some(spec.removed),
        quiesced_flows: Some(spec.quiesced_flows),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a namespace has of RVS: taken from one module, given to another.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rvs_engine::change::Change;
use rvs_engine::record::Record;
use rvs_engine::spec::{DestId, DestSpec, DestUpdate, Mode, ServiceId};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::Tunnel;
use rvs_netlink::{Client, Config, Daemon, Error, Lists as _, Records, Request, Transport as _};

use super::drop::What;
use super::places::Place;
use crate::conn::records::{put, read, Restored};
use crate::restore::changed;
use crate::save;
use crate::snapshot::{settings_of, Snapshot};

/// Where `ip_vs`'s settings are, with the module's parameter `ipvs`.
const SYSCTLS: &str = "/proc/sys/net/ipv4/vs";

/// The configuration.
#[derive(Default)]
pub struct Configured {
    generation: Option<u32>,
    changes: Vec<Change>,
    /// Weight 0 and the seconds that are left.
    drains: Vec<Change>,
    settings: Config,
    sysctls: BTreeMap<String, String>,
    /// All of it as rvsadm restore reads it, in case that something goes wrong.
    pub text: String,
    /// How many services there are.
    pub services: usize,
    /// What packets of its services are known by.
    pub what: What,
}

/// The rest.
#[derive(Default)]
pub struct Carried {
    daemons: Vec<Daemon>,
    /// Connections and templates.
    pub records: Records,
    counts: Records,
    /// How many of the records are of connections.
    pub connections: u64,
    /// And of templates.
    pub templates: u64,
}

impl Configured {
    /// That of the namespace of this thread.
    pub fn read(client: &mut Client) -> Result<Self, Error> {
        let reply = client.one(&Request::ConfigGet)?;
        let snapshot = Snapshot::read(client)?;
        let settings = reply.config.ok_or(Error::Missing("config"))?;
        let mut this = Self {
            generation: reply.generation,
            text: save::text(&snapshot, &settings).unwrap_or_default(),
            settings,
            sysctls: sysctls(),
            services: snapshot.services.len(),
            ..Self::default()
        };
        for address in &snapshot.locals {
            this.local(None, *address);
        }
        for running in &snapshot.services {
            let id = running.service.id;
            let spec = settings_of(&running.service).ok_or(Error::Missing("scheduler"))?;
            match id {
                ServiceId::Virtual { address, .. } => this.what.to.insert(address),
                ServiceId::Marked { mark, .. } => this.what.marks.insert(mark),
            };
            this.changes.push(Change::ServiceAdd { id, spec });
            for dest in &running.dests {
                let spec = DestSpec {
                    mode: dest.mode.ok_or(Error::Missing("mode"))?,
                    weight: dest.weight.ok_or(Error::Missing("weight"))?,
                    thresholds: Thresholds {
                        upper: dest.upper.unwrap_or(0),
                        lower: dest.lower.unwrap_or(0),
                    },
                    tunnel: dest.tunnel.unwrap_or(Tunnel::IPIP),
                };
                this.dest(id, dest.id, spec, dest.drain);
            }
            for address in &running.locals {
                this.local(Some(id), *address);
            }
        }
        Ok(this)
    }

    fn dest(&mut self, service: ServiceId, id: DestId, spec: DestSpec, drain: Option<u32>) {
        if spec.mode == Mode::Nat {
            self.what.from.insert(id.address);
        }
        self.changes.push(Change::DestAdd { service, id, spec });
        if drain.is_some() {
            let update = DestUpdate {
                drain,
                ..DestUpdate::default()
            };
            self.drains.push(Change::DestSet {
                service,
                id,
                update,
            });
        }
    }

    fn local(&mut self, service: Option<ServiceId>, address: std::net::IpAddr) {
        self.what.to.insert(address);
        self.changes.push(Change::LocalAdd { service, address });
    }

    /// Whether nothing has changed since it was read.
    pub fn is_current(&self, client: &mut Client) -> Result<bool, Error> {
        let now = client.one(&Request::ConfigGet)?.generation;
        Ok(now.is_some() && now == self.generation)
    }
}

impl Carried {
    /// All of it, when packets come no more; daemons stop telling and listening.
    pub fn take(client: &mut Client) -> Result<Self, Error> {
        let daemons = client.collect(&Request::SyncList)?;
        let daemons: Vec<_> = daemons.into_iter().filter_map(|reply| reply.sync).collect();
        for daemon in &daemons {
            client.execute(&Request::SyncStop(daemon.role))?;
        }
        let mut records = read(client, &Request::ConnRecords)?;
        let connections = records.len();
        let templates = read(client, &Request::TemplateRecords)?;
        records.append(&templates);
        Ok(Self {
            daemons,
            records,
            connections,
            templates: templates.len(),
            counts: read(client, &Request::CountRecords)?,
        })
    }

    /// What packets of its connections are known by.
    pub fn what(&self) -> What {
        let mut what = What::default();
        for record in self.records.iter() {
            let Ok(Record::Connection(conn)) = Record::read(record) else {
                continue;
            };
            what.to.insert(conn.virtual_address.ip());
            match &conn.ends {
                Some(ends) if conn.mode == Mode::FullNat => what.to.insert(ends.local.ip()),
                Some(ends) => what.from.insert(ends.dest.ip()),
                None => false,
            };
        }
        what
    }

    /// Has daemons run again, where the module has stayed. What cannot be is said.
    pub fn start_daemons(&self, client: &mut Client) -> Result<(), Error> {
        for daemon in &self.daemons {
            client.execute(&Request::SyncStart(daemon.clone()))?;
        }
        Ok(())
    }
}

/// Gives both to the module that runs now.
pub fn give(place: &Place, configured: &Configured, carried: &Carried) -> Result<Restored, String> {
    let given = place.inside(|| {
        let mut client = Client::connect()?;
        let running = client.one(&Request::ConfigGet)?.config;
        let settings = changed(&configured.settings, &running.unwrap_or_default());
        if !configured.changes.is_empty() || !settings.is_empty() {
            client.execute(&Request::Batch(configured.changes.clone(), settings))?;
        }
        if !configured.drains.is_empty() {
            let drains = configured.drains.clone();
            client.execute(&Request::Batch(drains, Config::default()))?;
        }
        set_sysctls(&configured.sysctls);
        put(&mut client, &carried.counts)?;
        let became = put(&mut client, &carried.records)?;
        carried.start_daemons(&mut client)?;
        Ok(became)
    });
    let given = given.map_err(|error| error.to_string())?;
    given.map_err(|error: Error| error.to_string())
}

/// The settings of `ip_vs` that are files here.
fn sysctls() -> BTreeMap<String, String> {
    let entries = fs::read_dir(SYSCTLS).into_iter().flatten().flatten();
    let read = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name, fs::read_to_string(entry.path()).ok()?))
    });
    read.collect()
}

/// Sets those that are others now. One that the module does not have any more is left out.
fn set_sysctls(wanted: &BTreeMap<String, String>) {
    let now = sysctls();
    for (name, value) in wanted
        .iter()
        .filter(|(name, value)| now.get(*name) != Some(value))
    {
        let _ = fs::write(Path::new(SYSCTLS).join(name), value);
    }
}

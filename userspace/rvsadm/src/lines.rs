// SPDX-License-Identifier: GPL-2.0

//! One line of a saved configuration: those of ipvsadm-save, and our own for what it lacks.
//!
//! Our own lines start with `#rvsadm`. Comments are ours too: ipvsadm-restore 1.31 ends at one with
//! an error, so that what both tools are to read has none.

mod options;

use std::net::IpAddr;

use rvs_engine::change::{ChangeError, SchedulerName};
use rvs_engine::sched;
use rvs_engine::spec::{validate_local, DestId, DestSpec, Mode, Protocol, ServiceId, SpecError};
use rvs_netlink::Config;

use crate::config::{self, LineError};
use crate::endpoint::{self, EndpointError};
use crate::hints;
use crate::ports::Ports;
use crate::values;
use options::{Command, Options};

/// What a line of settings starts with.
const SETTINGS: &str = "#rvsadm config ";

/// What the line of a local address for all services starts with.
const DEFAULT_LOCAL: &str = "#rvsadm laddr ";

/// The scheduler of a service line without `-s`, as `ipvsadm(8)` documents.
const IPVSADM_SCHEDULER: &str = "wlc";

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Blank, or a comment.
    Nothing,
    /// A service.
    Service(ServiceId, SchedulerName),
    /// A dest of a service.
    Dest(ServiceId, DestId, DestSpec),
    /// A local address of a service, or for all that have none.
    Local(Option<ServiceId>, IpAddr),
    /// Settings of the namespace.
    Settings(Config),
}

/// Why a line is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub reason: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The service that the line would have added, so that its dests are not complained about.
    pub service: Option<ServiceId>,
}

impl Problem {
    fn new(reason: impl Into<String>, hint: &str) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint.to_owned()),
            service: None,
        }
    }

    fn of_spec(error: SpecError) -> Self {
        Self::new(error.to_string(), &hints::of_spec(&error))
    }
}

/// The line of a service.
pub fn service_line(id: &ServiceId, scheduler: &str) -> String {
    format!("-A {} -s {scheduler}", service_option(id))
}

/// The line of a dest; `None` for what ipvsadm's lines cannot say.
pub fn dest_line(service: &ServiceId, id: &DestId, spec: &DestSpec) -> Option<String> {
    let flag = match spec.mode {
        Mode::Dr => "-g",
        Mode::Nat => "-m",
        Mode::Tun => "-i",
        // As the ipvsadm of DPVS has it; -b is something else in the others.
        Mode::FullNat => "--fullnat",
        Mode::Local => return None,
    };
    let service = service_option(service);
    Some(format!("-a {service} -r {id} {flag} -w {}", spec.weight))
}

/// The line of a service's local address, as the ipvsadm of DPVS saves it.
pub fn local_line(service: &ServiceId, address: IpAddr) -> String {
    format!("-P {} -z {address}", service_option(service))
}

/// The line of a local address for services that have none.
pub fn default_local_line(address: IpAddr) -> String {
    format!("{DEFAULT_LOCAL}{address}")
}

/// The line of settings.
pub fn settings_line(settings: &Config) -> String {
    format!("{SETTINGS}{}", config::line_of(settings))
}

fn service_option(id: &ServiceId) -> String {
    let option = match id.protocol {
        Protocol::Tcp => "-t",
        Protocol::Udp => "-u",
    };
    let endpoint = DestId {
        address: id.address,
        port: id.port,
    };
    format!("{option} {endpoint}")
}

/// Reads a line.
pub fn parse(line: &str, ports: &Ports) -> Result<Line, Problem> {
    let line = line.trim();
    if let Some(settings) = line.strip_prefix(SETTINGS) {
        return parse_settings(settings);
    }
    if let Some(address) = line.strip_prefix(DEFAULT_LOCAL) {
        return Ok(Line::Local(None, local_address(address.trim())?));
    }
    // No value has a # in it.
    let code = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = code.split_whitespace().collect();
    if words.is_empty() {
        return Ok(Line::Nothing);
    }
    let options = Options::parse(&words)?;
    match options.command {
        Some(Command::Service) => options.service_line(ports),
        Some(Command::Dest) => options.dest_line(ports),
        Some(Command::Local) => options.local_line(ports),
        None => Err(Problem::new(
            format!("{:?} adds neither a service nor a dest", words.join(" ")),
            "a line starts with -A (service), -a (dest) or -P (local address)",
        )),
    }
}

fn parse_settings(text: &str) -> Result<Line, Problem> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match config::parse_line(&words) {
        Ok(config) => Ok(Line::Settings(config)),
        Err(LineError::Spec(error)) => Err(Problem::of_spec(error)),
        Err(LineError::Usage(reason)) => Err(Problem::new(reason, "see: rvsadm config set --help")),
    }
}

impl Options<'_> {
    /// The service that the line is about.
    fn service_id(&self, ports: &Ports) -> Result<ServiceId, Problem> {
        let Some((protocol, text)) = self.service else {
            return Err(Problem::new(
                "the line names no service",
                "name it with -t ADDRESS:PORT or -u ADDRESS:PORT",
            ));
        };
        let (address, port) = endpoint(text, protocol, ports)?;
        let port = port.ok_or_else(|| {
            Problem::new(
                EndpointError::NoPort(text.to_owned()).to_string(),
                "a service needs a port: ADDRESS:PORT",
            )
        })?;
        let id = ServiceId {
            protocol,
            address,
            port,
        };
        id.validate().map_err(Problem::of_spec)?;
        Ok(id)
    }

    fn service_line(&self, ports: &Ports) -> Result<Line, Problem> {
        let id = self.service_id(ports)?;
        self.service_settings(id).map_err(|problem| Problem {
            service: Some(id),
            ..problem
        })
    }

    fn service_settings(&self, id: ServiceId) -> Result<Line, Problem> {
        self.refuse_local()?;
        if self.has_dest_options() {
            return Err(Problem::new(
                "-A adds a service, and the line has options of a dest",
                "a dest has a line of its own that starts with -a",
            ));
        }
        let name = self.scheduler.unwrap_or(IPVSADM_SCHEDULER);
        let scheduler = values::scheduler(name);
        let scheduler = scheduler.map_err(|reason| Problem::new(reason, &hints::schedulers()))?;
        if sched::by_name(name).is_none() {
            let reason = ChangeError::NoScheduler(scheduler).to_string();
            return Err(Problem::new(reason, &hints::schedulers()));
        }
        Ok(Line::Service(id, scheduler))
    }

    fn has_dest_options(&self) -> bool {
        self.real_server.is_some() || self.mode.is_some() || self.weight.is_some()
    }

    /// Refuses a local address on the line of something else.
    fn refuse_local(&self) -> Result<(), Problem> {
        match self.local {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                "the line has a local address (-z)",
                "a local address has a line of its own that starts with -P",
            )),
        }
    }

    fn local_line(&self, ports: &Ports) -> Result<Line, Problem> {
        let service = self.service_id(ports)?;
        if self.has_dest_options() || self.scheduler.is_some() {
            return Err(Problem::new(
                "-P adds a local address, and the line has options of a service or dest",
                "it is -P -t ADDRESS:PORT -z LOCAL-ADDRESS",
            ));
        }
        let text = self.local.ok_or_else(|| {
            Problem::new("the line names no local address", "name it with -z ADDRESS")
        })?;
        Ok(Line::Local(Some(service), local_address(text)?))
    }

    fn dest_line(&self, ports: &Ports) -> Result<Line, Problem> {
        let service = self.service_id(ports)?;
        self.refuse_local()?;
        if self.scheduler.is_some() {
            return Err(Problem::new(
                "-a adds a dest, and the line has a scheduler (-s)",
                "the scheduler belongs to the service's line, which starts with -A",
            ));
        }
        let text = self.real_server.ok_or_else(|| {
            Problem::new(
                "the line names no real server",
                "name it with -r ADDRESS:PORT",
            )
        })?;
        let (address, port) = endpoint(text, service.protocol, ports)?;
        let id = DestId {
            address,
            // As ipvsadm has it.
            port: port.unwrap_or(service.port),
        };
        let mode = self.mode.unwrap_or(Mode::Dr);
        let weight = match self.weight {
            None => 1,
            Some(text) => text.parse().map_err(|_| {
                Problem::new(format!("weight {text:?} is not a number"), "0 to 65535")
            })?,
        };
        let spec = DestSpec { mode, weight };
        spec.validate(&id, &service).map_err(Problem::of_spec)?;
        Ok(Line::Dest(service, id, spec))
    }
}

/// Reads a local address.
fn local_address(text: &str) -> Result<IpAddr, Problem> {
    let address = text.parse().map_err(|_| {
        let reason = format!("{text:?} is not an IP address");
        Problem::new(reason, "a local address has no port")
    })?;
    validate_local(address).map_err(Problem::of_spec)?;
    Ok(address)
}

/// Reads an endpoint whose port may have a name, or be missing.
fn endpoint(
    text: &str,
    protocol: Protocol,
    ports: &Ports,
) -> Result<(IpAddr, Option<u16>), Problem> {
    let (address, port) = endpoint::split(text).map_err(|error| {
        let hint = match &error {
            EndpointError::Address(_) => {
                "names of hosts are not resolved; save with ipvsadm-save -n"
            }
            _ => "it is ADDRESS:PORT",
        };
        Problem::new(error.to_string(), hint)
    })?;
    let Some(port) = port else {
        return Ok((address, None));
    };
    let number = match endpoint::port_number(port) {
        Ok(number) => number,
        Err(error) => ports.number(port, protocol).ok_or_else(|| {
            let hint = "names of ports are those of /etc/services; save with ipvsadm-save -n";
            Problem::new(error.to_string(), hint)
        })?,
    };
    Ok((address, Some(number)))
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! One line of a saved configuration: those of ipvsadm-save, and our own for what it lacks.
//!
//! Our own lines start with `#rvsadm`. Comments are ours too: ipvsadm-restore 1.31 ends at one with
//! an error, so that what both tools are to read has none.

mod options;
mod words;
mod write;

use std::net::IpAddr;

use rvs_engine::change::ChangeError;
use rvs_engine::persistence::{Engine, Persistence};
use rvs_engine::sched;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{validate_local, DestId, DestSpec, Mode, Protocol, ServiceId};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use rvs_netlink::{Config, Daemon};

use crate::config::{self, LineError};
use crate::endpoint::{self, EndpointError};
use crate::hints;
use crate::ports::Ports;
use crate::service;
use crate::sync;
use crate::values;
use options::{Command, Options};
pub use words::Problem;
use words::{DEFAULT_LOCAL, SERVICE};
pub use words::{SETTINGS, SYNC};
pub use write::{
    default_local_line, dest_line, local_line, service_lines, settings_line, sync_line,
    tunnel_options,
};

/// What our own lines start with; of those that are not known a later version knows what they mean.
const OWN: &str = "#rvsadm ";
/// The first line of a saved file.
pub const BEGIN: &str = "#rvsadm begin";
/// Its last: what has a first line and not this one has lost its end.
pub const END: &str = "#rvsadm end";
/// What editors put at the start of a text to say that it is UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The scheduler of a service line without `-s`, as `ipvsadm(8)` documents.
const IPVSADM_SCHEDULER: &str = "wlc";

/// Seconds of `-p` without a value, as `ipvsadm(8)` documents.
const IPVSADM_PERSISTENCE: u32 = 300;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Blank, or a comment.
    Nothing,
    /// A service.
    Service(ServiceId, ServiceSpec),
    /// More settings of a service that a line above adds.
    More(ServiceId, ServiceUpdate),
    /// A dest of a service.
    Dest(ServiceId, DestId, DestSpec),
    /// A local address of a service, or for all that have none.
    Local(Option<ServiceId>, IpAddr),
    /// Settings of the namespace.
    Settings(Config),
    /// A daemon that keeps directors at the same connections.
    Sync(Daemon),
    /// The start of what was saved.
    Begin,
    /// Its end.
    End,
}

/// Reads a line.
pub fn parse(line: &str, ports: &Ports) -> Result<Line, Problem> {
    let line = line.trim_start_matches(BYTE_ORDER_MARK).trim();
    match line {
        BEGIN => return Ok(Line::Begin),
        END => return Ok(Line::End),
        _ => {}
    }
    if let Some(settings) = line.strip_prefix(SETTINGS) {
        return parse_settings(settings);
    }
    if let Some(daemon) = line.strip_prefix(SYNC) {
        let words: Vec<&str> = daemon.split_whitespace().collect();
        let daemon = sync::parse_line(&words);
        return daemon
            .map(Line::Sync)
            .map_err(|reason| Problem::new(reason, "see: rvsadm sync start --help"));
    }
    if let Some(address) = line.strip_prefix(DEFAULT_LOCAL) {
        return Ok(Line::Local(None, local_address(address.trim())?));
    }
    if let Some(more) = line.strip_prefix(SERVICE) {
        return parse_more(more);
    }
    if line.starts_with(OWN) {
        return Err(Problem::new(
            format!("{line:?} is no line that this version knows"),
            "a later version may have saved it; comments start with another word than #rvsadm",
        ));
    }
    // No value has a # in it.
    let code = line.split('#').next().unwrap_or_default();
    let code = code.trim_ascii();
    if code.is_empty() {
        return Ok(Line::Nothing);
    }
    let options = Options::parse(code)?;
    match options.command {
        Some(Command::Service) => options.service_line(ports),
        Some(Command::Dest) => options.dest_line(ports),
        Some(Command::Local) => options.local_line(ports),
        None => Err(Problem::new(
            format!("{code:?} adds neither a service nor a dest"),
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

/// Reads settings of a service for which ipvsadm has no options.
fn parse_more(text: &str) -> Result<Line, Problem> {
    let problem = |reason: String| {
        Problem::new(
            reason,
            "it is: #rvsadm service SERVICE OPTIONS of service set",
        )
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (service, options) = words.split_first().unwrap_or((&"", &[]));
    let id = values::service_id(service).map_err(problem)?;
    let update = service::parse_line(options).map_err(problem)?;
    Ok(Line::More(id, update))
}

impl Options<'_> {
    /// The service that the line is about.
    fn service_id(&self, ports: &Ports) -> Result<ServiceId, Problem> {
        let Some((protocol, text)) = self.service else {
            return Err(Problem::new(
                "the line names no service",
                "name it with -t ADDRESS:PORT, -u ADDRESS:PORT or -f MARK",
            ));
        };
        let Some(protocol) = protocol else {
            let mark = values::mark(text);
            let id = ServiceId::Marked {
                mark: mark.map_err(|reason| Problem::new(reason, "a service by mark: -f 7"))?,
                ipv6: self.ipv6,
            };
            id.validate().map_err(Problem::of_spec)?;
            return Ok(id);
        };
        if self.ipv6 {
            return Err(Problem::new(
                "-6 belongs to a service by mark (-f)",
                "the address tells the family of other services",
            ));
        }
        let (address, port) = endpoint(text, protocol, ports)?;
        let port = port.ok_or_else(|| {
            Problem::new(
                EndpointError::NoPort(text.to_owned()).to_string(),
                "a service needs a port: ADDRESS:PORT",
            )
        })?;
        let id = ServiceId::Virtual {
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
        let flags = self.flags.map_or(Ok(Default::default()), values::flags);
        let flags = flags.map_err(|reason| {
            let hint = "-b takes the flags of the scheduler with commas between";
            Problem::new(format!("-b: {reason}"), hint)
        })?;
        let spec = ServiceSpec {
            flags,
            one_packet: self.one_packet,
            persistence: self.persistence()?,
            ..ServiceSpec::new(scheduler)
        };
        spec.validate(&id).map_err(Problem::of_spec)?;
        Ok(Line::Service(id, spec))
    }

    fn persistence(&self) -> Result<Persistence, Problem> {
        let hint = "-p takes seconds from 1 up, -M a netmask or the length of a prefix";
        let seconds = match self.persistent {
            None => 0,
            Some("") => IPVSADM_PERSISTENCE,
            // Here 0 is no way to have none: the option says that there is some.
            Some("0") => return Err(Problem::new("-p: 0 seconds are no persistence", hint)),
            Some(text) => text
                .parse()
                .map_err(|_| Problem::new(format!("-p: {text:?} is no number"), hint))?,
        };
        let prefix = self.netmask.map_or(Ok(0), values::prefix);
        let prefix = prefix.map_err(|reason| Problem::new(format!("-M: {reason}"), hint))?;
        Ok(Persistence {
            seconds,
            prefix,
            quiesced: false,
            engine: self.engine()?,
        })
    }

    fn engine(&self) -> Result<Engine, Problem> {
        self.engine.map_or(Ok(Engine::Off), |name| {
            values::engine(name).map_err(|_| {
                Problem::new(
                    format!("--pe: there is no persistence engine {name:?}"),
                    "the only one is sip; take it out of the line to do without",
                )
            })
        })
    }

    fn has_dest_options(&self) -> bool {
        let thresholds = self.upper.is_some() || self.lower.is_some();
        let tunnel = self.tunnel_kind.is_some() || self.tunnel_port.is_some();
        self.real_server.is_some()
            || self.mode.is_some()
            || self.weight.is_some()
            || thresholds
            || tunnel
            || self.tunnel_sum.is_some()
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
        let of_service = self.scheduler.is_some()
            || self.flags.is_some()
            || self.one_packet
            || self.persistent.is_some()
            || self.netmask.is_some()
            || self.engine.is_some();
        if self.has_dest_options() || of_service {
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
        if self.persistent.is_some() || self.netmask.is_some() || self.engine.is_some() {
            return Err(Problem::new(
                "-a adds a dest, and the line has persistence (-p, -M, --pe)",
                "that belongs to the service's line, which starts with -A",
            ));
        }
        if self.one_packet {
            return Err(Problem::new(
                "-a adds a dest, and the line has one-packet scheduling (-o)",
                "that belongs to the service's line, which starts with -A",
            ));
        }
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
        let protocol = service.protocol().unwrap_or(Protocol::Tcp);
        let (address, port) = endpoint(text, protocol, ports)?;
        let id = DestId {
            address,
            // As ipvsadm has it.
            port: port.unwrap_or(service.port()),
        };
        let mode = match (self.mode, self.flags) {
            (mode, None) => mode.unwrap_or(Mode::Dr),
            (None, Some("")) => Mode::FullNat,
            (None, Some(flags)) => {
                return Err(Problem::new(
                    format!("-b is FullNAT here, and {flags:?} follows it"),
                    "flags of a scheduler belong to the service's line, which starts with -A",
                ))
            }
            (Some(_), Some(_)) => {
                return Err(Problem::new(
                    "-b is FullNAT here, and the line has another mode",
                    "give one service, one real server and one mode a line",
                ))
            }
        };
        let number = |name: &str, text: Option<&str>, otherwise, hint: &str| {
            text.map_or(Ok(otherwise), |text| {
                let problem = |_| Problem::new(format!("{name} {text:?} is not a number"), hint);
                text.parse().map_err(problem)
            })
        };
        let connections = "a number of connections; 0 is no threshold";
        let spec = DestSpec {
            mode,
            weight: number("weight", self.weight, 1, "0 to 65535")?,
            thresholds: Thresholds {
                upper: number("upper threshold", self.upper, 0, connections)?,
                lower: number("lower threshold", self.lower, 0, connections)?,
            },
            tunnel: self.tunnel()?,
        };
        spec.validate(&id, &service).map_err(Problem::of_spec)?;
        Ok(Line::Dest(service, id, spec))
    }
}

impl Options<'_> {
    /// The tunnel that the line asks for.
    fn tunnel(&self) -> Result<Tunnel, Problem> {
        let hint = "it is --tun-type gue --tun-port PORT, or --tun-type gre";
        let kind = match self.tunnel_kind {
            Some(text) => values::tunnel_kind(text).map_err(|reason| Problem::new(reason, hint))?,
            None if self.tunnel_port.is_some() || self.tunnel_sum.is_some() => {
                return Err(Problem::new(
                    "the line has options of a tunnel without its type",
                    hint,
                ))
            }
            None => TunnelKind::Ipip,
        };
        let port = self.tunnel_port.map_or(Ok(0), |text| {
            let problem = |_| Problem::new(format!("tunnel port {text:?} is not a number"), hint);
            text.parse().map_err(problem)
        })?;
        Ok(Tunnel {
            kind,
            sum: self.tunnel_sum.unwrap_or(TunnelSum::None),
            port,
        })
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

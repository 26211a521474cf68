// SPDX-License-Identifier: GPL-2.0

//! One line of a saved configuration: those of ipvsadm-save, and our own for what it lacks.
//!
//! Our own lines start with `#rvsadm`. Comments are ours too: ipvsadm-restore 1.31 ends at one with
//! an error, so that what both tools are to read has none.

use rvs_engine::change::{ChangeError, SchedulerName};
use rvs_engine::sched;
use rvs_engine::spec::{DestId, DestSpec, Mode, Protocol, ServiceId, SpecError};
use rvs_netlink::Config;

use crate::config::{self, LineError};
use crate::endpoint::{self, EndpointError};
use crate::hints;
use crate::ports::Ports;
use crate::values;

/// What a line of settings starts with.
const SETTINGS: &str = "#rvsadm config ";

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
        Mode::FullNat => "-b",
        Mode::Local => return None,
    };
    let service = service_option(service);
    Some(format!("-a {service} -r {id} {flag} -w {}", spec.weight))
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
    // No value has a # in it.
    let code = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = code.split_whitespace().collect();
    if words.is_empty() {
        return Ok(Line::Nothing);
    }
    let options = Options::parse(&words)?;
    match options.command {
        Some(Command::AddService) => options.service_line(ports),
        Some(Command::AddDest) => options.dest_line(ports),
        None => Err(Problem::new(
            format!("{:?} adds neither a service nor a dest", words.join(" ")),
            "a line starts with -A (service) or -a (dest), as ipvsadm-save writes it",
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

/// What a line adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    AddService,
    AddDest,
}

/// What an option is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Command(Command),
    Service(Protocol),
    Scheduler,
    RealServer,
    Mode(Mode),
    Weight,
    /// An upper or lower threshold; 0 is none, and that is what there is.
    Threshold,
    /// `-b`: FullNAT of a dest in the ipvsadm of Alibaba's LVS, flags of a scheduler otherwise.
    FullNatOrFlags,
    /// Something that this version lacks.
    Unsupported(&'static str),
    /// A command that a saved file does not have.
    NotSaved,
}

/// Options by letter and name, as in ipvsadm 1.31; the flag says whether a value follows.
const OPTIONS: &[(&str, &str, bool, Means)] = &[
    (
        "-A",
        "--add-service",
        false,
        Means::Command(Command::AddService),
    ),
    (
        "-a",
        "--add-server",
        false,
        Means::Command(Command::AddDest),
    ),
    ("-t", "--tcp-service", true, Means::Service(Protocol::Tcp)),
    ("-u", "--udp-service", true, Means::Service(Protocol::Udp)),
    ("-s", "--scheduler", true, Means::Scheduler),
    ("-r", "--real-server", true, Means::RealServer),
    ("-g", "--gatewaying", false, Means::Mode(Mode::Dr)),
    ("-m", "--masquerading", false, Means::Mode(Mode::Nat)),
    ("-i", "--ipip", false, Means::Mode(Mode::Tun)),
    ("-w", "--weight", true, Means::Weight),
    ("-x", "--u-threshold", true, Means::Threshold),
    ("-y", "--l-threshold", true, Means::Threshold),
    ("-b", "--sched-flags", false, Means::FullNatOrFlags),
    ("", "--fullnat", false, Means::Mode(Mode::FullNat)),
    ("", "--sctp-service", true, Means::Unsupported("SCTP")),
    (
        "-f",
        "--fwmark-service",
        true,
        Means::Unsupported("a service by firewall mark"),
    ),
    (
        "-6",
        "--ipv6",
        false,
        Means::Unsupported("a service by firewall mark"),
    ),
    (
        "-p",
        "--persistent",
        false,
        Means::Unsupported("persistence"),
    ),
    ("-M", "--netmask", true, Means::Unsupported("persistence")),
    (
        "-o",
        "--ops",
        false,
        Means::Unsupported("one-packet scheduling"),
    ),
    ("-O", "", false, Means::Unsupported("one-packet scheduling")),
    ("", "--pe", true, Means::Unsupported("a persistence engine")),
    ("", "--tun-type", true, Means::Unsupported("tunnelling")),
    ("", "--tun-port", true, Means::Unsupported("tunnelling")),
    ("", "--tun-nocsum", false, Means::Unsupported("tunnelling")),
    ("", "--tun-csum", false, Means::Unsupported("tunnelling")),
    ("", "--tun-remcsum", false, Means::Unsupported("tunnelling")),
    ("-E", "--edit-service", false, Means::NotSaved),
    ("-D", "--delete-service", false, Means::NotSaved),
    ("-C", "--clear", false, Means::NotSaved),
    ("-e", "--edit-server", false, Means::NotSaved),
    ("-d", "--delete-server", false, Means::NotSaved),
    ("-Z", "--zero", false, Means::NotSaved),
    ("", "--set", false, Means::NotSaved),
    ("", "--start-daemon", false, Means::NotSaved),
    ("", "--stop-daemon", false, Means::NotSaved),
];

/// Options of a line, not yet checked against each other.
#[derive(Default)]
struct Options<'a> {
    command: Option<Command>,
    service: Option<(Protocol, &'a str)>,
    scheduler: Option<&'a str>,
    real_server: Option<&'a str>,
    mode: Option<Mode>,
    weight: Option<&'a str>,
    full_nat_or_flags: bool,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Result<Self, Problem> {
        let mut options = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (name, joined) = split_option(word);
            let known = OPTIONS
                .iter()
                .find(|(short, long, ..)| name == *short || name == *long);
            let Some((_, _, takes_value, means)) = known.filter(|_| name.len() > 1) else {
                return Err(Problem::new(
                    format!("{word:?} is not an option of ipvsadm-save's lines"),
                    "each option starts with - and a value belongs to the option before it",
                ));
            };
            let value = match (takes_value, joined) {
                (false, Some(_)) if name.starts_with("--") => {
                    return Err(Problem::new(
                        format!("{name} takes no value"),
                        "take it away",
                    ));
                }
                (true, None) => words.next().ok_or_else(|| {
                    Problem::new(format!("{name} has no value"), "something must follow it")
                })?,
                (true, Some(value)) => value,
                (false, _) => "",
            };
            options.take(name, value, *means)?;
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &'a str, means: Means) -> Result<(), Problem> {
        let twice = match means {
            Means::Command(command) => self.command.replace(command).is_some(),
            Means::Service(protocol) => self.service.replace((protocol, value)).is_some(),
            Means::Scheduler => self.scheduler.replace(value).is_some(),
            Means::RealServer => self.real_server.replace(value).is_some(),
            Means::Mode(mode) => self.mode.replace(mode).is_some(),
            Means::Weight => self.weight.replace(value).is_some(),
            Means::FullNatOrFlags => std::mem::replace(&mut self.full_nat_or_flags, true),
            Means::Threshold if value == "0" => false,
            Means::Threshold => return Err(unsupported(name, "a threshold of connections")),
            Means::Unsupported(what) => return Err(unsupported(name, what)),
            Means::NotSaved => {
                return Err(Problem::new(
                    format!("{name} has no place in a saved configuration"),
                    "keep -A and -a lines only: restore makes the running configuration that of \
                     the file, whatever was there",
                ));
            }
        };
        if twice {
            return Err(Problem::new(
                format!("{name} says again what the line has said already"),
                "give one service, one real server and one mode a line",
            ));
        }
        // From here on nothing else can be done with the flags of a scheduler.
        if self.full_nat_or_flags && self.command == Some(Command::AddService) {
            return Err(unsupported("-b", "a flag of a scheduler"));
        }
        Ok(())
    }

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
        if self.real_server.is_some() || self.mode.is_some() || self.weight.is_some() {
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
            let hint = match self.scheduler {
                Some(_) => hints::schedulers(),
                None => format!("a line without -s means -s wlc; {}", hints::schedulers()),
            };
            return Err(Problem::new(reason, &hint));
        }
        Ok(Line::Service(id, scheduler))
    }

    fn dest_line(&self, ports: &Ports) -> Result<Line, Problem> {
        let service = self.service_id(ports)?;
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
        let mode = match (self.mode, self.full_nat_or_flags) {
            (mode, false) => mode.unwrap_or(Mode::Dr),
            (None, true) => Mode::FullNat,
            (Some(_), true) => return Err(unsupported("-b", "a second mode")),
        };
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

fn unsupported(option: &str, what: &str) -> Problem {
    Problem::new(
        format!("{option}: {what} is not supported by this version"),
        "take it out of the line to do without",
    )
}

/// Takes `-w1` and `--weight=1` apart.
fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
    }
    match word.char_indices().nth(2) {
        Some((at, _)) if word.starts_with('-') => {
            let (name, value) = word.split_at(at);
            (name, Some(value))
        }
        _ => (word, None),
    }
}

/// Reads an endpoint whose port may have a name, or be missing.
fn endpoint(
    text: &str,
    protocol: Protocol,
    ports: &Ports,
) -> Result<(std::net::IpAddr, Option<u16>), Problem> {
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

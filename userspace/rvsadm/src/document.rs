// SPDX-License-Identifier: GPL-2.0

//! A saved configuration as a whole.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{DestId, DestSpec, ServiceId};
use rvs_netlink::{Config, Daemon};

use crate::failure::BrokenLine;
use crate::hints;
use crate::laddr::pool_name;
use crate::lines::{self, Line};
use crate::ports::Ports;

/// A service of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct WantedService {
    /// Its line, from 1 on.
    pub line: usize,
    /// Its id.
    pub id: ServiceId,
    /// Its settings.
    pub spec: ServiceSpec,
    /// Its dests, in the file's order.
    pub dests: Vec<WantedDest>,
    /// Its local addresses, in the file's order.
    pub locals: Vec<WantedLocal>,
}

/// A dest of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct WantedDest {
    /// Its line, from 1 on.
    pub line: usize,
    /// Its id.
    pub id: DestId,
    /// Its settings.
    pub spec: DestSpec,
}

/// A local address of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct WantedLocal {
    /// Its line, from 1 on.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The services, in the file's order.
    pub services: Vec<WantedService>,
    /// Local addresses for services that have none, in the file's order.
    pub locals: Vec<WantedLocal>,
    /// Settings, if it has a line of them.
    pub settings: Option<Config>,
    /// The daemons that it has lines of, each of another role.
    pub daemons: Vec<Daemon>,
    /// The line that begins what no line ends: the rest was lost.
    pub cut: Option<usize>,
    /// Whether a line says where it ends: then it is as it was saved, even if that is nothing.
    pub ended: bool,
}

impl Document {
    /// Reads a file; every broken line is told of.
    pub fn parse(text: &str, ports: &Ports) -> Result<Self, Vec<BrokenLine>> {
        // Most lines are of dests.
        let mut parser = Parser {
            dests: HashMap::with_capacity(text.lines().count()),
            ..Parser::default()
        };
        for (index, line) in text.lines().enumerate() {
            parser.line(index + 1, line, ports);
        }
        if parser.broken.is_empty() {
            Ok(parser.document)
        } else {
            Err(parser.broken)
        }
    }

    /// Number of dests of all services.
    pub fn dest_count(&self) -> usize {
        self.services
            .iter()
            .map(|service| service.dests.len())
            .sum()
    }

    /// Number of local addresses, those of all services and the default.
    pub fn local_count(&self) -> usize {
        let of_services = self.services.iter().map(|service| service.locals.len());
        self.locals.len() + of_services.sum::<usize>()
    }
}

#[derive(Default)]
struct Parser {
    document: Document,
    broken: Vec<BrokenLine>,
    /// Where each service is in the document.
    services: HashMap<ServiceId, usize>,
    /// The line of each dest, by its service's place in the document.
    dests: HashMap<(usize, DestId), usize>,
    /// The line of each local address.
    locals: HashMap<(Option<ServiceId>, IpAddr), usize>,
    /// Services whose own line is broken; their dests are not to blame.
    broken_services: HashSet<ServiceId>,
    settings_line: Option<usize>,
}

impl Parser {
    fn line(&mut self, number: usize, text: &str, ports: &Ports) {
        match lines::parse(text, ports) {
            Ok(Line::Nothing) => {}
            Ok(Line::Service(id, spec)) => self.service(number, id, spec),
            Ok(Line::More(id, update)) => self.more(number, id, &update),
            Ok(Line::Dest(service, id, spec)) => self.dest(number, service, id, spec),
            Ok(Line::Local(service, address)) => self.local(number, service, address),
            Ok(Line::Settings(settings)) => self.settings(number, settings),
            Ok(Line::Sync(daemon)) => self.daemon(number, daemon),
            Ok(Line::Begin) => self.document.cut = Some(number),
            Ok(Line::End) => (self.document.cut, self.document.ended) = (None, true),
            Err(problem) => {
                self.broken_services.extend(problem.service);
                self.broken.push(BrokenLine {
                    line: number,
                    reason: problem.reason,
                    hint: problem.hint,
                });
            }
        }
    }

    fn broken(&mut self, line: usize, reason: String, hint: &str) {
        self.broken.push(BrokenLine {
            line,
            reason,
            hint: Some(hint.to_owned()),
        });
    }

    fn daemon(&mut self, line: usize, daemon: Daemon) {
        let daemons = &mut self.document.daemons;
        if daemons.iter().any(|other| other.role == daemon.role) {
            let reason = format!("a line above starts a {} already", daemon.role.name());
            return self.broken(line, reason, "keep one of the two lines");
        }
        daemons.push(daemon);
    }

    fn service(&mut self, line: usize, id: ServiceId, spec: ServiceSpec) {
        let services = &mut self.document.services;
        let first = self.services.get(&id).and_then(|at| services.get(*at));
        if let Some(first) = first {
            let reason = format!("service {id} is on line {} already", first.line);
            return self.broken(line, reason, "keep one of the two lines");
        }
        self.services.insert(id, services.len());
        services.push(WantedService {
            line,
            id,
            spec,
            dests: Vec::new(),
            locals: Vec::new(),
        });
    }

    /// More settings of a service.
    fn more(&mut self, line: usize, id: ServiceId, update: &ServiceUpdate) {
        if self.broken_services.contains(&id) {
            return;
        }
        let at = self.position(&id);
        let Some(service) = at.and_then(|at| self.document.services.get_mut(at)) else {
            let reason = format!("no line above adds the service {id}");
            let hint = "the -A line of a service comes before its other lines";
            return self.broken(line, reason, hint);
        };
        service.spec = update.of(&service.spec);
        if let Err(error) = service.spec.validate(&id) {
            self.broken(line, error.to_string(), &hints::of_spec(&error));
        }
    }

    fn dest(&mut self, line: usize, service: ServiceId, id: DestId, spec: DestSpec) {
        let Some(at) = self.position(&service) else {
            return self.no_service(line, service);
        };
        match self.dests.entry((at, id)) {
            Entry::Occupied(first) => {
                let reason = format!("dest {id} of {service} is on line {} already", first.get());
                self.broken(line, reason, "keep one of the two lines");
            }
            Entry::Vacant(free) => {
                free.insert(line);
                if let Some(service) = self.document.services.get_mut(at) {
                    service.dests.push(WantedDest { line, id, spec });
                }
            }
        }
    }

    /// Where a service is in the document.
    fn position(&self, id: &ServiceId) -> Option<usize> {
        // Mostly it is the last.
        match self.document.services.split_last() {
            Some((last, before)) if last.id == *id => Some(before.len()),
            _ => self.services.get(id).copied(),
        }
    }

    /// The service of a line is not there.
    fn no_service(&mut self, line: usize, service: ServiceId) {
        if !self.broken_services.contains(&service) {
            let reason = format!("no line above adds the service {service}");
            let hint = "the -A line of a service comes before its -a and -P lines";
            self.broken(line, reason, hint);
        }
    }

    fn local(&mut self, line: usize, service: Option<ServiceId>, address: IpAddr) {
        let of = match service {
            None => &mut self.document.locals,
            Some(id) => {
                let at = self.position(&id);
                match at.and_then(|at| self.document.services.get_mut(at)) {
                    Some(service) => &mut service.locals,
                    None => return self.no_service(line, id),
                }
            }
        };
        if let Some(first) = self.locals.get(&(service, address)) {
            let pool = pool_name(service);
            let reason = format!("local address {address} of {pool} is on line {first} already");
            return self.broken(line, reason, "keep one of the two lines");
        }
        self.locals.insert((service, address), line);
        of.push(WantedLocal { line, address });
    }

    fn settings(&mut self, line: usize, settings: Config) {
        if let Some(first) = self.settings_line {
            let reason = format!("settings are on line {first} already");
            return self.broken(line, reason, "put all settings on one line");
        }
        self.settings_line = Some(line);
        self.document.settings = Some(settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<(usize, String)> {
        let lines = Document::parse(text, &Ports::default()).unwrap_err();
        lines.into_iter().map(|l| (l.line, l.reason)).collect()
    }

    #[test]
    fn duplicates_name_both_lines() {
        let text = "-A -t 192.0.2.1:80 -s rr\n\n-A -t 192.0.2.1:80 -s wrr\n\
                    -a -t 192.0.2.1:80 -r 192.0.2.2:80\n-a -t 192.0.2.1:80 -r 192.0.2.2 -w 9\n";
        assert_eq!(
            broken(text),
            [
                (
                    3,
                    "service tcp/192.0.2.1:80 is on line 1 already".to_owned()
                ),
                (
                    5,
                    "dest 192.0.2.2:80 of tcp/192.0.2.1:80 is on line 4 already".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn dests_of_a_broken_service_are_not_blamed() {
        let text = "-A -t 192.0.2.1:80 -s nope\n-a -t 192.0.2.1:80 -r 192.0.2.2:80\n\
                    -a -t 192.0.2.9:80 -r 192.0.2.2:80\n";
        let broken = broken(text);
        assert_eq!(broken.len(), 2);
        assert_eq!(broken[0].0, 1);
        assert_eq!(
            broken[1],
            (
                3,
                "no line above adds the service tcp/192.0.2.9:80".to_owned()
            )
        );
    }

    #[test]
    fn local_addresses_are_of_a_service_and_there_once() {
        let text = "#rvsadm laddr 192.0.2.8\n-P -t 192.0.2.1:80 -z 192.0.2.9\n\
                    -A -t 192.0.2.1:80 -s rr\n-P -t 192.0.2.1:80 -z 192.0.2.8\n\
                    -P -t 192.0.2.1:80 -z 192.0.2.8\n#rvsadm laddr 192.0.2.8\n";
        let reasons = [
            (2, "no line above adds the service tcp/192.0.2.1:80"),
            (
                5,
                "local address 192.0.2.8 of tcp/192.0.2.1:80 is on line 4 already",
            ),
            (6, "local address 192.0.2.8 of default is on line 1 already"),
        ];
        assert_eq!(broken(text), reasons.map(|(line, r)| (line, r.to_owned())));
    }

    #[test]
    fn order_is_the_files() {
        let text = "# saved\n-A -t 192.0.2.1:80 -s rr\n-A -u 192.0.2.1:53 -s wrr\n\
                    -a -u 192.0.2.1:53 -r 192.0.2.9\n-a -u 192.0.2.1:53 -r 192.0.2.8\n\
                    #rvsadm config --udp-timeout 60\n";
        let document = Document::parse(text, &Ports::default()).unwrap();
        assert_eq!(document.dest_count(), 2);
        let [web, dns] = document.services.as_slice() else {
            panic!("two services");
        };
        assert_eq!((web.line, dns.line), (2, 3));
        let dests: Vec<_> = dns.dests.iter().map(|d| d.id.to_string()).collect();
        assert_eq!(dests, ["192.0.2.9:53", "192.0.2.8:53"]);
        assert_eq!(document.settings.unwrap().udp_timeout, Some(60));
    }
}

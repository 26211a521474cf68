// SPDX-License-Identifier: GPL-2.0

//! The changes that make the running configuration a wanted one.

use std::collections::HashMap;
use std::net::IpAddr;

use rvs_engine::change::Change;
use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::sched::SchedulerName;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{DestId, DestSpec, DestUpdate, Mode, ServiceId};
use rvs_engine::threshold::Thresholds;
use rvs_netlink::{DestInfo, ServiceInfo};
use schemars::JsonSchema;
use serde::Serialize;

use crate::document::{Document, WantedLocal, WantedService};
use crate::laddr::pool_name;
use crate::lines;
use crate::snapshot::{Running, Snapshot};
use crate::values;

/// A change and the line of the file that asks for it; removals have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The change.
    pub change: Change,
    /// The line, from 1 on.
    pub line: Option<usize>,
}

/// How many things of a kind change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Tally {
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
}

/// What there is to do.
#[derive(Debug, Default)]
pub struct Plan {
    /// The changes, in the order that they are to be made: removals, settings, additions.
    pub steps: Vec<Step>,
    /// Of services.
    pub services: Tally,
    /// Of dests.
    pub dests: Tally,
    /// Of local addresses.
    pub laddrs: Tally,
}

impl Plan {
    /// Compares; what is the same is left alone, so that its connections go on.
    pub fn new(wanted: &Document, running: &Snapshot) -> Self {
        let mut builder = Builder::default();
        let by_id: HashMap<ServiceId, &Running> = running
            .services
            .iter()
            .map(|running| (running.service.id, running))
            .collect();
        let wanted_ids: HashMap<ServiceId, &WantedService> = wanted
            .services
            .iter()
            .map(|wanted| (wanted.id, wanted))
            .collect();
        builder.change_locals(None, &wanted.locals, &running.locals);
        for running in &running.services {
            if !wanted_ids.contains_key(&running.service.id) {
                builder.remove_service(running);
            }
        }
        for wanted in &wanted.services {
            match by_id.get(&wanted.id) {
                Some(running) => builder.change_service(wanted, running),
                None => builder.add_service(wanted),
            }
        }
        builder.finish()
    }
}

/// The plan with its kinds of steps still apart.
#[derive(Default)]
struct Builder {
    plan: Plan,
    sets: Vec<Step>,
    adds: Vec<Step>,
}

impl Builder {
    fn remove_service(&mut self, running: &Running) {
        let id = running.service.id;
        self.remove(Change::ServiceDel { id });
        self.plan.services.removed += 1;
        self.plan.dests.removed += running.dests.len();
        self.plan.laddrs.removed += running.locals.len();
    }

    fn add_service(&mut self, wanted: &WantedService) {
        let change = Change::ServiceAdd {
            id: wanted.id,
            spec: wanted.spec,
        };
        self.adds.push(step(change, wanted.line));
        self.plan.services.added += 1;
        self.change_locals(Some(wanted.id), &wanted.locals, &[]);
        self.add_dests(wanted, &HashMap::new());
    }

    fn change_service(&mut self, wanted: &WantedService, running: &Running) {
        let update = service_update(&wanted.spec, &running.service);
        if update == ServiceUpdate::default() {
            self.plan.services.unchanged += 1;
        } else {
            let change = Change::ServiceSet {
                id: wanted.id,
                update,
            };
            self.sets.push(step(change, wanted.line));
            self.plan.services.changed += 1;
        }
        self.change_locals(Some(wanted.id), &wanted.locals, &running.locals);
        let mut there: HashMap<DestId, &DestInfo> =
            running.dests.iter().map(|dest| (dest.id, dest)).collect();
        self.add_dests(wanted, &there);
        for dest in &wanted.dests {
            there.remove(&dest.id);
        }
        // In the running order, so that the same difference is always the same batch.
        for dest in &running.dests {
            if there.contains_key(&dest.id) {
                self.remove(Change::DestDel {
                    service: wanted.id,
                    id: dest.id,
                });
                self.plan.dests.removed += 1;
            }
        }
    }

    /// Adds or changes the dests of `wanted`, of which `there` are there.
    fn add_dests(&mut self, wanted: &WantedService, there: &HashMap<DestId, &DestInfo>) {
        let service = wanted.id;
        for dest in &wanted.dests {
            let (id, spec) = (dest.id, dest.spec);
            match there.get(&id) {
                None => {
                    let change = Change::DestAdd { service, id, spec };
                    self.adds.push(step(change, dest.line));
                    self.plan.dests.added += 1;
                }
                Some(has) => {
                    let update = dest_update(&spec, has);
                    if update == DestUpdate::default() {
                        self.plan.dests.unchanged += 1;
                        continue;
                    }
                    let change = Change::DestSet {
                        service,
                        id,
                        update,
                    };
                    self.sets.push(step(change, dest.line));
                    self.plan.dests.changed += 1;
                }
            }
        }
    }

    /// Makes the local addresses of a service, or those for all that have none, the wanted ones.
    fn change_locals(
        &mut self,
        service: Option<ServiceId>,
        wanted: &[WantedLocal],
        there: &[IpAddr],
    ) {
        for local in wanted {
            let address = local.address;
            if there.contains(&address) {
                self.plan.laddrs.unchanged += 1;
            } else {
                let change = Change::LocalAdd { service, address };
                self.adds.push(step(change, local.line));
                self.plan.laddrs.added += 1;
            }
        }
        for address in there {
            if !wanted.iter().any(|local| local.address == *address) {
                let address = *address;
                self.remove(Change::LocalDel { service, address });
                self.plan.laddrs.removed += 1;
            }
        }
    }

    fn remove(&mut self, change: Change) {
        self.plan.steps.push(Step { change, line: None });
    }

    fn finish(mut self) -> Plan {
        self.plan.steps.append(&mut self.sets);
        self.plan.steps.append(&mut self.adds);
        self.plan
    }
}

fn step(change: Change, line: usize) -> Step {
    let line = Some(line);
    Step { change, line }
}

/// What makes `has` a service of those settings.
fn service_update(wanted: &ServiceSpec, has: &ServiceInfo) -> ServiceUpdate {
    let scheduler = has.scheduler.as_deref().and_then(SchedulerName::new);
    let has = &has.settings;
    let mut timeouts = TimeoutUpdate::default();
    for state in State::all() {
        let seconds = wanted.timeouts.get(state);
        if has.timeouts.get(state) != Some(seconds) {
            timeouts.set(state, seconds);
        }
    }
    let rule = &wanted.persistence;
    ServiceUpdate {
        scheduler: differs(wanted.scheduler, scheduler),
        flags: differs(wanted.flags, has.flags),
        mh_size: differs(wanted.mh_size, has.mh_size),
        expiration: differs(wanted.expiration, has.expiration),
        one_packet: differs(wanted.one_packet, has.one_packet),
        random_start: differs(wanted.random_start, has.random_start),
        slow_start: differs(wanted.slow_start, has.slow_start),
        persistence: differs(rule.seconds, has.persistence),
        prefix: differs(rule.prefix, has.prefix),
        quiesced: differs(rule.quiesced, has.quiesced),
        engine: differs(rule.engine, has.engine),
        timeouts,
        removed: differs(wanted.removed, has.removed),
        quiesced_flows: differs(wanted.quiesced_flows, has.quiesced_flows),
        toa: differs(wanted.toa, has.toa),
        account: differs(wanted.account, has.account),
        helper: differs(wanted.helper, has.helper),
    }
}

/// What makes `has` a dest of those settings.
fn dest_update(wanted: &DestSpec, has: &DestInfo) -> DestUpdate {
    let Thresholds { upper, lower } = wanted.thresholds;
    DestUpdate {
        mode: differs(wanted.mode, has.mode),
        weight: differs(wanted.weight, has.weight),
        upper: differs(upper, has.upper),
        lower: differs(lower, has.lower),
        drain: None,
        tunnel: match wanted.mode {
            Mode::Tun => differs(wanted.tunnel, has.tunnel),
            // It went with the mode.
            _ => None,
        },
    }
}

fn differs<T: PartialEq>(wanted: T, has: Option<T>) -> Option<T> {
    (has.as_ref() != Some(&wanted)).then_some(wanted)
}

/// A service's settings in words.
pub fn service_words(update: &ServiceUpdate) -> String {
    let mut words = String::new();
    if let Some(name) = &update.scheduler {
        words = format!("{words} scheduler {}", name.as_str());
    }
    if let Some(flags) = update.flags {
        let scheduler = update.scheduler.as_ref().map_or("", SchedulerName::as_str);
        let names = match values::flag_names(scheduler, flags) {
            names if names.is_empty() => "none".to_owned(),
            names => names.join(","),
        };
        words = format!("{words} sched-flags {names}");
    }
    let on_off = |on| if on { "on" } else { "off" };
    let settings = [
        ("mh-size", update.mh_size.map(|n| n.to_string())),
        ("sched-expiration", update.expiration.map(|n| n.to_string())),
        ("ops", update.one_packet.map(|on| on_off(on).to_owned())),
        (
            "random-start",
            update.random_start.map(|on| on_off(on).to_owned()),
        ),
        ("slow-start", update.slow_start.map(|n| n.to_string())),
        ("persistence", update.persistence.map(|n| n.to_string())),
        ("persistence-prefix", update.prefix.map(|n| n.to_string())),
        (
            "persistence-quiesced",
            update.quiesced.map(|on| on_off(on).to_owned()),
        ),
        ("pe", update.engine.map(|engine| engine.name().to_owned())),
        (
            "expire-nodest",
            update.removed.map(|removed| removed.name().to_owned()),
        ),
        (
            "expire-quiesced",
            update.quiesced_flows.map(|flows| flows.name().to_owned()),
        ),
        ("account", update.account.map(|on| on_off(on).to_owned())),
        (
            "helper",
            update.helper.map(|helper| helper.name().to_owned()),
        ),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            words = format!("{words} {name} {value}");
        }
    }
    for (state, seconds) in update.timeouts.iter() {
        words = format!("{words} timeout {}={seconds}", state.name());
    }
    if let Some(kind) = update.toa {
        words = format!("{words} toa {}", values::toa_text(kind));
    }
    words
}

/// A dest's settings in words.
pub fn dest_words(update: &DestUpdate) -> String {
    let mode = update.mode.map(|mode| format!(" mode {}", mode.name()));
    let numbers = [
        ("weight", update.weight),
        ("upper", update.upper),
        ("lower", update.lower),
        ("drain", update.drain),
    ];
    let numbers = numbers
        .into_iter()
        .filter_map(|(name, n)| n.map(|n| format!(" {name} {n}")));
    let tunnel = update
        .tunnel
        .map(|tunnel| format!(" {}", lines::tunnel_options(tunnel)));
    mode.into_iter().chain(numbers).chain(tunnel).collect()
}

/// The change in words: "add dest 192.0.2.1:80 to tcp/…".
pub fn describe(change: &Change) -> String {
    match change {
        Change::ServiceAdd { id, spec } => {
            let update = ServiceUpdate {
                scheduler: Some(spec.scheduler),
                ..spec.since(&ServiceSpec::new(spec.scheduler))
            };
            format!("add service {id}{}", service_words(&update))
        }
        Change::ServiceSet { id, update } => {
            format!("change service {id}{}", service_words(update))
        }
        Change::ServiceDel { id } => format!("remove service {id}"),
        Change::DestAdd { service, id, spec } => {
            let update = spec.told();
            format!("add dest {id} to {service}{}", dest_words(&update))
        }
        Change::DestSet {
            service,
            id,
            update,
        } => format!("change dest {id} of {service}{}", dest_words(update)),
        Change::DestDel { service, id } => format!("remove dest {id} of {service}"),
        Change::LocalAdd { service, address } => {
            format!("add local address {address} to {}", pool_name(*service))
        }
        Change::LocalDel { service, address } => {
            format!("remove local address {address} of {}", pool_name(*service))
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm monitor`.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use clap::builder::PossibleValuesParser;
use clap::Args;
use rvs_engine::prefix::Prefix;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{DestId, DestUpdate, ServiceId};
use rvs_engine::tunnel::Tunnel;
use rvs_netlink::{event_names, DestInfo, Event, Events, ServiceInfo};
use schemars::JsonSchema;
use serde::Serialize;

use crate::clock;
use crate::config::line_of;
use crate::context::Context;
use crate::diff::{dest_words, service_words};
use crate::failure::Failure;
use crate::laddr::pool_name;
use crate::output::say;
use crate::snapshot::{settings_of, Snapshot};
use crate::units;
use crate::values;
use crate::views::{ConfigView, DestView, LocalView, ServiceView};

/// Help on the output.
pub const AFTER_HELP: &str = "\
Example:
  rvsadm monitor --count 1 --timeout 60
  rvsadm monitor tcp/203.0.113.10:443 --event dest-drained,dest-del

Each line begins with the time (UTC). Of a change it says scheduler, or mode and weight, and what else has
changed. Says on standard error when it listens. With --timeout it ends with 0, and with 1 when --count asked
for more than came.

JSON, one document a line: {\"time\":\"2026-01-31T12:00:00.000Z\",\"event\":\"service-add\",\"generation\":N,\"service\":{…}}, with \"dest\",
\"laddr\" or \"config\" where it is about one of those, each as in the lists. Events are service-add, service-set, service-del,
dest-add, dest-set, dest-del, dest-drained, laddr-add, laddr-del, config, stats-zero, conn-flush (the two
of the service that is named, else of all); lost says that some came too fast to be read";

/// What to listen for, and for how long.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only what is about this service or its dests, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id)]
    service: Option<ServiceId>,
    /// Only what is about these real servers: an address, a network, or ADDRESS:PORT
    #[arg(long, value_name = "DEST", value_parser = values::end)]
    dest: Option<(Prefix, Option<u16>)>,
    /// Only these events, with commas between: service-add, dest-drained, … (see below)
    #[arg(long = "event", value_name = "EVENTS", value_delimiter = ',', value_parser = PossibleValuesParser::new(event_names()))]
    events: Vec<String>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    timeout: Option<u32>,
}

impl Arguments {
    /// Whether an event was asked for. That some were lost is always told.
    fn want(&self, event: &Event) -> bool {
        let Event::Change(reply) = event else {
            return true;
        };
        let is_of = |id| {
            let service = reply.service.as_ref();
            service.is_some_and(|service| service.id == id)
        };
        let is_to = |(network, port): (Prefix, Option<u16>)| {
            reply.dest.as_ref().is_some_and(|dest| {
                network.contains(dest.id.address) && port.is_none_or(|port| port == dest.id.port)
            })
        };
        self.service.is_none_or(is_of)
            && self.dest.is_none_or(is_to)
            && (self.events.is_empty() || self.events.iter().any(|name| name == event.name()))
    }
}

/// An event as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Event")]
pub struct EventView {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest: Option<DestView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    laddr: Option<LocalView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigView>,
    /// Which connections were ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<String>,
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("listen for events", error);
    let mut events = Events::subscribe().map_err(failed)?;
    // To say what changes; without it all settings are said.
    let mut known = match Snapshot::read(context.kernel) {
        Ok(snapshot) => Known::new(&snapshot),
        Err(_) => Known::default(),
    };
    say("rvsadm: listening for events");
    let timeout = arguments.timeout.map(u64::from).map(Duration::from_secs);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut seen = 0;
    while arguments.count.is_none_or(|count| seen < count) {
        let Some(event) = events.next(deadline).map_err(failed)? else {
            return timed_out(seen, arguments.count);
        };
        let time = clock::text(SystemTime::now());
        if !arguments.want(&event) {
            known.learn(&event);
            continue;
        }
        seen += 1;
        if context.json {
            context.print_json(&view(&event, time))?;
        } else {
            writeln!(context.out, "{time} {}", known.text(&event))?;
        }
        known.learn(&event);
        // Whoever reads wants it now.
        context.out.flush()?;
    }
    Ok(())
}

fn timed_out(seen: u64, wanted: Option<u64>) -> Result<(), Failure> {
    match wanted {
        None => Ok(()),
        Some(wanted) => Err(Failure::new(
            "wait for events",
            format!("{seen} of {wanted} came before the timeout"),
            None,
        )),
    }
}

/// What services and dests were set to before an event.
#[derive(Default)]
struct Known {
    /// Of the configuration that was read; events of earlier ones change what is not known.
    generation: Option<u32>,
    services: HashMap<ServiceId, ServiceSpec>,
    dests: HashMap<(ServiceId, DestId), DestInfo>,
}

impl Known {
    fn new(snapshot: &Snapshot) -> Self {
        let mut known = Self {
            generation: snapshot.generation,
            ..Self::default()
        };
        for running in &snapshot.services {
            let id = running.service.id;
            let spec = settings_of(&running.service);
            known.services.extend(spec.map(|spec| (id, spec)));
            let dests = running.dests.iter().cloned();
            known.dests.extend(dests.map(|dest| ((id, dest.id), dest)));
        }
        known
    }

    /// Takes an event in.
    fn learn(&mut self, event: &Event) {
        let Event::Change(reply) = event else {
            // Some were lost.
            return *self = Self::default();
        };
        match (&reply.service, &reply.dest) {
            _ if reply.laddr.is_some() => {}
            (Some(service), Some(dest)) => {
                let id = (service.id, dest.id);
                if event.name() == "dest-del" {
                    self.dests.remove(&id);
                } else {
                    self.dests.insert(id, dest.clone());
                }
            }
            (Some(service), None) if event.name() == "service-del" => {
                self.services.remove(&service.id);
                self.dests.retain(|(of, _), _| *of != service.id);
            }
            (Some(service), None) => {
                let spec = settings_of(service);
                self.services.extend(spec.map(|spec| (service.id, spec)));
            }
            (None, _) => {}
        }
    }

    /// The event for people: `dest-add tcp/203.0.113.10:80 192.0.2.1:80 mode dr weight 1`. Scheduler,
    /// mode and weight are always said; of the rest what has changed, or is not as usual.
    fn text(&self, event: &Event) -> String {
        let name = event.name();
        let Event::Change(reply) = event else {
            return name.to_owned();
        };
        // A change of what was read before the event came.
        let is_old = self.generation >= reply.generation;
        let mut text = name.to_owned();
        match (&reply.service, &reply.dest) {
            (Some(service), Some(dest)) => {
                let before = self.dests.get(&(service.id, dest.id));
                let before = before.filter(|_| name == "dest-set" && !is_old);
                let words = changed_dest(dest, before);
                text = format!("{text} {} {}{words}", service.id, dest.id);
                if name == "dest-drained" {
                    let ended = dest.drain_ended.unwrap_or(0);
                    text = format!("{text}, {ended} connections were ended");
                }
            }
            (Some(service), None) => {
                let before = self.services.get(&service.id);
                let before = before.filter(|_| name == "service-set" && !is_old);
                text = format!("{text} {}{}", service.id, changed_service(service, before));
            }
            (None, _) if reply.laddr.is_some() => text = format!("{text} {}", pool_name(None)),
            (None, _) if matches!(name, "stats-zero" | "conn-flush") => text.push_str(" all"),
            (None, _) => {}
        }
        if let Some(selection) = &reply.selection {
            text = format!("{text}{selection}");
        }
        if let Some(address) = reply.laddr {
            text = format!("{text} {address}");
        }
        match &reply.config {
            Some(config) => format!("{text} {}", line_of(config)),
            None => text,
        }
    }
}

/// A service's settings in words, with a space before each.
fn changed_service(service: &ServiceInfo, before: Option<&ServiceSpec>) -> String {
    let Some(spec) = settings_of(service) else {
        return String::new();
    };
    let scheduler = spec.scheduler.as_str();
    let update = ServiceUpdate {
        scheduler: None,
        ..spec.since(before.unwrap_or(&ServiceSpec::new(spec.scheduler)))
    };
    format!(" scheduler {scheduler}{}", service_words(&update))
}

/// A dest's settings in words, with a space before each.
fn changed_dest(dest: &DestInfo, before: Option<&DestInfo>) -> String {
    let usual = DestInfo {
        upper: Some(0),
        lower: Some(0),
        ..DestInfo::new(dest.id)
    };
    let before_or_usual = before.unwrap_or(&usual);
    let tunnel = dest.tunnel.filter(|tunnel| match before {
        Some(before) => before.tunnel != Some(*tunnel),
        None => *tunnel != Tunnel::IPIP,
    });
    let update = DestUpdate {
        mode: dest.mode,
        weight: dest.weight,
        upper: dest.upper.filter(|_| dest.upper != before_or_usual.upper),
        lower: dest.lower.filter(|_| dest.lower != before_or_usual.lower),
        drain: dest.drain,
        tunnel,
    };
    let mut words = dest_words(&update);
    let drained = before.is_some_and(|before| before.drain.is_some());
    if drained && dest.drain.is_none() {
        words.push_str(", drains no longer");
    }
    words
}

fn view(event: &Event, time: String) -> EventView {
    let mut view = EventView {
        time,
        event: event.name(),
        generation: None,
        service: None,
        dest: None,
        laddr: None,
        config: None,
        selection: None,
    };
    if let Event::Change(reply) = event {
        let selection = reply.selection.as_ref();
        view.selection = selection.map(|s| s.to_string().trim_start().to_owned());
        view.generation = reply.generation;
        let service_id = reply.service.as_ref().map(|service| service.id);
        view.laddr = reply
            .laddr
            .map(|address| LocalView::new(service_id, address));
        match (&reply.service, &reply.dest) {
            // Of the service the event has the id only, and the part says that.
            _ if view.laddr.is_some() => {}
            (Some(service), Some(dest)) => view.dest = Some(DestView::new(&service.id, dest)),
            (service, _) => view.service = service.as_ref().map(ServiceView::from),
        }
        view.config = reply.config.as_ref().map(ConfigView::from);
    }
    view
}

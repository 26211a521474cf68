// SPDX-License-Identifier: GPL-2.0

//! `rvsadm explain`: what would become of a packet.

mod source;

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use rvs_engine::persistence::Engine;
use rvs_engine::spec::{Mode, Protocol, ServiceId};
use rvs_netlink::{Connection, Error, Explanation, Lists, Question, Reply, Request};
use schemars::JsonSchema;
use serde::Serialize;

use self::source::Source;
use crate::conn::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, seconds};
use crate::routing::{Routing, Way};
use crate::values;
use crate::views::ConnectionView;

pub const AFTER_HELP: &str = "\
Example:
  rvsadm explain tcp 198.51.100.2:40000 203.0.113.10:80

Of TCP it is the packet that opens a connection, unless there is one. Nothing is changed by the question: the
scheduler takes no turn. What is left to chance (rr with --random-start, twos) is an example.

JSON: {\"verdict\":\"connection\"|\"new\"|\"pass\"|\"drop\",\"why\",\"looked_at\",\"service\",\"scheduler\",\"connection\":{…, as in
conn list},\"dest\",\"mode\",\"chosen_by\":\"connection\"|\"persistence\"|\"scheduler\",\"laddrs\":[…],\"source\":{\"back\",\"refused_from\":[…]},\"way\":{\"is_local\",
\"device\",\"via\",\"mtu\",\"neighbour\":{\"state\",\"address\"}},\"meets_rules\",\"room\",\"pressed\",\"counter\"}; counter is the one
that a drop would be counted by";

/// Which packet.
#[derive(Args, Debug)]
pub struct Arguments {
    /// tcp, udp or sctp
    #[arg(value_parser = values::protocol)]
    protocol: Protocol,
    /// Where it comes from, ADDRESS:PORT
    #[arg(value_parser = values::socket)]
    client: SocketAddr,
    /// Where it is to, ADDRESS:PORT
    #[arg(value_name = "VIRTUAL", value_parser = values::socket)]
    destination: SocketAddr,
    /// Its mark
    #[arg(long, value_parser = values::mark, default_value = "0")]
    mark: u32,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes to the dest of its connection.
    Connection,
    /// It opens one.
    New,
    /// It is left to the host.
    Pass,
    /// It is dropped.
    Drop,
}

/// The answer.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Explanation")]
pub struct Answer {
    verdict: Verdict,
    why: String,
    looked_at: bool,
    service: Option<String>,
    scheduler: Option<String>,
    connection: Option<ConnectionView>,
    dest: Option<String>,
    mode: Option<&'static str>,
    chosen_by: Option<&'static str>,
    laddrs: Vec<IpAddr>,
    /// Null where that cannot be read.
    source: Option<Source>,
    way: Option<Way>,
    meets_rules: bool,
    room: bool,
    pressed: bool,
    counter: Option<&'static str>,
    /// Whether flows of calls that are known go elsewhere.
    #[serde(skip)]
    by_call: bool,
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!(
        "explain a packet from {} to {}",
        arguments.client, arguments.destination
    );
    let answer = answer(arguments, context).map_err(|error| Failure::kernel(what, error))?;
    if context.json {
        return context.print_json(&answer);
    }
    let Arguments {
        protocol,
        client,
        destination,
        mark,
    } = arguments;
    let marked = match mark {
        0 => String::new(),
        mark => format!(", mark {mark}"),
    };
    let packet = format!("{} {client} -> {destination}{marked}", protocol.name());
    for (name, text) in std::iter::once(("packet", packet)).chain(answer.lines()) {
        writeln!(context.out, "{name:<10}  {text}")?;
    }
    Ok(())
}

fn answer(arguments: &Arguments, context: &mut Context<'_>) -> Result<Answer, Error> {
    let question = Question {
        protocol: arguments.protocol,
        client: arguments.client,
        destination: arguments.destination,
        mark: arguments.mark,
    };
    let told = context.kernel.one(&Request::Explain(question))?;
    let (protocol, client) = (arguments.protocol, arguments.client);
    let connection = show::find(protocol, client, arguments.destination, context)?;
    let service = told.service.as_ref().map(|service| service.id);
    let mut answer = Answer::new(&told, connection.as_ref());
    if let Some(id) = service {
        let found = context.kernel.one(&Request::ServiceGet(id))?;
        if let Some(service) = found.service {
            answer.by_call = service.settings.engine.unwrap_or_default() != Engine::Off;
            answer.scheduler = service.scheduler;
        }
        answer.laddrs = locals(&id, context)?;
    }
    // Without the right to ask, or without a route, there is no way to tell of.
    let mut routing = Routing::read().ok();
    if let (Some(_), Some(routing)) = (&answer.service, &mut routing) {
        answer.source = Some(Source::of(client.ip(), routing));
    }
    if let Some(address) = dest_address(&told, connection.as_ref()) {
        answer.way = routing.and_then(|mut routing| routing.way(address).ok());
    }
    answer.judge(&told, connection.as_ref());
    Ok(answer)
}

/// Local addresses that fullnat has for a service.
fn locals(service: &ServiceId, context: &mut Context<'_>) -> Result<Vec<IpAddr>, Error> {
    let addresses = |replies: Vec<Reply>| replies.into_iter().filter_map(|reply| reply.laddr);
    let own = context
        .kernel
        .collect(&Request::LocalList(Some(*service)))?;
    let own: Vec<_> = addresses(own).collect();
    if !own.is_empty() {
        return Ok(own);
    }
    let all = context.kernel.collect(&Request::LocalList(None))?;
    let shared = all.into_iter().filter(|reply| reply.service.is_none());
    Ok(addresses(shared.collect()).collect())
}

fn dest_address(told: &Reply, connection: Option<&Connection>) -> Option<IpAddr> {
    match connection {
        Some(connection) => Some(connection.dest.ip()),
        None => told.dest.as_ref().map(|dest| dest.id.address),
    }
}

impl Answer {
    fn new(told: &Reply, connection: Option<&Connection>) -> Self {
        let flags = told.explanation.unwrap_or_default();
        let dest = told.dest.as_ref();
        let service = told.service.as_ref().map(|service| service.id.to_string());
        let chosen_by = match (connection, dest, flags.by_template) {
            (Some(_), ..) => Some("connection"),
            (None, None, _) => None,
            (None, Some(_), true) => Some("persistence"),
            (None, Some(_), false) => Some("scheduler"),
        };
        Self {
            verdict: Verdict::Pass,
            why: String::new(),
            looked_at: flags.is_looked_at,
            service,
            scheduler: None,
            connection: connection.map(ConnectionView::from),
            dest: match connection {
                Some(connection) => Some(connection.dest.to_string()),
                None => dest.map(|dest| dest.id.to_string()),
            },
            mode: match connection {
                Some(connection) => connection.mode.map(Mode::name),
                None => dest.and_then(|dest| dest.mode).map(Mode::name),
            },
            chosen_by,
            laddrs: Vec::new(),
            source: None,
            way: None,
            meets_rules: flags.meets_rules,
            room: flags.has_room,
            pressed: flags.is_pressed,
            counter: None,
            by_call: false,
        }
    }

    /// Says what becomes of it.
    fn judge(&mut self, told: &Reply, connection: Option<&Connection>) {
        let flags = told.explanation.unwrap_or_default();
        let (verdict, why, counter) = self.verdict(&flags, connection);
        self.verdict = verdict;
        self.why = why;
        self.counter = counter;
    }

    fn verdict(
        &self,
        flags: &Explanation,
        connection: Option<&Connection>,
    ) -> (Verdict, String, Option<&'static str>) {
        let drop = |why: &str, counter| (Verdict::Drop, why.to_owned(), Some(counter));
        let pass = |why: &str| (Verdict::Pass, why.to_owned(), None);
        if let (Some(connection), Some(_)) = (connection, &self.way) {
            let why = format!("goes to {}, by its connection", connection.dest);
            return (Verdict::Connection, why, None);
        }
        if connection.is_none() {
            match (flags.is_looked_at, &self.service, &self.dest) {
                (false, None, _) => return pass("left to the host: no service has that address"),
                (true, None, _) => return pass("left to the host: no service has that port"),
                (_, Some(_), _) if !flags.has_room => {
                    return drop("dropped: there is no room (conn-max)", "drop-conn-max")
                }
                (_, Some(_), None) => {
                    let why = "refused with port unreachable: no dest takes new connections";
                    return drop(why, "drop-no-dest");
                }
                _ => {}
            }
            if self.mode == Some(Mode::FullNat.name()) && self.laddrs.is_empty() {
                let why = "refused with port unreachable: there is no local address";
                return drop(why, "drop-no-port");
            }
        }
        let Some(way) = &self.way else {
            let why = "refused with host unreachable: no route to the dest";
            return drop(why, "drop-no-route");
        };
        let mut why = format!(
            "goes to {} and opens a connection",
            cell(self.dest.as_ref())
        );
        if way.neighbour.as_ref().is_some_and(|n| n.is_silent()) {
            why.push_str(", but the dest does not answer on its network");
        }
        if self.by_call {
            why.push_str(
                ", if it says a Call-ID and that is new; those of known calls go where rvsadm conn templates says, \
                 others are dropped (drop-malformed)",
            );
        }
        if flags.is_pressed {
            why.push_str(", unless it is one of those that drop-packet drops");
        }
        (Verdict::New, why, None)
    }

    /// It in words, in the order of a packet's way.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let filter = if self.looked_at {
            "packets to that address are looked at"
        } else {
            "packets to that address are none of RVS's"
        };
        lines.push(("filter", filter.to_owned()));
        let service = match (&self.service, &self.scheduler) {
            (Some(id), Some(scheduler)) => format!("{id}, scheduler {scheduler}"),
            (Some(id), None) => id.clone(),
            (None, _) => "none".to_owned(),
        };
        lines.push(("service", service));
        if let Some(source) = &self.source {
            lines.push(("client", source.line()));
        }
        if self.service.is_some() {
            let room = if self.room {
                "there is room"
            } else {
                "no room"
            };
            let pressed = if self.pressed {
                ", some new flows are dropped"
            } else {
                ""
            };
            lines.push(("limits", format!("{room}{pressed}")));
        }
        lines.push(("connection", self.connection_line()));
        if let Some(dest) = &self.dest {
            let by = match self.chosen_by {
                Some("persistence") => "its client stays with it".to_owned(),
                Some("scheduler") => format!("chosen by {}", cell(self.scheduler.as_ref())),
                _ => "of its connection".to_owned(),
            };
            lines.push(("dest", format!("{dest}, {by}")));
            lines.push(("mode", cell(self.mode)));
        }
        if !self.laddrs.is_empty() && self.mode == Some(Mode::FullNat.name()) {
            let some: Vec<_> = self.laddrs.iter().take(4).map(IpAddr::to_string).collect();
            let more = self.laddrs.len().saturating_sub(some.len());
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let local = self.connection.as_ref().and_then(|c| c.local.clone());
            let text = local.unwrap_or_else(|| format!("one of {}{more}", some.join(", ")));
            lines.push(("local", text));
        }
        if let Some(way) = &self.way {
            lines.push(("way", way_line(way)));
            lines.push(("MTU", way.mtu.to_string()));
            let rules = if self.meets_rules {
                "rules of OUTPUT or POSTROUTING, or IPsec policies, see it: the slower way"
            } else {
                "none see it"
            };
            lines.push(("rules", rules.to_owned()));
        }
        let counter = self.counter.map(|name| format!(" ({name})"));
        lines.push((
            "verdict",
            format!("{}{}", self.why, counter.unwrap_or_default()),
        ));
        lines
    }

    fn connection_line(&self) -> String {
        match &self.connection {
            None => "none".to_owned(),
            Some(view) => format!(
                "{}, silent for {}, expires in {}",
                view.state,
                cell(view.idle_ms.map(seconds)),
                cell(view.expires_ms.map(seconds))
            ),
        }
    }
}

fn way_line(way: &Way) -> String {
    if way.is_local {
        return "the dest is this host".to_owned();
    }
    let via = match way.via {
        Some(router) => format!(" by router {router}"),
        None => String::new(),
    };
    let neighbour = match &way.neighbour {
        None => ", its neighbour was not asked for yet".to_owned(),
        Some(neighbour) => {
            let at = neighbour.address.as_ref().map(|at| format!(" at {at}"));
            format!(
                ", neighbour{} ({})",
                at.unwrap_or_default(),
                neighbour.state
            )
        }
    };
    format!("{}{via}{neighbour}", way.device)
}

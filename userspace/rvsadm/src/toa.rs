// SPDX-License-Identifier: GPL-2.0

//! `rvsadm toa`: the receiver on real servers.

use std::net::SocketAddr;

use clap::{ArgAction, Subcommand};
use rvs_engine::prefix::Prefix;
use rvs_engine::toa::{is_of_tcp, KIND_MAX, KIND_MIN};
use rvs_netlink::toa::{Client, Reply, Request, Transport};
use rvs_netlink::Error;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{say, Table};
use crate::values;
use crate::views::Numbers;
use crate::watch::Watch;

/// Said where no network is trusted.
const NOBODY: &str = "nobody is trusted: no address is believed; see: rvsadm toa trust add --help";

/// Why a network of length 0 is not trusted by mistake.
const EVERYBODY: &str = "that is everybody: whoever connects could claim to be anyone";

/// What to do with the receiver.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show whom the receiver believes, and in which options
    #[command(after_help = "\
A network namespace goes by the settings of the first one (the host's) until something is set in it.
JSON: {\"trusted\":[\"ADDRESS/LENGTH\",…],\"kinds\":[N,…],\"udp\":BOOL,\"require\":BOOL,
\"inherited\":BOOL}")]
    Show,
    /// Networks of the directors, whose word on a client's address is believed
    #[command(subcommand)]
    Trust(Trust),
    /// Kinds of the TCP options that carry addresses
    #[command(subcommand)]
    Kind(Kind),
    /// Restore clients' addresses in UDP: on or off
    #[command(after_help = "\
Directors carry them in an IP option, where a service is told to. Programs get datagrams that
come from the client, and what they send to the client goes back to the director.

Example:
  rvsadm toa udp on")]
    Udp {
        /// From now on, or no longer
        #[arg(value_name = "on|off", value_parser = values::switch, action = ArgAction::Set)]
        on: bool,
    },
    /// Refuse what trusted peers send without a client's address: on or off
    #[command(after_help = "\
Off from the start. Where it is on, a connection of a trusted peer without the option is reset before
a program sees it, and where UDP is on, so is a datagram of a flow whose client is not known. So no
program takes a director for a client. Health checks have to come from an address that is not trusted.

Example:
  rvsadm toa require on")]
    Require {
        /// From now on, or no longer
        #[arg(value_name = "on|off", value_parser = values::switch, action = ArgAction::Set)]
        on: bool,
    },
    /// Go by the settings of the first network namespace again
    #[command(after_help = "\
That is what a namespace does until something is set in it, so that containers believe whom the
host believes. What was set in this one is forgotten.

Example:
  ip netns exec blue rvsadm toa inherit")]
    Inherit,
    /// Show whom a TCP connection of this host is forwarded for
    #[command(after_help = "\
Takes the two ends as ss shows them; the first is this host's. IPv6 is [ADDRESS]:PORT.
JSON: {\"client\":\"ADDRESS:PORT\"}

Example:
  rvsadm toa lookup 192.0.2.80:443 192.0.2.3:31337")]
    Lookup {
        /// This host's end
        #[arg(value_name = "LOCAL")]
        local: SocketAddr,
        /// The director's end
        #[arg(value_name = "PEER")]
        peer: SocketAddr,
    },
    /// Show what came of it
    #[command(after_help = "JSON: {\"counters\":{\"sockets_now\":N,…}}")]
    Stats {
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
}

/// What to do with trusted networks.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Believe the addresses that a network's hosts tell
    #[command(after_help = "\
Name the addresses from which the directors connect to this real server, and no others:
whoever is trusted can claim to be anyone.

Example:
  rvsadm toa trust add 192.0.2.0/24")]
    Add {
        /// ADDRESS/LENGTH; without a length that address alone
        #[arg(value_name = "PREFIX", value_parser = values::network)]
        network: Prefix,
        /// Yes, also 0.0.0.0/0 or ::/0: everybody
        #[arg(long)]
        all: bool,
    },
    /// Believe them no more; connections that there are keep their address
    Del {
        /// As it is listed
        #[arg(value_name = "PREFIX", value_parser = values::network)]
        network: Prefix,
    },
    /// List the trusted networks
    #[command(after_help = "JSON: {\"trusted\":[\"ADDRESS/LENGTH\",…]}")]
    List,
}

/// What to do with kinds of options.
#[derive(Debug, Subcommand)]
pub enum Kind {
    /// Take addresses from options of this kind, besides others
    #[command(after_help = "\
254 is the usual kind, and there from the start; some directors use 28, 200, 252 or 253.")]
    Add {
        /// The kind's number
        #[arg(value_name = "N", value_parser = kind)]
        kind: u8,
    },
    /// Take no more addresses from options of this kind
    Del {
        /// The kind's number
        #[arg(value_name = "N", value_parser = kind)]
        kind: u8,
    },
    /// List the kinds
    #[command(after_help = "JSON: {\"kinds\":[N,…]}")]
    List,
}

fn kind(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(kind) if is_of_tcp(kind) => Err(format!("kind {kind} is one that TCP itself uses")),
        Ok(kind) if (KIND_MIN..=KIND_MAX).contains(&kind) => Ok(kind),
        _ => Err(format!("{KIND_MIN} to {KIND_MAX} are kinds of options")),
    }
}

/// The receiver of this kernel, connected to at the request.
struct Kernel;

impl Transport for Kernel {
    fn call(&mut self, request: &Request) -> Result<Reply, Error> {
        Client::connect()?.call(request)
    }
}

/// What is listed, as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Receiver")]
pub struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    require: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherited: Option<bool>,
}

/// The counters as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ReceiverStatistics")]
pub struct Stats {
    counters: Numbers,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    run_with(command, &mut Kernel, context)
}

fn run_with(
    command: Command,
    receiver: &mut dyn Transport,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let (what, request) = match command {
        Command::Show => return list(receiver, context, true, true),
        Command::Trust(Trust::List) => return list(receiver, context, true, false),
        Command::Kind(Kind::List) => return list(receiver, context, false, true),
        Command::Stats { watch } => {
            return watch.repeat(context, |context| stats(receiver, context));
        }
        Command::Lookup { local, peer } => return lookup(receiver, context, local, peer),
        Command::Udp { on } => {
            let what = if on { "on" } else { "off" };
            (format!("turn UDP {what}"), Request::UdpSet(on))
        }
        Command::Require { on } => {
            let what = if on { "on" } else { "off" };
            (format!("turn require {what}"), Request::RequireSet(on))
        }
        Command::Inherit => (
            "inherit the first namespace's settings".to_owned(),
            Request::Inherit,
        ),
        Command::Trust(Trust::Add { network, all }) => {
            let what = format!("trust {network}");
            if network.bits() == 0 && !all {
                let hint = "name the directors' addresses; if everybody is meant, add --all";
                return Err(Failure::new(what, EVERYBODY, Some(hint)));
            }
            (what, Request::TrustAdd(network))
        }
        Command::Trust(Trust::Del { network }) => (
            format!("trust {network} no more"),
            Request::TrustDel(network),
        ),
        Command::Kind(Kind::Add { kind }) => (format!("add kind {kind}"), Request::KindAdd(kind)),
        Command::Kind(Kind::Del { kind }) => {
            (format!("remove kind {kind}"), Request::KindDel(kind))
        }
    };
    match receiver.call(&request) {
        // What is wanted is so.
        Err(Error::Refused(refusal)) if refusal.errno == EEXIST => {
            say(format_args!("rvsadm: note: {}", Error::Refused(refusal)));
        }
        answer => drop(answer.map_err(|error| failed(what, error))?),
    }
    context.done()
}

// Error numbers of include/uapi/asm-generic.
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;
const ENODATA: i32 = 61;

/// A request to the receiver that failed, with a hint of the receiver's.
fn failed(what: impl Into<String>, error: Error) -> Failure {
    let hint = match &error {
        Error::Refused(refusal) => match refusal.errno {
            ENOENT if refusal.text.as_deref().is_some_and(is_of_connection) => {
                Some("see what there is: ss -tn; the first end is this host's")
            }
            ENOENT => Some("see what there is: rvsadm toa show"),
            ENOSPC => Some("one larger network may take the place of several"),
            ENODATA => Some(
                "it came without the option, or from who was not trusted; see: rvsadm toa stats, \
                 rvsadm toa show",
            ),
            _ => None,
        },
        _ => None,
    };
    let failure = Failure::kernel(what, error);
    match (failure, hint) {
        (Failure::Refused(mut refused), Some(hint)) => {
            refused.hint = Some(hint.to_owned());
            Failure::Refused(refused)
        }
        (failure, _) => failure,
    }
}

fn is_of_connection(text: &str) -> bool {
    text.starts_with("no connection")
}

fn list(
    receiver: &mut dyn Transport,
    context: &mut Context<'_>,
    networks: bool,
    kinds: bool,
) -> Result<(), Failure> {
    let reply = receiver
        .call(&Request::ConfigGet)
        .map_err(|error| failed("show the receiver's settings", error))?;
    let named = reply.trusted.iter().map(ToString::to_string).collect();
    let document = Document {
        trusted: networks.then_some(named),
        kinds: kinds.then_some(reply.kinds),
        udp: (networks && kinds).then_some(reply.udp),
        require: (networks && kinds).then_some(reply.require),
        inherited: (networks && kinds).then_some(reply.inherited),
    };
    if networks && reply.trusted.is_empty() && !context.json {
        say(format_args!("rvsadm: warning: {NOBODY}"));
    }
    context.print(&document, |document| {
        let mut table = Table::new(&["SETTING", "VALUE"], &[]);
        for network in document.trusted.iter().flatten() {
            table.row(["trust".to_owned(), network.clone()]);
        }
        for kind in document.kinds.iter().flatten() {
            table.row(["kind".to_owned(), kind.to_string()]);
        }
        for (name, on) in [("udp", document.udp), ("require", document.require)] {
            if let Some(on) = on {
                let said = if on { "on" } else { "off" };
                table.row([name.to_owned(), said.to_owned()]);
            }
        }
        if document.inherited == Some(true) {
            let said = "those of the first network namespace";
            table.row(["settings".to_owned(), said.to_owned()]);
        }
        table
    })
}

/// A client as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ReceiverLookup")]
pub struct Found {
    client: String,
}

fn lookup(
    receiver: &mut dyn Transport,
    context: &mut Context<'_>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<(), Failure> {
    let failed = |error| failed(format!("look up {peer} to {local}"), error);
    let reply = receiver.call(&Request::Lookup { local, peer });
    let client = reply.map_err(failed)?.client;
    let client = client.ok_or_else(|| failed(Error::Missing("client")))?;
    let found = Found {
        client: client.to_string(),
    };
    context.print(&found, |found| {
        let mut table = Table::new(&["CLIENT"], &[]);
        table.row([found.client.clone()]);
        table
    })
}

fn stats(receiver: &mut dyn Transport, context: &mut Context<'_>) -> Result<(), Failure> {
    let reply = receiver
        .call(&Request::StatsGet)
        .map_err(|error| failed("show the receiver's counters", error))?;
    let document = Stats {
        counters: Numbers(reply.counters),
    };
    context.print(&document, |document| {
        let mut table = Table::new(&["COUNTER"], &["VALUE"]);
        for (name, value) in &document.counters.0 {
            table.row([(*name).to_owned(), value.to_string()]);
        }
        table
    })
}

#[cfg(test)]
mod tests;

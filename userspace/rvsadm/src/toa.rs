// SPDX-License-Identifier: GPL-2.0

//! `rvsadm toa`: the receiver on real servers.

use std::net::SocketAddr;

use clap::{ArgAction, Subcommand};
use rvs_engine::prefix::Prefix;
use rvs_engine::toa::{is_of_tcp, KIND_MAX, KIND_MIN};
use rvs_netlink::toa::{Client, Reply, Request, Transport};
use rvs_netlink::Error;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{say, Table};
use crate::values;
use crate::views::Numbers;

/// Said where no network is trusted.
const NOBODY: &str = "nobody is trusted: no address is believed; see: rvsadm toa trust add --help";

/// What to do with the receiver.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show whom the receiver believes, and in which options
    #[command(
        after_help = "JSON: {\"trusted\":[\"ADDRESS/LENGTH\",…],\"kinds\":[N,…],\"udp\":BOOL}"
    )]
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
    Stats,
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
#[derive(Serialize)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp: Option<bool>,
}

/// The counters as JSON.
#[derive(Serialize)]
struct Stats {
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
        Command::Stats => return stats(receiver, context),
        Command::Lookup { local, peer } => return lookup(receiver, context, local, peer),
        Command::Udp { on } => {
            let what = if on { "on" } else { "off" };
            (format!("turn UDP {what}"), Request::UdpSet(on))
        }
        Command::Trust(Trust::Add { network }) => {
            (format!("trust {network}"), Request::TrustAdd(network))
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
    receiver
        .call(&request)
        .map_err(|error| Failure::kernel(what, error))?;
    context.done()
}

fn list(
    receiver: &mut dyn Transport,
    context: &mut Context<'_>,
    networks: bool,
    kinds: bool,
) -> Result<(), Failure> {
    let reply = receiver
        .call(&Request::ConfigGet)
        .map_err(|error| Failure::kernel("show the receiver's settings", error))?;
    let named = reply.trusted.iter().map(ToString::to_string).collect();
    let document = Document {
        trusted: networks.then_some(named),
        kinds: kinds.then_some(reply.kinds),
        udp: (networks && kinds).then_some(reply.udp),
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
        if let Some(udp) = document.udp {
            let said = if udp { "on" } else { "off" };
            table.row(["udp".to_owned(), said.to_owned()]);
        }
        table
    })
}

/// A client as JSON.
#[derive(Serialize)]
struct Found {
    client: String,
}

fn lookup(
    receiver: &mut dyn Transport,
    context: &mut Context<'_>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<(), Failure> {
    let failed = |error| Failure::kernel(format!("look up {peer} to {local}"), error);
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
        .map_err(|error| Failure::kernel("show the receiver's counters", error))?;
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
mod tests {
    use super::*;
    use crate::fake::FakeKernel;
    use crate::values::network;

    /// Keeps what it was asked, and has one answer.
    struct Fake(Vec<Request>, Reply);

    impl Transport for Fake {
        fn call(&mut self, request: &Request) -> Result<Reply, Error> {
            self.0.push(*request);
            Ok(self.1.clone())
        }
    }

    fn answer() -> Reply {
        Reply {
            trusted: vec![network("192.0.2.0/24").unwrap(), network("::1").unwrap()],
            kinds: vec![200, 254],
            udp: true,
            counters: vec![("sockets-now", 3)],
            client: Some("198.51.100.7:40000".parse().unwrap()),
        }
    }

    fn printed(command: Command, json: bool) -> (Vec<Request>, String) {
        let mut fake = Fake(Vec::new(), answer());
        let mut out = Vec::new();
        let mut context = Context {
            kernel: &mut FakeKernel::default(),
            out: &mut out,
            json,
        };
        run_with(command, &mut fake, &mut context).unwrap();
        (fake.0, String::from_utf8(out).unwrap())
    }

    #[test]
    fn networks_with_and_without_a_length() {
        let said = |text| network(text).unwrap().to_string();
        assert_eq!(said("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(said("2001:db8::/32"), "2001:db8::/32");
        for text in [
            "",
            "x",
            "192.0.2.1/24",
            "192.0.2.0/",
            "::/129",
            "192.0.2.0/-1",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists() {
        let (asked, table) = printed(Command::Show, false);
        assert_eq!(asked, [Request::ConfigGet]);
        assert_eq!(
            table,
            "SETTING  VALUE\ntrust    192.0.2.0/24\ntrust    ::1/128\nkind     200\nkind     254\n\
             udp      on\n"
        );
        let (_, json) = printed(Command::Trust(Trust::List), true);
        assert_eq!(json, "{\"trusted\":[\"192.0.2.0/24\",\"::1/128\"]}\n");
        let (_, json) = printed(Command::Kind(Kind::List), true);
        assert_eq!(json, "{\"kinds\":[200,254]}\n");
        let (_, json) = printed(Command::Stats, true);
        assert_eq!(json, "{\"counters\":{\"sockets_now\":3}}\n");
    }

    #[test]
    fn whom_a_connection_is_for() {
        let (local, peer) = (
            "192.0.2.80:443".parse().unwrap(),
            "192.0.2.3:31337".parse().unwrap(),
        );
        let (asked, table) = printed(Command::Lookup { local, peer }, false);
        assert_eq!(asked, [Request::Lookup { local, peer }]);
        assert_eq!(table, "CLIENT\n198.51.100.7:40000\n");
        let (_, json) = printed(Command::Lookup { local, peer }, true);
        assert_eq!(json, "{\"client\":\"198.51.100.7:40000\"}\n");
    }

    #[test]
    fn changes() {
        let network = network("192.0.2.0/24").unwrap();
        let (asked, said) = printed(Command::Trust(Trust::Add { network }), false);
        assert_eq!(
            (asked, said.as_str()),
            (vec![Request::TrustAdd(network)], "")
        );
        let (asked, _) = printed(Command::Udp { on: false }, false);
        assert_eq!(asked, [Request::UdpSet(false)]);
        let (asked, said) = printed(Command::Kind(Kind::Del { kind: 254 }), true);
        let ok = "{\"ok\":true}\n";
        assert_eq!((asked, said.as_str()), (vec![Request::KindDel(254)], ok));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm sync`: the daemons that keep directors at the same connections.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use rvs_netlink::{Daemon, Error, Lists, Request, Role};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, Table};
use crate::views::Numbers;

const START_HELP: &str = "\
Examples:
  rvsadm sync start master --device eth1 --id 7
  rvsadm sync start backup --device eth1 --id 7

The protocol is version 1 of ip_vs's: RVS and ip_vs are each other's backup. A director may be both. Whoever
hears the group can read what is told, and whoever sends to it is believed: use a link of the directors' own.";

const SHOW_HELP: &str = "\
JSON: {\"daemons\":[{\"role\",\"device\",\"id\",\"max_len\",\"group\",\"port\",\"ttl\"}],\"counters\":{\"told\",…}}";

/// What to do with them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start one: master tells others of connections, backup takes what others tell
    #[command(after_help = START_HELP)]
    Start(Start),
    /// Stop one; connections that were learned stay
    Stop {
        /// Which one
        role: Which,
    },
    /// Show those that run, and what was told and learned
    #[command(after_help = SHOW_HELP)]
    Show,
}

/// Which daemon.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    Master,
    Backup,
}

/// How it is set up.
#[derive(Args, Debug)]
pub struct Start {
    /// Which one
    role: Which,
    /// The device that datagrams leave or come by
    #[arg(long, short, value_name = "NAME")]
    device: String,
    /// The directors that belong together have the same; a backup with 0 takes what any tell
    #[arg(long, default_value_t = 0)]
    id: u8,
    /// The hosts' group [default: 224.0.0.81]
    #[arg(long, value_name = "ADDRESS")]
    group: Option<IpAddr>,
    /// Its UDP port [default: 8848]
    #[arg(long)]
    port: Option<u16>,
    /// Hops that datagrams may go [default: 1]
    #[arg(long)]
    ttl: Option<u8>,
    /// Bytes of a datagram at most [default: what fits 1500, of a backup the MTU]
    #[arg(long, value_name = "BYTES")]
    max_len: Option<u32>,
}

impl From<Which> for Role {
    fn from(which: Which) -> Self {
        match which {
            Which::Master => Self::Master,
            Which::Backup => Self::Backup,
        }
    }
}

/// A daemon as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SyncDaemon")]
struct DaemonView {
    role: &'static str,
    device: Option<String>,
    id: Option<u8>,
    max_len: Option<u32>,
    group: Option<String>,
    port: Option<u16>,
    ttl: Option<u8>,
}

impl From<Daemon> for DaemonView {
    fn from(daemon: Daemon) -> Self {
        Self {
            role: daemon.role.name(),
            device: daemon.device,
            id: daemon.id,
            max_len: daemon.max_len,
            group: daemon.group.map(|group| group.to_string()),
            port: daemon.port,
            ttl: daemon.ttl,
        }
    }
}

/// All as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Sync")]
pub struct Document {
    daemons: Vec<DaemonView>,
    counters: Numbers,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Start(start) => {
            let role = Role::from(start.role);
            let what = format!("start the {} on {}", role.name(), start.device);
            let daemon = Daemon {
                role,
                device: Some(start.device),
                id: Some(start.id),
                max_len: start.max_len,
                group: start.group,
                port: start.port,
                ttl: start.ttl,
            };
            context.change(&what, &Request::SyncStart(daemon))
        }
        Command::Stop { role } => {
            let role = Role::from(role);
            let what = format!("stop the {}", role.name());
            context.change(&what, &Request::SyncStop(role))
        }
        Command::Show => show(context),
    }
}

fn show(context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("show the daemons", error);
    let daemons = context.kernel.collect(&Request::SyncList).map_err(failed)?;
    let reply = context.kernel.one(&Request::SyncGet).map_err(failed)?;
    let counters = reply.sync_counters.ok_or(Error::Missing("counters"));
    let daemons = daemons.into_iter().filter_map(|reply| reply.sync);
    let document = Document {
        daemons: daemons.map(DaemonView::from).collect(),
        counters: Numbers(counters.map_err(failed)?.entries()),
    };
    context.print(&document, table)
}

fn table(document: &Document) -> Table {
    let mut table = Table::new(&["NAME"], &["VALUE"]);
    for daemon in &document.daemons {
        let mut row = |name, value| table.row([format!("{} {name}", daemon.role), value]);
        row("device", cell(daemon.device.clone()));
        row("id", cell(daemon.id));
        row("max-len", cell(daemon.max_len));
        row("group", cell(daemon.group.clone()));
        row("port", cell(daemon.port));
        row("ttl", cell(daemon.ttl));
    }
    for (name, value) in &document.counters.0 {
        table.row([(*name).to_owned(), value.to_string()]);
    }
    table
}

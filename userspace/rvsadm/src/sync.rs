// SPDX-License-Identifier: GPL-2.0

//! `rvsadm sync`: the daemons that keep directors at the same connections.

use std::net::IpAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rvs_netlink::{Daemon, Error, Lists, Request, Role, Transport};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::first_line;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, say, Table};
use crate::views::Numbers;

const START_HELP: &str = "\
Examples:
  rvsadm sync start master --device eth1 --id 7
  rvsadm sync start backup --device eth1 --id 7

The protocol is version 1 of ip_vs's: RVS and ip_vs are each other's backup. A director may be both. Whoever
hears the group can read what is told, and without a key whoever sends to it is believed: use a link of the
directors' own. With --key-file datagrams are signed (HMAC of SHA-256), and others are refused, those of a stock
ip_vs too:
  head -c 32 /dev/urandom | base64 > /etc/rvs-sync.key; chmod 600 /etc/rvs-sync.key
and that file on each of them.";

const SHOW_HELP: &str = "\
JSON: {\"daemons\":[{\"role\",\"device\",\"id\",\"max_len\",\"group\",\"port\",\"ttl\",\"key_file\"}],\"counters\":{\"told\",…}}";

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
    /// The key that the directors share: 16 to 64 bytes, a newline at the end does not count
    #[arg(long, value_name = "FILE")]
    key_file: Option<String>,
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
pub struct DaemonView {
    role: &'static str,
    device: Option<String>,
    id: Option<u8>,
    max_len: Option<u32>,
    group: Option<String>,
    port: Option<u16>,
    ttl: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
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
            key_file: daemon.key_file,
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
            let what = format!(
                "start the {} on {}",
                Role::from(start.role).name(),
                start.device
            );
            let daemon = with_key(&what, start.into_daemon())?;
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

/// A line of a saved configuration, behind [`SYNC`](crate::lines::SYNC).
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    start: Start,
}

/// Reads the words of a line as [`line_of`] makes it; what is wrong as text.
pub fn parse_line(words: &[&str]) -> Result<Daemon, String> {
    match Line::try_parse_from(words) {
        Ok(line) => Ok(line.start.into_daemon()),
        Err(error) => Err(first_line(&error)),
    }
}

/// What `sync start` needs to start it as it is.
pub fn line_of(daemon: &Daemon) -> String {
    let option = |name, value: Option<String>| value.map(|value| format!("--{name} {value}"));
    let parts = [
        Some(daemon.role.name().to_owned()),
        option("device", daemon.device.clone()),
        option("id", daemon.id.map(|id| id.to_string())),
        option("group", daemon.group.map(|group| group.to_string())),
        option("port", daemon.port.map(|port| port.to_string())),
        option("ttl", daemon.ttl.map(|ttl| ttl.to_string())),
        option("max-len", daemon.max_len.map(|len| len.to_string())),
        option("key-file", daemon.key_file.clone()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The daemons that run.
pub fn read(kernel: &mut dyn Transport) -> Result<Vec<Daemon>, Error> {
    let replies = kernel.collect(&Request::SyncList)?;
    Ok(replies.into_iter().filter_map(|reply| reply.sync).collect())
}

/// Makes daemons run as they are wanted; those of other roles go on.
pub fn restore(
    what: &str,
    wanted: Vec<Daemon>,
    running: &[Daemon],
    kernel: &mut dyn Transport,
) -> Result<(), Failure> {
    for daemon in wanted {
        let is_same = |other: &&Daemon| other.role == daemon.role;
        match running.iter().find(is_same) {
            Some(same) if is_as(same, &daemon) => continue,
            Some(_) => {
                let stop = Request::SyncStop(daemon.role);
                kernel
                    .execute(&stop)
                    .map_err(|error| Failure::kernel(what, error))?;
            }
            None => {}
        }
        let name = daemon.role.name();
        let start = Request::SyncStart(daemon);
        kernel.execute(&start).map_err(|error| {
            Failure::kernel(format!("{what}: services are; start the {name}"), error)
        })?;
    }
    Ok(())
}

/// Whether what runs is set up as it is wanted; what is not said is as it may be.
pub fn is_as(running: &Daemon, wanted: &Daemon) -> bool {
    let wanted = Daemon {
        key: None,
        ..wanted.clone()
    };
    let filled = Daemon {
        role: running.role,
        device: wanted.device.clone().or(running.device.clone()),
        id: wanted.id.or(running.id),
        max_len: wanted.max_len.or(running.max_len),
        group: wanted.group.or(running.group),
        port: wanted.port.or(running.port),
        ttl: wanted.ttl.or(running.ttl),
        key: None,
        key_file: wanted.key_file.clone(),
    };
    wanted.role == running.role && filled == *running
}

impl Start {
    fn into_daemon(self) -> Daemon {
        Daemon {
            role: self.role.into(),
            device: Some(self.device),
            id: Some(self.id),
            max_len: self.max_len,
            group: self.group,
            port: self.port,
            ttl: self.ttl,
            key: None,
            key_file: self.key_file,
        }
    }
}

/// Longest name of a key's file that the module keeps.
const FILE_MAX: usize = 127;

/// A daemon with the key that is in its file, if it has one.
pub fn with_key(what: &str, mut daemon: Daemon) -> Result<Daemon, Failure> {
    let Some(file) = daemon.key_file.clone() else {
        return Ok(daemon);
    };
    let hint = "make one with: head -c 32 /dev/urandom | base64 > FILE";
    let refused = |reason: String| Failure::new(what, reason, Some(hint));
    let key = std::fs::read(&file)
        .map_err(|error| refused(format!("cannot read the key's file {file}: {error}")))?;
    let key = key.strip_suffix(b"\n").unwrap_or(&key);
    if !(16..=64).contains(&key.len()) {
        let has = key.len();
        return Err(refused(format!(
            "the key in {file} has {has} bytes: it has 16 to 64"
        )));
    }
    // Whoever restores it may do so from elsewhere.
    let path = std::path::absolute(&file).map_or(file, |path| path.display().to_string());
    if path.len() > FILE_MAX || path.contains(char::is_whitespace) {
        let reason = format!(
            "the key's file {path:?} has a name of more than {FILE_MAX} bytes, or with spaces"
        );
        return Err(refused(reason));
    }
    daemon.key = Some(key.to_vec());
    daemon.key_file = Some(path);
    Ok(daemon)
}

fn show(context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("show the daemons", error);
    let daemons = read(context.kernel).map_err(failed)?;
    let reply = context.kernel.one(&Request::SyncGet).map_err(failed)?;
    let counters = reply.sync_counters.ok_or(Error::Missing("counters"));
    let document = Document {
        daemons: daemons.into_iter().map(DaemonView::from).collect(),
        counters: Numbers(counters.map_err(failed)?.entries()),
    };
    for (counter, hint) in EXPLAINED {
        let found = document
            .counters
            .0
            .iter()
            .find(|(name, _)| *name == counter);
        if let Some((_, count)) = found.filter(|(_, count)| *count > 0) {
            say(format_args!("rvsadm: {count} datagrams {hint}"));
        }
    }
    context.print(&document, table)
}

/// What is not taken for a reason that somebody has to see to.
const EXPLAINED: [(&str, &str); 3] = [
    (
        "unsigned",
        "had no signature and were refused: give the others --key-file too; ip_vs has no signatures",
    ),
    (
        "bad-key",
        "were signed with another key, or changed on their way: is it the same --key-file everywhere?",
    ),
    (
        "unproven",
        "were not taken, as nobody has shown yet that they are no copies of old ones: does the master get \
         what it is asked, by unicast to the port that it sends from?",
    ),
];

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
        if daemon.key_file.is_some() {
            row("key-file", cell(daemon.key_file.clone()));
        }
    }
    for (name, value) in &document.counters.0 {
        table.row([(*name).to_owned(), value.to_string()]);
    }
    table
}

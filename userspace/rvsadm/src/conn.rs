// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn`.

use std::io::{self, Write};
use std::net::IpAddr;

use clap::{Args, Subcommand};
use rvs_engine::spec::ServiceId;
use rvs_netlink::generated::conn_state;
use rvs_netlink::{Connection, Error, Request};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, seconds};
use crate::templates;
use crate::values;
use crate::views::ConnectionView;
use crate::watch::Watch;

const LIST_HELP: &str = "\
Examples:
  rvsadm conn list tcp/203.0.113.10:443 --state established
  rvsadm conn list --dest 192.0.2.1 --count

JSON: {\"connections\":[{\"protocol\",\"client\",\"service\",\"dest\",\"mode\",\"state\",
\"expires_ms\"}]}, with --count {\"count\":N}. Connections come and go while they are listed.";

const TEMPLATES_HELP: &str = "\
JSON: {\"templates\":[{\"service\",\"network\",\"dest\",\"mode\",\"expires_ms\"}]}. Each new connection of the network
lets it stay for the time that the service says.";

/// Headings of the list.
const HEADING: [&str; 7] = [
    "PROTO", "CLIENT", "SERVICE", "DEST", "MODE", "STATE", "EXPIRES",
];

/// What to do with connections.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List connections
    #[command(visible_alias = "ls", after_help = LIST_HELP)]
    List {
        /// Which
        #[command(flatten)]
        filter: Filter,
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
    /// List networks of clients that stay with a dest, of services with persistence
    #[command(after_help = TEMPLATES_HELP)]
    Templates {
        /// Those of this service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id)]
        service: Option<ServiceId>,
    },
    /// End connections at once, all or those of a service
    Flush {
        /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id)]
        service: Option<ServiceId>,
    },
}

/// Which connections to list.
#[derive(Args, Debug)]
pub struct Filter {
    /// Of this service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id)]
    service: Option<ServiceId>,
    /// Of this client
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Of this real server
    #[arg(long, value_name = "ADDRESS")]
    dest: Option<IpAddr>,
    /// In this state, for instance established, syn-recv, fin-wait, udp
    #[arg(long, value_parser = state)]
    state: Option<u32>,
    /// Print only how many there are
    #[arg(long)]
    count: bool,
}

impl Filter {
    fn takes(&self, connection: &Connection) -> bool {
        self.client.is_none_or(|a| a == connection.client.ip())
            && self.dest.is_none_or(|a| a == connection.dest.ip())
            && self.state.is_none_or(|state| state == connection.state)
    }
}

/// Reads the name of a state.
fn state(text: &str) -> Result<u32, String> {
    let numbers = conn_state::MIN..=conn_state::MAX;
    let mut named = numbers.filter_map(|n| Some((n, conn_state::name(n)?)));
    let found = named.clone().find(|(_, name)| *name == text);
    found.map(|(number, _)| number).ok_or_else(|| {
        let first = named.next().map_or("", |(_, name)| name);
        let others = named.map(|(_, name)| format!(", {name}"));
        format!("the states are {first}{}", others.collect::<String>())
    })
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::List { filter, watch } => watch.repeat(context, |context| list(&filter, context)),
        Command::Templates { service } => templates::list(service, context),
        Command::Flush { service } => {
            let what = match service {
                Some(service) => format!("end connections of {service}"),
                None => "end all connections".to_owned(),
            };
            context.change(&what, &Request::ConnFlush(service))
        }
    }
}

/// Prints connections as they come: there may be millions.
fn list(filter: &Filter, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut printer = Printer {
        out: context.out,
        json: context.json,
        rows: !filter.count,
        count: 0,
    };
    let request = Request::ConnList(filter.service);
    let listed = context.kernel.call(&request, &mut |reply| {
        let connection = reply.conn.ok_or(Error::Missing("connection"))?;
        if filter.takes(&connection) {
            printer.row(&connection).map_err(Error::Sink)?;
        }
        Ok(())
    });
    match listed {
        // The table changes all the time; what is printed was there.
        Ok(()) | Err(Error::Interrupted { .. }) => Ok(printer.end()?),
        Err(error) => Err(Failure::kernel("list connections", error)),
    }
}

/// Prints rows of which the widths are not known beforehand.
struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    rows: bool,
    count: u64,
}

impl Printer<'_> {
    /// Printed with the first row or at the end, so that a refusal stands alone.
    fn start(&mut self) -> io::Result<()> {
        if self.json {
            return write!(self.out, "{{\"connections\":[");
        }
        self.columns(HEADING)
    }

    fn row(&mut self, connection: &Connection) -> io::Result<()> {
        self.count = self.count.saturating_add(1);
        if !self.rows {
            return Ok(());
        }
        if self.count == 1 {
            self.start()?;
        }
        let view = ConnectionView::from(connection);
        if self.json {
            if self.count > 1 {
                write!(self.out, ",")?;
            }
            return Ok(serde_json::to_writer(&mut *self.out, &view)?);
        }
        self.columns([
            view.protocol,
            &view.client,
            &connection.service.to_string(),
            &view.dest,
            &cell(view.mode),
            view.state,
            &cell(view.expires_ms.map(seconds)),
        ])
    }

    /// Widths are those of the longest IPv4 endpoint; a longer one moves the rest of its row.
    fn columns(&mut self, cells: [&str; 7]) -> io::Result<()> {
        let [protocol, client, service, dest, mode, state, expires] = cells;
        writeln!(
            self.out,
            "{protocol:<5}  {client:<21}  {service:<21}  {dest:<21}  {mode:<7}  {state:<11}  {expires:>9}"
        )
    }

    fn end(&mut self) -> io::Result<()> {
        if self.rows && self.count == 0 {
            self.start()?;
        }
        match (self.rows, self.json) {
            (true, true) => writeln!(self.out, "]}}"),
            (true, false) => Ok(()),
            (false, true) => writeln!(self.out, "{{\"count\":{}}}", self.count),
            (false, false) => writeln!(self.out, "{}", self.count),
        }
    }
}

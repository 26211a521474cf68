// SPDX-License-Identifier: GPL-2.0

//! `rvsadm laddr`.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use rvs_engine::change::Change;
use rvs_engine::spec::{validate_local, ServiceId};
use rvs_netlink::{Config, Lists, Request, Transport};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::shared_ports;
use crate::snapshot::locals_of;
use crate::values;
use crate::views::LocalView;

/// What stands for the addresses of services that have none of their own.
const DEFAULT: &str = "--default";

const ADD_HELP: &str = "\
Examples:
  rvsadm laddr add tcp/203.0.113.10:443 192.0.2.200 192.0.2.201
  rvsadm laddr add --default 192.0.2.200

Mode fullnat puts a local address in the client's place, so that real servers answer to the director.
The address has to be on this host: ip addr add 192.0.2.200/32 dev lo. A service uses its own
addresses, or those of --default when it has none. Best nothing else uses the address: the ports of
this host's own connections are left alone, but the host does not know which clients have.";

const LIST_HELP: &str = "\
JSON: {\"laddrs\":[{\"service\",\"address\"}]}; service is null for the addresses of --default";

/// What is wrong when the fullnat dests of a service have no local address of their IP version: what
/// `ipv6` says of one of them. Nothing where that cannot be found out.
pub fn missing(kernel: &mut dyn Transport, service: &ServiceId, ipv6: bool) -> Option<String> {
    let mut pool = kernel.collect(&Request::LocalList(Some(*service))).ok()?;
    if pool.is_empty() {
        pool = kernel.collect(&Request::LocalList(None)).ok()?;
        pool.retain(|reply| reply.service.is_none());
    }
    let mut addresses = pool.iter().filter_map(|reply| reply.laddr);
    if addresses.any(|address| address.is_ipv6() == ipv6) {
        return None;
    }
    Some(lacks(service, ipv6))
}

/// That in words.
pub fn lacks(service: &ServiceId, ipv6: bool) -> String {
    let version = if ipv6 { "IPv6" } else { "IPv4" };
    format!(
        "{service} has no local address of {version}, so its fullnat dests of {version} refuse all \
         connections; add one: rvsadm laddr add {service} ADDRESS, or --default"
    )
}

/// What to do with local addresses.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add local addresses, all or none
    #[command(after_help = ADD_HELP)]
    Add(Named),
    /// Remove local addresses, all or none; connections that have them keep them
    #[command(visible_alias = "delete")]
    Del(Named),
    /// List local addresses: those of --default, then those of every service
    #[command(visible_alias = "ls", after_help = LIST_HELP)]
    List {
        /// Only those of this service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
        service: Option<ServiceId>,
        /// Only those for services that have none of their own
        #[arg(long, conflicts_with = "service")]
        default: bool,
    },
}

/// The arguments that name local addresses.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK, or --default: all that have no local addresses
    #[arg(
        value_name = "SERVICE|--default",
        allow_hyphen_values = true,
        value_parser = pool
    )]
    pool: Pool,
    /// The addresses
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<IpAddr>,
}

/// Whose addresses: a service's, or none's for the default.
#[derive(Clone, Copy, Debug)]
struct Pool(Option<ServiceId>);

fn pool(text: &str) -> Result<Pool, String> {
    if text == DEFAULT {
        return Ok(Pool(None));
    }
    let id = values::service_id(text);
    id.map(|id| Pool(Some(id)))
        .map_err(|error| format!("{error}; or it is {DEFAULT}"))
}

/// The list as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "LocalAddressList")]
pub struct List {
    laddrs: Vec<LocalView>,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Add(named) => {
            let what = named.what("add", "to");
            for address in &named.addresses {
                validate_local(*address).map_err(|error| Failure::spec(what.as_str(), error))?;
            }
            let service = named.pool.0;
            let add = |address| Change::LocalAdd { service, address };
            context.change(&what, &named.request(add))?;
            shared_ports::warn(context.kernel, &named.addresses);
            Ok(())
        }
        Command::Del(named) => {
            let what = named.what("remove", "of");
            let service = named.pool.0;
            let remove = |address| Change::LocalDel { service, address };
            context.change(&what, &named.request(remove))
        }
        Command::List { service, default } => {
            let failed = |error| Failure::kernel("list local addresses", error);
            let replies = context.kernel.collect(&Request::LocalList(service));
            let all = locals_of(replies.map_err(failed)?).map_err(failed)?;
            let wanted = all.into_iter().filter(|(of, _)| !default || of.is_none());
            let laddrs = wanted.map(|(of, address)| LocalView::new(of, address));
            let list = List {
                laddrs: laddrs.collect(),
            };
            context.print(&list, table)
        }
    }
}

impl Named {
    fn what(&self, verb: &str, preposition: &str) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(IpAddr::to_string).collect();
        let addresses = addresses.join(", ");
        let pool = pool_name(self.pool.0);
        format!("{verb} local address {addresses} {preposition} {pool}")
    }

    fn request(&self, change: impl Fn(IpAddr) -> Change) -> Request {
        match self.addresses.as_slice() {
            [address] => Request::Change(change(*address)),
            many => Request::Batch(
                many.iter().map(|address| change(*address)).collect(),
                Config::default(),
            ),
        }
    }
}

/// Whose local addresses: a service's, or the default's.
pub fn pool_name(service: Option<ServiceId>) -> String {
    service.map_or("default".to_owned(), |id| id.to_string())
}

fn table(list: &List) -> Table {
    let mut table = Table::new(&["SERVICE", "ADDRESS"], &[]);
    for local in &list.laddrs {
        let service = local.service.as_deref().unwrap_or(DEFAULT);
        table.row([service.to_owned(), local.address.clone()]);
    }
    table
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn show`: all that is known of one connection.

use std::net::SocketAddr;

use clap::Args;
use rvs_engine::prefix::Prefix;
use rvs_engine::selection::Selection;
use rvs_engine::spec::{DestId, Protocol};
use rvs_netlink::{Connection, DestInfo, Error, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, seconds};
use crate::values;
use crate::views::{ConnectionView, DestView};

pub const HELP: &str = "\
Example:
  rvsadm conn show tcp 198.51.100.2:40000 203.0.113.10:80

JSON: {\"connection\":{…, as in conn list},\"dest\":{…, as in dest list}}; dest is null when it was removed. Ends
with 1 when there is no such connection.";

/// Which connection.
#[derive(Args, Debug)]
pub struct Arguments {
    /// tcp, udp or sctp
    #[arg(value_parser = values::protocol)]
    protocol: Protocol,
    /// The client, ADDRESS:PORT
    #[arg(value_parser = values::socket)]
    client: SocketAddr,
    /// The virtual address, ADDRESS:PORT
    #[arg(value_name = "VIRTUAL", value_parser = values::socket)]
    virtual_address: SocketAddr,
}

/// It as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConnectionShown")]
pub struct Shown {
    connection: ConnectionView,
    dest: Option<DestView>,
}

/// The connection with these ends, if there is one.
pub fn find(
    protocol: Protocol,
    client: SocketAddr,
    virtual_address: SocketAddr,
    context: &mut Context<'_>,
) -> Result<Option<Connection>, Error> {
    let selection = Selection {
        protocol: Some(protocol),
        client: Some(whole(client)),
        client_port: Some(client.port()),
        virtual_address: Some(virtual_address),
        ..Selection::default()
    };
    let mut found = None;
    let listed = context
        .kernel
        .call(&Request::ConnList(None, selection), &mut |reply| {
            found = reply.connection().or(found.take());
            Ok(())
        });
    match listed {
        Ok(()) | Err(Error::Interrupted { .. }) => Ok(found),
        Err(error) => Err(error),
    }
}

/// The network of one address.
fn whole(end: SocketAddr) -> Prefix {
    values::whole(end.ip())
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let Arguments {
        protocol,
        client,
        virtual_address,
    } = *arguments;
    let what = format!("show the connection of {client} to {virtual_address}");
    let found = find(protocol, client, virtual_address, context);
    let found = found.map_err(|error| Failure::kernel(&what, error))?;
    let Some(connection) = found else {
        let hint = "see: rvsadm explain, which says what would become of its packets";
        return Err(Failure::new(what, "there is none", Some(hint)));
    };
    let dest = dest_of(&connection, context);
    if context.json {
        let service = connection.scheduled_by();
        return context.print_json(&Shown {
            connection: ConnectionView::from(&connection),
            dest: dest.map(|dest| DestView::new(&service, &dest)),
        });
    }
    print(&connection, dest.as_ref(), context)
}

/// What it goes to, unless that was removed.
fn dest_of(connection: &Connection, context: &mut Context<'_>) -> Option<DestInfo> {
    let service = connection.scheduled_by();
    let mut found = None;
    let end = connection.dest;
    for port in [end.port(), 0] {
        let id = DestId {
            address: end.ip(),
            port,
        };
        let got = context
            .kernel
            .call(&Request::DestGet(service, id), &mut |reply| {
                found = reply.dest.or(found.take());
                Ok(())
            });
        if got.is_ok() && found.is_some() {
            break;
        }
    }
    found
}

fn print(
    connection: &Connection,
    dest: Option<&DestInfo>,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let view = ConnectionView::from(connection);
    let dest = match dest {
        None => "removed; its connections go on".to_owned(),
        Some(dest) => {
            let drains = match dest.drain {
                Some(left) => format!(", drains for {left} s more"),
                None => String::new(),
            };
            let counts = (cell(dest.active), cell(dest.inactive));
            format!(
                "weight {}, {} active and {} inactive connections{drains}",
                cell(dest.weight),
                counts.0,
                counts.1
            )
        }
    };
    for (name, value) in [
        ("protocol", view.protocol.to_owned()),
        ("client", view.client),
        ("virtual address", connection.service.to_string()),
        ("service", view.scheduled_by),
        ("dest", view.dest),
        ("the dest is", dest),
        ("mode", cell(view.mode)),
        ("the dest sees", cell(view.local)),
        ("state", view.state.to_owned()),
        ("silent for", cell(view.idle_ms.map(seconds))),
        ("expires in", cell(view.expires_ms.map(seconds))),
    ] {
        writeln!(context.out, "{name:<16}  {value}")?;
    }
    let Some(account) = view.account else {
        return Ok(());
    };
    for (name, value) in [
        ("age", format!("{} s", account.age)),
        (
            "to the dest",
            format!("{} packets, {} bytes", account.in_packets, account.in_bytes),
        ),
        (
            "to the client",
            format!(
                "{} packets, {} bytes",
                account.out_packets, account.out_bytes
            ),
        ),
    ] {
        writeln!(context.out, "{name:<16}  {value}")?;
    }
    Ok(())
}

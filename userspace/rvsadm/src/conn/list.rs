// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn list`.

use std::collections::BinaryHeap;
use std::io::{self, Write};

use clap::Args;
use rvs_netlink::{Connection, Error, Reply, Request};
use schemars::JsonSchema;
use serde::Serialize;

use super::columns::{column, Column, Key, USUAL};
use super::filter::Filter;
use crate::context::Context;
use crate::envelope::BEGIN;
use crate::failure::Failure;
use crate::output::say;
use crate::views::ConnectionView;

pub const HELP: &str = "\
Examples:
  rvsadm conn list tcp/203.0.113.10:443 --state established
  rvsadm conn list --dest 192.0.2.1 --count
  rvsadm conn list --client 198.51.100.0/24 --sort idle --reverse --limit 20 --columns client,dest,idle

JSON: {\"connections\":[{\"protocol\",\"client\",\"service\",\"scheduled_by\",\"dest\",\"mode\",\"state\",
\"expires_ms\",\"idle_ms\",\"local\",\"account\":{\"age\",\"in_packets\",\"out_packets\",\"in_bytes\",\"out_bytes\"}}]}, with --count {\"count\":N}. Connections come and go while they are listed.";

/// Connections that are kept to be sorted, unless told otherwise.
const SORTED_MAX: usize = 100_000;

/// Which connections to list, and how.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which
    #[command(flatten)]
    filter: Filter,
    /// Print only how many there are
    #[arg(long, conflicts_with_all = ["limit", "sort", "columns"])]
    count: bool,
    /// Print at most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Sort by this column; without --limit the first 100000 are printed
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    sort: Option<Column>,
    /// Sort the other way round
    #[arg(long, requires = "sort")]
    reverse: bool,
    /// Print these columns, with commas between: protocol, client, service, dest, mode, state, expires,
    /// idle, local, age, in-packets, out-packets, in-bytes, out-bytes; the last five of services with
    /// account
    #[arg(long, value_name = "COLUMNS", value_parser = column, value_delimiter = ',')]
    columns: Vec<Column>,
}

/// Prints connections, as they come where they are not to be sorted: there may be millions.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let filter = &arguments.filter;
    let request = Request::ConnList(filter.service, filter.selection());
    match (arguments.count, arguments.sort) {
        (true, _) => count(&request, context),
        (false, Some(column)) => sorted(arguments, column, &request, context),
        (false, None) => as_they_come(arguments, &request, context),
    }
}

/// Gives each connection to `sink`, which says whether it wants more.
fn each(
    request: &Request,
    context: &mut Context<'_>,
    sink: &mut dyn FnMut(&mut dyn Write, Connection) -> io::Result<bool>,
) -> Result<(), Failure> {
    let mut enough = false;
    let out = &mut *context.out;
    let listed = context.kernel.call(request, &mut |reply: Reply| {
        let connection = reply.connection().ok_or(Error::Missing("connection"))?;
        match sink(out, connection) {
            Ok(true) => Ok(()),
            Ok(false) => {
                enough = true;
                Err(Error::Sink(io::Error::other("enough")))
            }
            Err(error) => Err(Error::Sink(error)),
        }
    });
    match listed {
        // The table changes all the time; what is printed was there.
        Ok(()) | Err(Error::Interrupted { .. }) => Ok(()),
        Err(Error::Sink(_)) if enough => Ok(()),
        Err(error) => Err(Failure::kernel("list connections", error)),
    }
}

/// How many there are, as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConnectionCount")]
pub struct Count {
    count: u64,
}

/// The list as JSON; it is printed piece by piece.
#[derive(JsonSchema, Serialize)]
pub struct ConnectionList {
    connections: Vec<ConnectionView>,
}

fn count(request: &Request, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut count = 0u64;
    each(request, context, &mut |_, _| {
        count += 1;
        Ok(true)
    })?;
    if context.json {
        return context.print_json(&Count { count });
    }
    Ok(writeln!(context.out, "{count}")?)
}

fn as_they_come(
    arguments: &Arguments,
    request: &Request,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let mut printer = Printer::new(arguments, context.json);
    let limit = arguments.limit.map(u64::from);
    each(request, context, &mut |out, connection| {
        printer.row(out, &connection)?;
        Ok(limit.is_none_or(|limit| printer.count < limit))
    })?;
    Ok(printer.end(context.out)?)
}

/// A connection with what it is sorted by.
struct Sorted(Key, u64, Connection);

impl Sorted {
    fn order(&self) -> (&Key, u64) {
        (&self.0, self.1)
    }
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// The first so many of a sequence, however long that is.
struct First<T: Ord> {
    heap: BinaryHeap<T>,
    max: usize,
    left_out: u64,
}

impl<T: Ord> First<T> {
    fn new(max: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            max,
            left_out: 0,
        }
    }

    fn push(&mut self, item: T) {
        self.heap.push(item);
        if self.heap.len() > self.max {
            self.heap.pop();
            self.left_out += 1;
        }
    }
}

fn sorted(
    arguments: &Arguments,
    column: Column,
    request: &Request,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let max = arguments.limit.map_or(SORTED_MAX, |limit| limit as usize);
    let (mut up, mut down) = (First::new(max), First::new(max));
    let mut number = 0;
    each(request, context, &mut |_, connection| {
        number += 1;
        let item = Sorted(column.key(&connection), number, connection);
        if arguments.reverse {
            down.push(std::cmp::Reverse(item));
        } else {
            up.push(item);
        }
        Ok(true)
    })?;
    let left_out = up.left_out + down.left_out;
    if arguments.limit.is_none() && left_out > 0 {
        say(format_args!(
            "rvsadm: {left_out} more connections are not shown, --limit says how many are"
        ));
    }
    let mut printer = Printer::new(arguments, context.json);
    let up = up.heap.into_sorted_vec().into_iter();
    let down = down.heap.into_sorted_vec().into_iter().map(|item| item.0);
    for Sorted(_, _, connection) in up.chain(down) {
        printer.row(context.out, &connection)?;
    }
    Ok(printer.end(context.out)?)
}

/// Prints rows of which the widths are not known beforehand.
struct Printer<'a> {
    columns: &'a [Column],
    json: bool,
    count: u64,
}

impl<'a> Printer<'a> {
    fn new(arguments: &'a Arguments, json: bool) -> Self {
        let columns = &arguments.columns;
        Self {
            columns: if columns.is_empty() { &USUAL } else { columns },
            json,
            count: 0,
        }
    }

    /// Printed with the first row or at the end, so that a refusal stands alone.
    fn start(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            return write!(out, "{BEGIN}\"connections\":[");
        }
        self.line(out, |column| column.heading().to_owned())
    }

    fn row(&mut self, out: &mut dyn Write, connection: &Connection) -> io::Result<()> {
        if self.count == 0 {
            self.start(out)?;
        }
        self.count += 1;
        if self.json {
            if self.count > 1 {
                write!(out, ",")?;
            }
            return Ok(serde_json::to_writer(
                out,
                &ConnectionView::from(connection),
            )?);
        }
        self.line(out, |column| column.cell(connection))
    }

    fn line(&self, out: &mut dyn Write, text: impl Fn(Column) -> String) -> io::Result<()> {
        let cells: Vec<_> = self.columns.iter().map(|c| c.pad(&text(*c))).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.count == 0 {
            self.start(out)?;
        }
        if self.json {
            writeln!(out, "]}}")?;
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm stats`.

use clap::{Args, Subcommand};
use rvs_engine::spec::ServiceId;
use rvs_netlink::{Error, Lists, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, say, Table};
use crate::values;
use crate::views::Numbers;
use crate::watch::Watch;

const STATS: [&str; 5] = ["CONNS", "IN-PKTS", "OUT-PKTS", "IN-BYTES", "OUT-BYTES"];
const RATES: [&str; 5] = [
    "CONNS/S",
    "IN-PKTS/S",
    "OUT-PKTS/S",
    "IN-BYTES/S",
    "OUT-BYTES/S",
];

/// Which columns of traffic a list has.
#[derive(Args, Clone, Copy, Debug)]
pub struct Columns {
    /// Show traffic too
    #[arg(long)]
    stats: bool,
    /// Show traffic a second too, an average of about the last 8 seconds
    #[arg(long)]
    rate: bool,
}

impl Columns {
    /// Traffic, but not its rates.
    pub const STATS: Self = Self {
        stats: true,
        rate: false,
    };

    /// Adds the columns to a table.
    pub fn head(self, table: &mut Table) {
        if self.stats {
            table.numbers(&STATS);
        }
        if self.rate {
            table.numbers(&RATES);
        }
    }

    /// Adds their cells to a row.
    pub fn fill(self, cells: &mut Vec<String>, stats: Option<&Numbers>, rates: Option<&Numbers>) {
        if self.stats {
            cells.extend(numbers(stats));
        }
        if self.rate {
            cells.extend(numbers(rates));
        }
    }
}

fn numbers(numbers: Option<&Numbers>) -> Vec<String> {
    match numbers {
        Some(Numbers(entries)) => {
            let first = entries.iter().take(STATS.len());
            first.map(|(_, n)| n.to_string()).collect()
        }
        None => vec![cell::<u64>(None); STATS.len()],
    }
}

/// What to do with statistics.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the namespace's traffic and counters
    #[command(after_help = "\
JSON: {\"generation\":N,\"traffic\":{\"connections\",\"in_packets\",…},\"rates\":{…, a second},
\"counters\":{\"conns_now\",…}}

Traffic of a service or dest: rvsadm service list --stats --rate, rvsadm dest list --stats --rate")]
    Show {
        /// Set everything to zero after showing it
        #[arg(long, conflicts_with = "watch")]
        zero: bool,
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
    /// Set statistics to zero: everything's, or those of a service and its dests
    Zero {
        /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
        service: Option<ServiceId>,
    },
}

/// The statistics as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Statistics")]
pub struct Document {
    generation: Option<u32>,
    traffic: Numbers,
    rates: Numbers,
    counters: Numbers,
    /// Connections by state; null where the module does not tell.
    states: Option<Numbers>,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Show { zero, watch } => {
            watch.repeat(context, show)?;
            if zero {
                let zeroed = context.kernel.execute(&Request::StatsZero(None));
                zeroed.map_err(|error| Failure::kernel("set statistics to zero", error))?;
            }
            Ok(())
        }
        Command::Zero { service } => {
            let what = match service {
                Some(service) => format!("set statistics of {service} to zero"),
                None => "set statistics to zero".to_owned(),
            };
            context.change(&what, &Request::StatsZero(service))
        }
    }
}

fn show(context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("show statistics", error);
    let reply = context.kernel.one(&Request::StatsGet).map_err(failed)?;
    let traffic = reply.stats.ok_or(Error::Missing("stats")).map_err(failed)?;
    let rates = reply.rates.ok_or(Error::Missing("rates")).map_err(failed)?;
    let counters = reply.counters.ok_or(Error::Missing("counters"));
    let document = Document {
        generation: reply.generation,
        traffic: Numbers::from(&traffic),
        rates: Numbers::from(&rates),
        counters: Numbers::from(&counters.map_err(failed)?),
        states: reply.states.as_ref().map(Numbers::from),
    };
    context.print(&document, |document| {
        let mut table = Table::new(&["COUNTER"], &["VALUE"]);
        // The others are the namespace's counters once more, as far as they are of services.
        for (name, value) in document.traffic.0.iter().take(STATS.len()) {
            table.row([(*name).to_owned(), value.to_string()]);
        }
        for (name, value) in document.rates.0.iter().take(RATES.len()) {
            table.row([format!("{name}/s"), value.to_string()]);
        }
        for (name, value) in &document.counters.0 {
            table.row([(*name).to_owned(), value.to_string()]);
        }
        for (name, value) in document.states.iter().flat_map(|states| &states.0) {
            if *value > 0 {
                table.row([format!("conns {name}"), value.to_string()]);
            }
        }
        table
    })
}

/// A part of what the module tells, and whether it is there.
type Part<T> = (&'static str, fn(&T) -> bool);

/// Warns of parts that the module does not tell, as one of another version might not.
pub fn warn_missing<T>(told: &[T], parts: &[Part<T>]) {
    let missing: Vec<&str> = parts
        .iter()
        .filter(|(_, is_there)| told.iter().any(|one| !is_there(one)))
        .map(|(name, _)| *name)
        .collect();
    if !missing.is_empty() {
        say(format_args!(
            "rvsadm: warning: the module does not tell {}; is it of another version?",
            missing.join(", ")
        ));
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm stats`.

use clap::Subcommand;
use rvs_engine::spec::ServiceId;
use rvs_netlink::{Error, Request};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, Table};
use crate::values;
use crate::views::Numbers;

/// Headings of the columns that [`traffic_cells`] fills.
pub const TRAFFIC: [&str; 5] = ["CONNS", "IN-PKTS", "OUT-PKTS", "IN-BYTES", "OUT-BYTES"];

/// Cells of the columns [`TRAFFIC`].
pub fn traffic_cells(stats: Option<&Numbers>) -> Vec<String> {
    match stats {
        Some(Numbers(entries)) => entries.iter().map(|(_, n)| n.to_string()).collect(),
        None => vec![cell::<u64>(None); TRAFFIC.len()],
    }
}

/// What to do with statistics.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the namespace's traffic and counters
    #[command(after_help = "\
JSON: {\"generation\":N,\"traffic\":{\"connections\",\"in_packets\",…},\"counters\":{\"conns_now\",…}}

Traffic of a service or dest: rvsadm service list --stats, rvsadm dest list --stats")]
    Show {
        /// Set everything to zero after showing it
        #[arg(long)]
        zero: bool,
    },
    /// Set statistics to zero: everything's, or those of a service and its dests
    Zero {
        /// The service, PROTOCOL/ADDRESS:PORT
        #[arg(value_name = "SERVICE", value_parser = values::service_id)]
        service: Option<ServiceId>,
    },
}

/// The statistics as JSON.
#[derive(Serialize)]
struct Document {
    generation: Option<u32>,
    traffic: Numbers,
    counters: Numbers,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Show { zero } => {
            show(context)?;
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
    let counters = reply.counters.ok_or(Error::Missing("counters"));
    let document = Document {
        generation: reply.generation,
        traffic: Numbers::from(&traffic),
        counters: Numbers::from(&counters.map_err(failed)?),
    };
    context.print(&document, |document| {
        let mut table = Table::new(&["COUNTER"], &["VALUE"]);
        let entries = document.traffic.0.iter().chain(&document.counters.0);
        for (name, value) in entries {
            table.row([(*name).to_owned(), value.to_string()]);
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
        eprintln!(
            "rvsadm: warning: the module does not tell {}; is it of another version?",
            missing.join(", ")
        );
    }
}

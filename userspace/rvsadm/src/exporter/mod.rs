// SPDX-License-Identifier: GPL-2.0

//! `rvsadm exporter`.
//!
//! - [`crate::namespaces`] are what is looked at, [`families`] the metrics, [`exposition`] their text.
//! - [`server`] answers clients by [`http`].

mod exposition;
mod families;
mod http;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;

use crate::complete;
use crate::context::{Context, Kernel};
use crate::failure::Failure;
use crate::namespaces::{self, Chosen, Place};
use crate::output::say;
use crate::reading::Reading;
use exposition::{Exposition, Scrape};
use server::{Counts, Server};

/// Where the module says its version.
const VERSION: &str = "/sys/module/rvs/version";

/// Help on the output.
pub const AFTER_HELP: &str = "\
Serves http://ADDRESS:PORT/metrics: as OpenMetrics for who asks for that, as Prometheus does, else in the
older text format. It has no password: whoever reaches the address may read it.

It needs CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter other namespaces. A namespace that cannot be read has
rvs_up 0, and standard error says why. One request reads the kernel; those that come meanwhile share the
next reading. A client has 5 s to ask and 60 s to take the answer.

Example:
  rvsadm exporter --all-netns --listen 127.0.0.1:9757";

/// What to serve.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9757")]
    listen: SocketAddr,
    /// Of this network namespace, by its name in /run/netns; may be given again. Without it, of the own one
    #[arg(long, value_name = "NAME", value_parser = namespaces::name, add = complete::namespaces())]
    netns: Vec<String>,
    /// Of the own network namespace too
    #[arg(long, requires = "netns")]
    own_netns: bool,
    /// Of all network namespaces that have a name, and the own one
    #[arg(long)]
    all_netns: bool,
    /// Dests of a namespace that have metrics of their own; of more only the number is told
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    max_dests: usize,
    /// Clients that are answered at a time; others are turned away
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clients)]
    max_clients: usize,
}

fn clients(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1000).contains(&number) => Ok(number),
        _ => Err("it is a number, 1 to 1000".to_owned()),
    }
}

impl Arguments {
    fn chosen(&self) -> Chosen {
        Chosen {
            own: self.own_netns || self.all_netns || self.netns.is_empty(),
            all: self.all_netns,
            names: self.netns.clone(),
        }
    }
}

/// Does it.
pub fn run(arguments: &Arguments, _context: &mut Context<'_>) -> Result<(), Failure> {
    let wanted = arguments.listen;
    let listener = TcpListener::bind(wanted).map_err(|error| {
        let hint =
            "name an address of this host and a port that nobody listens on: --listen ADDRESS:PORT";
        Failure::new(format!("listen on {wanted}"), error.to_string(), Some(hint))
    })?;
    let bound = listener.local_addr().unwrap_or(wanted);
    let reader = Reader {
        chosen: arguments.chosen(),
        most: arguments.max_dests,
        told: Mutex::new(HashMap::new()),
    };
    // What cannot be read is told now, not only when somebody asks.
    reader.scrapes();
    say(format_args!(
        "rvsadm: metrics are at http://{bound}/metrics"
    ));
    let make = move |counts: &Counts| reader.text(counts);
    Arc::new(Server::new(Box::new(make), arguments.max_clients)).run(&listener)
}

/// Reads namespaces, over and over.
struct Reader {
    chosen: Chosen,
    /// Dests of a namespace.
    most: usize,
    /// Why namespaces could not be read, as was said last.
    told: Mutex<HashMap<String, String>>,
}

impl Reader {
    fn text(&self, counts: &Counts) -> Result<String, String> {
        let module = fs::read_to_string(VERSION).ok();
        let exposition = Exposition {
            scrapes: self.scrapes(),
            module: module.map(|version| exposition::label(version.trim())),
            requests: counts.requests.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        };
        exposition
            .text()
            .map_err(|_| "the text cannot be made".to_owned())
    }

    fn scrapes(&self) -> Vec<Scrape> {
        let places = self.chosen.places();
        let scrapes = places.iter().map(|place| self.scrape(place)).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|name, _| places.iter().any(|place| place.name == *name));
        scrapes
    }

    /// Reads one. The socket lives no longer than this, as it would keep its namespace.
    fn scrape(&self, place: &Place) -> Scrape {
        let began = Instant::now();
        let read = place.inside(|| Reading::take(&mut Kernel::default(), self.most));
        let reading = match read {
            Ok(reading) => reading.map_err(|error| error.to_string()),
            Err(error) => Err(namespaces::told(&error)),
        };
        self.tell(&place.name, reading.as_ref().err());
        Scrape {
            netns: exposition::label(&place.name),
            took: began.elapsed(),
            reading,
        }
    }

    /// Says why a namespace cannot be read, and that it can be again, once each.
    fn tell(&self, name: &str, error: Option<&String>) {
        let of = match name {
            "" => "this network namespace".to_owned(),
            name => format!("network namespace {name}"),
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if told.get(name) != Some(error) => {
                say(format_args!("rvsadm: cannot read {of}: {error}"));
                told.insert(name.to_owned(), error.clone());
            }
            Some(_) => {}
            None => {
                if told.remove(name).is_some() {
                    say(format_args!("rvsadm: can read {of} again"));
                }
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! `rvsadm top`.
//!
//! - [`sampler`] reads, beside what is shown; [`figures`] says what the figures mean.
//! - [`app`] is what is shown and what keys do to it, [`columns`] its lists, [`draw`] their picture.
//! - [`live`] has the terminal.
//! - [`document`] is what scripts get.

mod app;
mod columns;
mod document;
mod draw;
mod figures;
mod live;
mod sampler;
#[cfg(test)]
mod tests;

use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::watch;
use app::App;
use columns::Sort;
pub use document::Document;
use sampler::{Ask, Sample};

/// Help on keys and output.
pub const AFTER_HELP: &str = "\
Keys: arrows select, Enter opens a service's dests and a dest's connections, Esc goes back, Tab changes
between services and all dests, s sorts by the next figure, r turns the order round, / filters, p pauses,
h shows all keys and what the states mean, q quits. NO_COLOR=1 shows no colours.

Figures a second are averages of about the last 8 seconds. SHARE is a dest's part of its service's
connections. STATE is off (weight 0), drain, idle (nothing comes to it though something comes to its
service), full (the connections of its upper threshold) or mute (connections ended that it had not answered).

Examples:
  rvsadm top --once --sort connections --filter 203.0.113.10:443
  rvsadm top -j --delay 10 | while read -r line; do …; done

JSON, one document a line, with --once one: {\"time\",\"generation\",\"traffic\":{…},\"rates\":{…, a second},
\"counters\":{…},\"drops\":[{\"reason\",\"total\",\"rate\"}],\"services\":[{\"id\",\"scheduler\",\"active\",\"inactive\",
\"rates\":{…},\"state\",\"dests\":[{\"id\",\"mode\",\"weight\",\"active\",\"inactive\",\"share\",\"rates\":{…},\"state\"}]}],
\"dests_omitted\":N}";

/// How to watch.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Seconds between two readings
    #[arg(long, short, value_name = "SECONDS", default_value_t = 2, value_parser = watch::seconds)]
    delay: u32,
    /// Print once and end: dests with their services
    #[arg(long)]
    once: bool,
    /// Sort by bits, packets, new, connections, state or name
    #[arg(long, short, default_value = "bits", value_parser = sort)]
    sort: Sort,
    /// Show services and dests whose names contain this
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,
}

fn sort(name: &str) -> Result<Sort, String> {
    let unknown = || format!("it is one of {}", Sort::NAMES.join(", "));
    Sort::by_name(name).ok_or_else(unknown)
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    if !arguments.once && !context.json {
        live::check_terminal()?;
    }
    let delay = Duration::from_secs(arguments.delay.into());
    let app = App::new(delay, arguments.sort, arguments.filter.clone());
    // What is wrong from the beginning is told before the screen is cleared.
    let sample = read(context)?;
    if arguments.once || context.json {
        return print(arguments, app, sample, context);
    }
    live::run(app, sample)
}

fn read(context: &mut Context<'_>) -> Result<Sample, Failure> {
    let taken = Sample::take(context.kernel, Ask(None));
    taken.map_err(|error| Failure::kernel("read what services and dests do", error))
}

/// For scripts: once, or a document a line for as long as anybody reads them.
fn print(
    arguments: &Arguments,
    mut app: App,
    mut sample: Sample,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    loop {
        app.take(Ok(sample), Instant::now());
        let document = Document::of(&mut app);
        if context.json {
            context.print_json(&document)?;
        } else {
            document.write(context.out)?;
        }
        if arguments.once {
            return Ok(());
        }
        context.out.flush()?;
        sleep(app.delay);
        sample = read(context)?;
    }
}

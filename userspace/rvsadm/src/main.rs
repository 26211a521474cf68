// SPDX-License-Identifier: GPL-2.0

//! `rvsadm` configures the Rust virtual server.
//!
//! - [`cli`] is the command line; each object has a file with its commands.
//! - [`restore`] reads a file ([`document`], [`lines`]), works out what differs ([`diff`]) and
//!   applies just that.
//! - [`failure`] is what the user is told when something is refused, [`hints`] how to mend it.

mod cli;
mod clock;
mod complete;
mod config;
mod conn;
mod context;
mod dest;
mod diff;
mod doctor;
mod document;
mod endpoint;
mod envelope;
mod explain;
mod exporter;
mod failure;
mod generate;
mod hints;
mod input_rules;
mod laddr;
mod lines;
mod monitor;
mod namespaces;
mod output;
mod pointers;
mod ports;
mod reading;
mod restore;
mod routing;
mod rs;
mod save;
mod saved;
mod schema;
mod service;
mod shared_ports;
mod snapshot;
mod stats;
mod sync;
mod templates;
mod toa;
mod top;
mod trace;
mod units;
mod unload;
mod upgrade;
mod values;
mod version;
mod views;
mod watch;
mod whole;
mod xdp;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use cli::{Cli, Command};
use context::{Context, Kernel};
use failure::Failure;

fn main() -> ExitCode {
    complete::answer(Cli::command);
    let cli = match pointers::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let json = cli.json;
    let entered = cli.in_netns.as_deref().map_or(Ok(()), namespaces::enter);
    match entered.and_then(|()| run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let mut kernel = Kernel::default();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut context = Context {
        kernel: &mut kernel,
        out: &mut out,
        json: cli.json,
    };
    let done = dispatch(cli.command, &mut context);
    if let Err(Failure::Findings) = done {
        out.flush()?;
    }
    done?;
    Ok(out.flush()?)
}

fn dispatch(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Service(command) => service::run(command, context),
        Command::Dest(command) => dest::run(command, context),
        Command::Laddr(command) => laddr::run(command, context),
        Command::Conn(command) => conn::run(command, context),
        Command::Stats(command) => stats::run(command, context),
        Command::Sync(command) => sync::run(command, context),
        Command::Xdp(command) => xdp::run(command, context),
        Command::Config(command) => config::run(command, context),
        Command::Save(arguments) => save::run(&arguments, context),
        Command::Restore(arguments) => restore::run(arguments, context),
        Command::Monitor(arguments) => monitor::run(&arguments, context),
        Command::Rs(command) => rs::run(command, context),
        Command::Toa(command) => toa::run(command, context),
        Command::Top(arguments) => top::run(&arguments, context),
        Command::Trace(arguments) => trace::run(&arguments, context),
        Command::Doctor(arguments) => doctor::run(&arguments, context),
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Exporter(arguments) => exporter::run(&arguments, context),
        Command::Schema(arguments) => schema::run(&arguments, context),
        Command::Unload => unload::run(context),
        Command::Upgrade(arguments) => upgrade::run(&arguments, context),
        Command::Version => version::run(context),
        Command::Generate(command) => generate::run(command, Cli::command(), context),
    }
}

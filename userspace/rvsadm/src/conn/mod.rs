// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn`.

mod checksum;
mod columns;
pub mod file;
mod filter;
pub mod list;
pub mod records;
pub mod show;

use std::path::PathBuf;

use clap::Subcommand;
use rvs_engine::selection::Selection;
use rvs_engine::spec::ServiceId;
use rvs_netlink::Request;
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::templates;
use crate::values;
use crate::watch::Watch;
use filter::Filter;

const TEMPLATES_HELP: &str = "\
JSON: {\"templates\":[{\"service\",\"network\",\"call_id\",\"dest\",\"mode\",\"expires_ms\"}]}. Each new connection of the network
lets it stay for the time that the service says.";

const END_HELP: &str = "\
Examples:
  rvsadm conn end --client 198.51.100.0/24
  rvsadm conn end tcp/203.0.113.10:443 --dest 192.0.2.1 --idle 3600

They end at once, and neither end is told: the next packet of one begins a new flow or is refused. All are ended
by: rvsadm conn flush. JSON: {\"ended\":N}";

/// What to do with connections.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List connections
    #[command(visible_alias = "ls", after_help = list::HELP)]
    List {
        /// Which, and how
        #[command(flatten)]
        arguments: Box<list::Arguments>,
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
    /// Show all that is known of one connection
    #[command(after_help = show::HELP)]
    Show(show::Arguments),
    /// List networks of clients that stay with a dest, of services with persistence
    #[command(after_help = TEMPLATES_HELP)]
    Templates {
        /// Those of this service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
        service: Option<ServiceId>,
    },
    /// End those connections that match, at once
    #[command(after_help = END_HELP)]
    End(Box<Filter>),
    /// Write all connections, and networks of clients that stay with a dest, into a file
    #[command(after_help = records::SAVE_HELP)]
    Save {
        /// The file, or - for standard output; what is there stays until all is written
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make connections again that were written by conn save
    #[command(after_help = records::RESTORE_HELP)]
    Restore {
        /// The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// End connections at once, all or those of a service
    Flush {
        /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
        service: Option<ServiceId>,
    },
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::List { arguments, watch } => {
            watch.repeat(context, |context| list::run(&arguments, context))
        }
        Command::Show(arguments) => show::run(&arguments, context),
        Command::Templates { service } => templates::list(service, context),
        Command::End(filter) => end(&filter, context),
        Command::Save { file } => records::save(&file, context),
        Command::Restore { file } => records::restore(&file, context),
        Command::Flush { service } => {
            let what = match service {
                Some(service) => format!("end connections of {service}"),
                None => "end all connections".to_owned(),
            };
            context.change(&what, &Request::ConnFlush(service, Selection::default()))
        }
    }
}

fn end(filter: &Filter, context: &mut Context<'_>) -> Result<(), Failure> {
    if filter.is_all() {
        let hint = "say which: --client, --dest, a service; all are ended by: rvsadm conn flush";
        let reason = "nothing says which connections";
        return Err(Failure::new("end connections", reason, Some(hint)));
    }
    let mut ended = None;
    let request = Request::ConnFlush(filter.service, filter.selection());
    let made = context.kernel.call(&request, &mut |reply| {
        ended = reply.ended.or(ended);
        Ok(())
    });
    made.map_err(|error| Failure::kernel("end connections", error))?;
    let ended = ended.unwrap_or(0);
    if context.json {
        return context.print_json(&Ended { ended });
    }
    let are = if ended == 1 {
        "connection is"
    } else {
        "connections are"
    };
    Ok(writeln!(context.out, "{ended} {are} ended")?)
}

/// How many were ended, as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConnectionsEnded")]
pub struct Ended {
    ended: u64,
}

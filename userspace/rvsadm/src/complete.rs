// SPDX-License-Identifier: GPL-2.0

//! What a shell may complete: the services, dests and namespaces that there are.
//!
//! Nobody is told of errors: a shell that completes has no place for them.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use rvs_netlink::{Lists, Reply, Request};

use crate::context::Kernel;
use crate::namespaces::{self, Chosen};
use crate::values;

/// Candidates that are offered at most: nobody reads more.
const MOST: usize = 1000;

/// The variable by which a shell asks for completions.
pub const ASKED_BY: &str = "COMPLETE";

/// Answers a shell that asks about `program`, and ends the process then.
pub fn answer(program: fn() -> clap::Command) {
    if std::env::var_os(ASKED_BY).is_some() {
        enter_namespace();
    }
    CompleteEnv::with_factory(program).var(ASKED_BY).complete();
}

/// Goes where the command line that is begun says.
fn enter_namespace() {
    let mut words = std::env::args().skip_while(|word| word != "-n" && word != "--in-netns");
    if let Some(name) = words.nth(1).and_then(|name| namespaces::name(&name).ok()) {
        // Completions are then those of this one.
        let _ = namespaces::enter(&name);
    }
}

/// Names of services.
pub fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let services = list(&Request::ServiceList).into_iter();
        let services = services.filter_map(|reply| reply.service);
        candidates(begun, services.map(|service| service.id.to_string()))
    })
}

/// Names of dests, of the service that the command line names if it does.
pub fn dests() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let service = std::env::args().find_map(|word| values::service_id(&word).ok());
        let dests = list(&Request::DestList(service)).into_iter();
        let dests = dests.filter_map(|reply| reply.dest);
        candidates(begun, dests.map(|dest| dest.id.to_string()))
    })
}

/// Names of network namespaces.
pub fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let all = Chosen {
            all: true,
            ..Chosen::default()
        };
        candidates(begun, all.places().into_iter().map(|place| place.name))
    })
}

fn list(request: &Request) -> Vec<Reply> {
    Kernel::default().collect(request).unwrap_or_default()
}

fn candidates(begun: &OsStr, names: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with(&*begun))
        .take(MOST)
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

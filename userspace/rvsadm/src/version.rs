// SPDX-License-Identifier: GPL-2.0

//! `rvsadm version`: the tool and the modules, which are made together.

use std::fs;

use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;

/// Help on what it prints.
pub const AFTER_HELP: &str = "\
A module that is loaded stays the one it is when packages are upgraded: 'modinfo rvs' tells of the one that
the next boot loads.

JSON: {\"rvsadm\",\"rvs\",\"toa\"}; null is a module that is not loaded";

/// Versions as JSON.
#[derive(JsonSchema, Serialize)]
pub struct Versions {
    rvsadm: &'static str,
    rvs: Option<String>,
    toa: Option<String>,
}

/// The version of a module that is loaded.
pub fn of_module(module: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/module/{module}/version")).ok()?;
    Some(text.trim().to_owned())
}

/// Does it.
pub fn run(context: &mut Context<'_>) -> Result<(), Failure> {
    let versions = Versions {
        rvsadm: env!("CARGO_PKG_VERSION"),
        rvs: of_module("rvs"),
        toa: of_module("toa"),
    };
    context.print(&versions, |versions| {
        let mut table = Table::new(&["", "VERSION"], &[]);
        table.row(["rvsadm".to_owned(), versions.rvsadm.to_owned()]);
        for (module, version) in [("rvs", &versions.rvs), ("toa", &versions.toa)] {
            let version = version.clone().unwrap_or_else(|| "not loaded".to_owned());
            table.row([module.to_owned(), version]);
        }
        table
    })
}

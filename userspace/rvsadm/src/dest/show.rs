// SPDX-License-Identifier: GPL-2.0

//! `rvsadm dest show`.

use rvs_netlink::{Lists, Request};
use schemars::JsonSchema;
use serde::Serialize;

use super::table::{table, DestList};
use crate::context::Context;
use crate::failure::Failure;
use crate::snapshot::dests_of;
use crate::stats::Columns;
use crate::views::DestView;

/// One dest as JSON.
#[derive(JsonSchema, Serialize)]
pub struct DestShown {
    dest: DestView,
}

/// Prints one.
pub fn show(what: &str, request: &Request, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel(what, error);
    let reply = context.kernel.one(request).map_err(failed)?;
    let dests = dests_of(vec![reply]).map_err(failed)?;
    let mut list = DestList::new(&dests);
    if context.json {
        let dest = list.dests.remove(0);
        return context.print_json(&DestShown { dest });
    }
    Ok(table(&list.dests, Columns::STATS, true).write(context.out)?)
}

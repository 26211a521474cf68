// SPDX-License-Identifier: GPL-2.0

//! Waiting for a dest that drains.

use std::time::Duration;

use rvs_engine::spec::{DestId, ServiceId};
use rvs_netlink::{Lists, Request};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::say;
use crate::snapshot::dests_of;
use crate::views::DestView;

/// Time between two looks at a dest that drains.
const LOOK: Duration = Duration::from_millis(200);

/// The end of a draining as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DestDrained")]
pub struct Drained {
    drained: DestView,
}

/// Waits until a dest has drained.
pub fn drained(
    what: &str,
    (service, dest): (ServiceId, DestId),
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let request = Request::DestGet(service, dest);
    let mut last = None;
    loop {
        let failed = |error| Failure::kernel(what, error);
        let reply = context.kernel.one(&request).map_err(failed)?;
        let (service, dest) = dests_of(vec![reply]).map_err(failed)?.remove(0);
        let left = dest
            .active
            .unwrap_or(0)
            .saturating_add(dest.inactive.unwrap_or(0));
        let Some(seconds) = dest.drain else {
            // Somebody has taken it back meanwhile.
            if dest.weight != Some(0) {
                return Err(Failure::new(what, "it was given a weight again", None));
            }
            if left > 0 {
                let reason = format!("it drains no longer, and {left} connections are left");
                return Err(Failure::new(what, reason, None));
            }
            let drained = DestView::new(&service.id, &dest);
            let ended = dest.drain_ended.unwrap_or(0);
            if context.json {
                return context.print_json(&Drained { drained });
            }
            writeln!(context.out, "drained; {ended} connections were ended")?;
            return Ok(());
        };
        if last.replace(left) != Some(left) {
            say(format_args!(
                "rvsadm: {left} connections are left, for {seconds} s"
            ));
        }
        std::thread::sleep(LOOK);
    }
}

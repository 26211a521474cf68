// SPDX-License-Identifier: GPL-2.0

//! Dests as they are listed.

use rvs_engine::tunnel::TunnelKind;
use rvs_netlink::{DestInfo, ServiceInfo};
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::{cell, Table};
use crate::stats::{warn_missing, Columns};
use crate::views::DestView;

/// The list as JSON.
#[derive(JsonSchema, Serialize)]
pub struct DestList {
    /// The dests.
    pub dests: Vec<DestView>,
}

impl DestList {
    /// The list of `dests`.
    pub fn new(dests: &[(ServiceInfo, DestInfo)]) -> Self {
        check_complete(dests);
        let views = dests
            .iter()
            .map(|(service, dest)| DestView::new(&service.id, dest));
        Self {
            dests: views.collect(),
        }
    }
}

/// The table of `dests`, with or without traffic and their service.
pub fn table(dests: &[DestView], columns: Columns, service: bool) -> Table {
    let text: &[&str] = if service {
        &["SERVICE", "DEST", "MODE"]
    } else {
        &["DEST", "MODE"]
    };
    let mut table = Table::new(text, &["WEIGHT", "ACTIVE", "INACTIVE"]);
    let thresholds = dests.iter().any(|dest| dest.upper.unwrap_or(0) != 0);
    if thresholds {
        table.numbers(&["UPPER", "LOWER"]);
    }
    let draining = dests.iter().any(|dest| dest.drain.is_some());
    if draining {
        table.numbers(&["DRAIN"]);
    }
    let no_port = dests.iter().any(|dest| dest.no_port.unwrap_or(0) != 0);
    if no_port {
        table.numbers(&["NO-PORT"]);
    }
    let no_reply = dests.iter().any(|dest| dest.no_reply.unwrap_or(0) != 0);
    if no_reply {
        table.numbers(&["NO-REPLY"]);
    }
    columns.head(&mut table);
    for dest in dests {
        let mut cells = Vec::new();
        if service {
            cells.push(dest.service.clone());
        }
        cells.extend([
            dest.id.clone(),
            mode_cell(dest),
            cell(dest.weight),
            cell(dest.active),
            cell(dest.inactive),
        ]);
        if thresholds {
            cells.extend([cell(dest.upper), cell(dest.lower)]);
        }
        if draining {
            cells.push(cell(dest.drain.map(|seconds| format!("{seconds} s"))));
        }
        if no_port {
            cells.push(cell(dest.no_port));
        }
        if no_reply {
            cells.push(cell(dest.no_reply));
        }
        columns.fill(&mut cells, dest.stats.as_ref(), dest.rates.as_ref());
        table.row(cells);
    }
    table
}

/// The mode, and the tunnel unless it is the plainest: "tun gue:6080 csum".
fn mode_cell(dest: &DestView) -> String {
    let mode = cell(dest.mode);
    match &dest.tunnel {
        Some(tunnel) if tunnel.kind != TunnelKind::Ipip.name() => {
            let port = tunnel.port.map_or(String::new(), |port| format!(":{port}"));
            format!("{mode} {}{port} {}", tunnel.kind, tunnel.checksum)
        }
        _ => mode,
    }
}

/// Warns when the module tells less than this version of the spec has.
fn check_complete(dests: &[(ServiceInfo, DestInfo)]) {
    warn_missing(
        dests,
        &[
            ("mode", |(_, d)| d.mode.is_some()),
            ("weight", |(_, d)| d.weight.is_some()),
            ("upper-threshold", |(_, d)| d.upper.is_some()),
            ("lower-threshold", |(_, d)| d.lower.is_some()),
            ("active", |(_, d)| d.active.is_some()),
            ("inactive", |(_, d)| d.inactive.is_some()),
            ("stats", |(_, d)| d.stats.is_some()),
            ("rates", |(_, d)| d.rates.is_some()),
        ],
    );
}

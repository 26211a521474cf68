// SPDX-License-Identifier: GPL-2.0

//! What scripts get of `rvsadm top`.

use std::io::{self, Write};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;

use super::app::{App, View};
use super::columns::Row;
use super::figures::{bits, share, short};
use crate::clock;
use crate::output::{cell, Table};
use crate::reading::Reading;
use crate::views::Numbers;

/// All of it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Top")]
pub struct Document {
    time: String,
    generation: Option<u32>,
    traffic: Numbers,
    rates: Numbers,
    counters: Numbers,
    drops: Vec<Drop>,
    services: Vec<Service>,
    /// Dests that are left out as there are too many.
    dests_omitted: u64,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TopDrop")]
pub struct Drop {
    reason: &'static str,
    total: u64,
    /// A second; nothing in the first document.
    rate: Option<f64>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TopService")]
pub struct Service {
    id: String,
    scheduler: String,
    active: u32,
    inactive: u32,
    rates: Numbers,
    state: &'static str,
    dests: Vec<Dest>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TopDest")]
pub struct Dest {
    id: String,
    mode: Option<&'static str>,
    weight: u32,
    active: u32,
    inactive: u32,
    share: Option<f64>,
    rates: Numbers,
    state: &'static str,
}

impl Document {
    /// What the view has now, by its order and filter.
    pub fn of(app: &mut App) -> Self {
        let services = services(app);
        let reading = app.reading.as_ref();
        let empty = Reading::default();
        let reading = reading.unwrap_or(&empty);
        let drops = app.drops.iter().map(|drop| Drop {
            reason: drop.reason,
            total: drop.total,
            rate: drop.rate,
        });
        Self {
            time: clock::text(SystemTime::now()),
            generation: reading.generation,
            traffic: Numbers::from(&reading.traffic),
            rates: Numbers::from(&reading.rates),
            counters: Numbers::from(&reading.counters),
            drops: drops.collect(),
            services,
            dests_omitted: reading.omitted,
        }
    }

    /// For people: totals, drops, a table.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let rates: Vec<_> = self
            .rates
            .0
            .iter()
            .map(|(name, n)| format!("{name}/s {n}"))
            .collect();
        writeln!(out, "{}  {}", self.time, rates.join("  "))?;
        let drops: Vec<_> = self
            .drops
            .iter()
            .map(|d| format!("{} {}", d.reason, d.total))
            .collect();
        let drops = if drops.is_empty() {
            "none".to_owned()
        } else {
            drops.join("  ")
        };
        writeln!(out, "drops: {drops}\n")?;
        let text = ["SERVICE", "DEST", "STATE"];
        let figures = [
            "WEIGHT", "CONNS", "SHARE", "NEW/S", "PKT/S", "IN-b/S", "OUT-b/S",
        ];
        let mut table = Table::new(&text, &figures);
        for service in &self.services {
            let conns = u64::from(service.active) + u64::from(service.inactive);
            let mut cells = vec![
                service.id.clone(),
                cell::<u32>(None),
                service.state.to_owned(),
            ];
            cells.extend([cell::<u32>(None), conns.to_string(), cell::<u32>(None)]);
            cells.extend(rate_cells(&service.rates));
            table.row(cells);
            for dest in &service.dests {
                let conns = u64::from(dest.active) + u64::from(dest.inactive);
                let mut cells = vec![service.id.clone(), dest.id.clone(), dest.state.to_owned()];
                let share = dest.share.map(|share| format!("{:.0}%", share * 100.0));
                cells.extend([dest.weight.to_string(), conns.to_string(), cell(share)]);
                cells.extend(rate_cells(&dest.rates));
                table.row(cells);
            }
        }
        table.write(out)?;
        if self.dests_omitted > 0 {
            writeln!(out, "\n{} more dests are left out", self.dests_omitted)?;
        }
        Ok(())
    }
}

/// New connections, packets, bits in, bits out.
fn rate_cells(rates: &Numbers) -> Vec<String> {
    let of = |wanted: &str| {
        let found = rates.0.iter().find(|(name, _)| *name == wanted);
        found.map_or(0, |(_, n)| *n)
    };
    let packets = of("in-packets").saturating_add(of("out-packets"));
    vec![
        short(of("connections")),
        short(packets),
        short(bits(of("in-bytes"))),
        short(bits(of("out-bytes"))),
    ]
}

/// Services in the view's order, each with its dests, in that order too. The filter takes a service
/// with all its dests, or the dests that it is about.
fn services(app: &mut App) -> Vec<Service> {
    let mut services: Vec<(usize, Service)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let filter = std::mem::take(&mut app.filter);
    app.view = View::Services;
    app.arrange();
    for number in app.numbers() {
        if let Some(row) = app.row(number) {
            places.insert(number, services.len());
            services.push((number, service(&row)));
        }
    }
    app.filter = filter;
    app.view = View::Dests(None);
    app.arrange();
    for number in app.numbers() {
        let of = app
            .reading
            .as_ref()
            .and_then(|reading| reading.dests.get(number));
        let place = of.and_then(|dest| places.get(&dest.service)).copied();
        let (Some(row), Some(place)) = (app.row(number), place) else {
            continue;
        };
        if let Some((_, service)) = services.get_mut(place) {
            service.dests.extend(dest(&row));
        }
    }
    let wanted = app.filter.to_lowercase();
    services.retain(|(_, service)| !service.dests.is_empty() || service.id.contains(&wanted));
    services.into_iter().map(|(_, service)| service).collect()
}

fn service(row: &Row<'_>) -> Service {
    Service {
        id: row.service.id.to_string(),
        scheduler: row.service.scheduler.clone(),
        active: row.service.active,
        inactive: row.service.inactive,
        rates: Numbers::from(&row.service.rates),
        state: row.condition.name(),
        dests: Vec::new(),
    }
}

fn dest(row: &Row<'_>) -> Option<Dest> {
    let dest = row.dest?;
    Some(Dest {
        id: dest.id.to_string(),
        mode: dest.mode.map(|mode| mode.name()),
        weight: dest.weight,
        active: dest.active,
        inactive: dest.inactive,
        share: share(row.service, dest),
        rates: Numbers::from(&dest.rates),
        state: row.condition.name(),
    })
}

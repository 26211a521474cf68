// SPDX-License-Identifier: GPL-2.0

//! The columns of the live view, and what rows are sorted by.

use std::cmp::Ordering;

use rvs_netlink::Stats;

use super::figures::{bits, share, short, Condition};
use crate::output::cell;
use crate::reading::{Dest, Service};

/// A line of the lists: a service, or a dest of it.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub service: &'a Service,
    pub dest: Option<&'a Dest>,
    pub condition: Condition,
    /// Dests of the service that are not fine.
    pub bad: u32,
}

impl Row<'_> {
    pub fn rates(&self) -> &Stats {
        self.dest.map_or(&self.service.rates, |dest| &dest.rates)
    }

    pub fn connections(&self) -> u64 {
        self.dest
            .map_or(self.service.connections(), Dest::connections)
    }

    /// What the filter looks at.
    pub fn name(&self) -> String {
        match self.dest {
            Some(dest) => format!("{} {}", self.service.id, dest.id),
            None => self.service.id.to_string(),
        }
    }

    fn share(&self) -> Option<f64> {
        share(self.service, self.dest?)
    }
}

/// A column.
pub struct Column {
    pub title: &'static str,
    /// Width, unless it takes what is left.
    pub width: u16,
    pub takes_rest: bool,
    /// Width of the terminal from which on it is shown.
    pub from: u16,
    pub cell: fn(&Row<'_>) -> String,
}

const fn text(title: &'static str, cell: fn(&Row<'_>) -> String) -> Column {
    Column {
        title,
        width: 0,
        takes_rest: true,
        from: 0,
        cell,
    }
}

const fn figure(
    title: &'static str,
    width: u16,
    from: u16,
    cell: fn(&Row<'_>) -> String,
) -> Column {
    Column {
        title,
        width,
        takes_rest: false,
        from,
        cell,
    }
}

fn service(row: &Row<'_>) -> String {
    row.service.id.to_string()
}

fn dest(row: &Row<'_>) -> String {
    row.dest.map_or(String::new(), |dest| dest.id.to_string())
}

const CONNECTIONS: Column = figure("CONNS", 5, 0, |row| short(row.connections()));
const NEW: Column = figure("NEW/S", 5, 0, |row| short(row.rates().connections));
const PACKETS: Column = figure("PKT/S", 5, 0, |row| short(packets(row)));
const BITS_IN: Column = figure("IN-b/S", 6, 64, |row| short(bits(row.rates().in_bytes)));
const BITS_OUT: Column = figure("OUT-b/S", 7, 72, |row| short(bits(row.rates().out_bytes)));
const SHARE: Column = figure("SHARE", 5, 56, |row| {
    cell(row.share().map(|share| format!("{:.0}%", share * 100.0)))
});
const STATE: Column = figure("STATE", 5, 0, |row| row.condition.name().to_owned());
const WEIGHT: Column = figure("WGT", 5, 76, |row| cell(row.dest.map(|dest| dest.weight)));
const MODE: Column = figure("MODE", 7, 90, |row| {
    cell(row.dest.and_then(|dest| dest.mode).map(|mode| mode.name()))
});

/// Of the list of services.
pub const SERVICES: &[Column] = &[
    text("SERVICE", service),
    figure("SCHED", 6, 88, |row| row.service.scheduler.clone()),
    figure("DESTS", 5, 48, |row| short(row.service.dests.into())),
    figure("BAD", 4, 56, |row| short(row.bad.into())),
    CONNECTIONS,
    NEW,
    PACKETS,
    BITS_IN,
    BITS_OUT,
    STATE,
];

/// Of the list of one service's dests.
pub const DESTS: &[Column] = &[
    text("DEST", dest),
    MODE,
    WEIGHT,
    CONNECTIONS,
    SHARE,
    NEW,
    PACKETS,
    BITS_IN,
    BITS_OUT,
    STATE,
];

/// Of the list of all dests.
pub const ALL_DESTS: &[Column] = &[
    text("SERVICE", service),
    text("DEST", dest),
    figure("MODE", 7, 120, MODE.cell),
    figure("WGT", 5, 112, WEIGHT.cell),
    CONNECTIONS,
    figure("SHARE", 5, 104, SHARE.cell),
    NEW,
    figure("PKT/S", 5, 80, PACKETS.cell),
    figure("IN-b/S", 6, 90, BITS_IN.cell),
    figure("OUT-b/S", 7, 98, BITS_OUT.cell),
    STATE,
];

fn packets(row: &Row<'_>) -> u64 {
    let rates = row.rates();
    rates.in_packets.saturating_add(rates.out_packets)
}

fn bits_of(row: &Row<'_>) -> u64 {
    let rates = row.rates();
    bits(rates.in_bytes.saturating_add(rates.out_bytes))
}

/// What rows are sorted by; numbers from the largest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Bits,
    Packets,
    New,
    Connections,
    State,
    Name,
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::Bits,
        Self::Packets,
        Self::New,
        Self::Connections,
        Self::State,
        Self::Name,
    ];

    /// Names, as the command line takes them.
    pub const NAMES: [&str; 6] = ["bits", "packets", "new", "connections", "state", "name"];

    /// The one with that name.
    pub fn by_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|other| *other == name)?;
        Self::ALL.get(at).copied()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|other| *other == self);
        at.and_then(|at| Self::NAMES.get(at)).copied().unwrap_or("")
    }

    /// The one after it, round.
    pub fn next(self) -> Self {
        let mut all = Self::ALL.iter().cycle();
        all.find(|other| **other == self);
        all.next().copied().unwrap_or(self)
    }

    /// How two rows stand to each other.
    pub fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let by = |key: fn(&Row<'_>) -> u64| key(b).cmp(&key(a));
        match self {
            Self::Bits => by(bits_of),
            Self::Packets => by(packets),
            Self::New => by(|row| row.rates().connections),
            Self::Connections => by(|row| row.connections()),
            Self::State => b.condition.cmp(&a.condition).then(b.bad.cmp(&a.bad)),
            Self::Name => {
                let of = |row: &Row<'_>| (row.service.id, row.dest.map(|dest| dest.id));
                of(a).cmp(&of(b))
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the figures mean: how a dest does, its share, drops a second.

use std::collections::HashMap;
use std::time::Duration;

use rvs_engine::spec::{DestId, ServiceId};
use rvs_netlink::Counters;

use crate::reading::{Dest, Reading, Service};

/// How a dest does. A service is off when none of its dests takes connections, else as the worst of those
/// that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// As it should.
    Fine,
    /// Its weight is 0.
    Off,
    /// It is drained.
    Drain,
    /// Nothing comes to it, though something comes to its service.
    Idle,
    /// It has the connections of its upper threshold.
    Full,
    /// Connections have ended lately that it had not answered.
    Mute,
}

impl Condition {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Off => "off",
            Self::Drain => "drain",
            Self::Idle => "idle",
            Self::Full => "full",
            Self::Mute => "mute",
        }
    }
}

/// How often dests had not answered, of those that had not.
#[derive(Clone, Debug, Default)]
pub struct Unanswered(HashMap<(ServiceId, DestId), u64>);

impl Unanswered {
    /// As of a reading.
    pub fn of(reading: &Reading) -> Self {
        let dests = reading.dests.iter().filter(|dest| dest.no_reply > 0);
        let entries = dests.filter_map(|dest| {
            let service = reading.services.get(dest.service)?;
            Some(((service.id, dest.id), dest.no_reply))
        });
        Self(entries.collect())
    }

    /// How often it is now more than then; nothing when it was not known.
    fn since(&self, service: &Service, dest: &Dest) -> u64 {
        let before = self.0.get(&(service.id, dest.id)).copied();
        dest.no_reply.saturating_sub(before.unwrap_or(0))
    }
}

/// How a dest does. `before` is what was there at the last reading, if there was one.
pub fn condition(service: &Service, dest: &Dest, before: Option<&Unanswered>) -> Condition {
    if dest.drain.is_some() {
        return Condition::Drain;
    }
    if dest.weight == 0 {
        return Condition::Off;
    }
    if before.is_some_and(|before| before.since(service, dest) > 0) {
        return Condition::Mute;
    }
    if dest.upper > 0 && dest.connections() >= u64::from(dest.upper) {
        return Condition::Full;
    }
    if service.rates.in_packets > 0 && dest.rates.in_packets == 0 {
        return Condition::Idle;
    }
    Condition::Fine
}

/// A dest's share of its service's connections, from 0 to 1; nothing when there are none.
pub fn share(service: &Service, dest: &Dest) -> Option<f64> {
    let all = service.connections();
    // The two are not read at the same moment.
    (all > 0).then(|| (dest.connections() as f64 / all as f64).min(1.0))
}

/// Counters that say why something was not served.
pub fn is_drop(name: &str) -> bool {
    const OTHERS: [&str; 4] = ["no-reply", "not-syn", "conns-dropped", "templates-dropped"];
    name.starts_with("drop-") || OTHERS.contains(&name)
}

/// A reason why something was dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    pub reason: &'static str,
    pub total: u64,
    /// A second, between the last two readings; nothing after the first one.
    pub rate: Option<f64>,
}

/// The reasons for which anything was dropped, what is dropped now first.
pub fn drops(now: &Counters, before: Option<(&Counters, Duration)>) -> Vec<Drop> {
    let before = before.map(|(counters, passed)| (counters.entries(), passed.as_secs_f64()));
    let rate = |at: usize, total: u64| {
        let (entries, seconds) = before.as_ref()?;
        let (_, earlier) = entries.get(at)?;
        // Zeroed meanwhile, it has begun anew.
        let more = total.checked_sub(*earlier).unwrap_or(total);
        (*seconds > 0.0).then(|| more as f64 / seconds)
    };
    let entries = now.entries().into_iter().enumerate();
    let mut drops: Vec<Drop> = entries
        .filter(|(_, (name, total))| is_drop(name) && *total > 0)
        .map(|(at, (name, total))| Drop {
            reason: name.strip_prefix("drop-").unwrap_or(name),
            total,
            rate: rate(at, total),
        })
        .collect();
    drops.sort_by(|a, b| {
        let key = |drop: &Drop| drop.rate.unwrap_or(0.0);
        key(b).total_cmp(&key(a)).then(b.total.cmp(&a.total))
    });
    drops
}

/// A number in at most five characters: 9999, 12.3k, 1.23M.
pub fn short(number: u64) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut value = number as f64;
    for unit in ["k", "M", "G", "T", "P", "E"] {
        value /= 1000.0;
        // What would be rounded up to 1000 belongs to the next unit.
        if value < 999.5 {
            let decimals = match value {
                v if v < 9.995 => 2,
                v if v < 99.95 => 1,
                _ => 0,
            };
            return format!("{value:.decimals$}{unit}");
        }
    }
    "much".to_owned()
}

/// Bits of so many bytes.
pub fn bits(bytes: u64) -> u64 {
    bytes.saturating_mul(8)
}

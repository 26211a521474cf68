// SPDX-License-Identifier: GPL-2.0

//! The rules, step by step, over a list.

use std::collections::HashMap;

use rvs_engine::hash::{word32, Key};
use rvs_engine::sched::{Flow, Options};

use crate::service::Dest;

pub trait Model {
    fn pick(&mut self, list: &[Dest], flow: &Flow, now: u32) -> Option<u32>;
    /// One dest was added at the head.
    fn added(&mut self, _list: &[Dest]) {}
    /// The dest that was at this index, of that name, is gone.
    fn deleted(&mut self, _list: &[Dest], _index: usize, _name: u32) {}
    /// A dest's weight was set.
    fn changed(&mut self, _list: &[Dest]) {}
}

/// The model of a scheduler; `twos` has none.
pub fn model(name: &str, options: Options) -> Box<dyn Model> {
    match name {
        "rr" => Box::<RoundRobin>::default(),
        "wrr" => Box::<WeightedRoundRobin>::default(),
        "lblc" => Box::<Locality>::default(),
        "lblcr" => Box::<Replicated>::default(),
        "dh" => Box::new(DestinationHashing),
        "sh" => Box::new(SourceHashing(options)),
        "mh" => Box::new(Maglev(options)),
        "lc" => Box::new(Scan(|list| least(list.iter(), |d| (d.overhead(), 1)))),
        "wlc" => Box::new(Scan(wlc)),
        "sed" => Box::new(Scan(sed)),
        "nq" => Box::new(Scan(|list| {
            let idle = list.iter().find(|d| is_usable(d) && d.active == 0);
            idle.copied().or_else(|| sed(list))
        })),
        "fo" => Box::new(Scan(|list| heaviest(list.iter()))),
        "ovf" => Box::new(Scan(|list| {
            heaviest(list.iter().filter(|d| d.active <= d.weight))
        })),
        _ => panic!("no model of {name}"),
    }
}

fn is_usable(dest: &Dest) -> bool {
    dest.weight > 0 && !dest.overloaded
}

/// The usable dest with the least load for its weight, of equals the first.
fn least<'a>(
    list: impl Iterator<Item = &'a Dest>,
    load: impl Fn(&Dest) -> (u128, u128),
) -> Option<Dest> {
    let mut best: Option<(Dest, u128, u128)> = None;
    for dest in list.filter(|d| is_usable(d)) {
        let (load, weight) = load(dest);
        if best.is_none_or(|(_, l, w)| l * weight > load * w) {
            best = Some((*dest, load, weight));
        }
    }
    best.map(|(dest, ..)| dest)
}

fn wlc(list: &[Dest]) -> Option<Dest> {
    least(list.iter(), |d| (d.overhead(), u128::from(d.weight)))
}

fn sed(list: &[Dest]) -> Option<Dest> {
    least(list.iter(), |d| {
        (u128::from(d.active) + 1, u128::from(d.weight))
    })
}

fn heaviest<'a>(list: impl Iterator<Item = &'a Dest>) -> Option<Dest> {
    let mut best: Option<Dest> = None;
    for dest in list.filter(|d| is_usable(d)) {
        if best.is_none_or(|b| dest.weight > b.weight) {
            best = Some(*dest);
        }
    }
    best
}

/// Rules that look at the list and at nothing else.
struct Scan(fn(&[Dest]) -> Option<Dest>);

impl Model for Scan {
    fn pick(&mut self, list: &[Dest], _: &Flow, _: u32) -> Option<u32> {
        self.0(list).map(|dest| dest.name)
    }
}

/// `rr`: a cursor on the dest picked last, or on the head of the list.
#[derive(Default)]
struct RoundRobin {
    cursor: Option<usize>,
}

impl Model for RoundRobin {
    fn pick(&mut self, list: &[Dest], _: &Flow, _: u32) -> Option<u32> {
        let after = self.cursor.map_or(0, |c| c + 1);
        let index = (after..list.len())
            .chain(0..after)
            .find(|&i| list[i].weight > 0 && !list[i].overloaded)?;
        self.cursor = Some(index);
        Some(list[index].name)
    }

    fn added(&mut self, _: &[Dest]) {
        self.cursor = self.cursor.map(|c| c + 1);
    }

    fn deleted(&mut self, _: &[Dest], index: usize, _: u32) {
        // The one before takes over from a dest that goes.
        if let Some(c) = self.cursor.filter(|&c| c >= index) {
            self.cursor = c.checked_sub(1);
        }
    }
}

/// `wrr`: current dest or head, current weight, maximum weight, step.
struct WeightedRoundRobin {
    current: Option<usize>,
    cw: i64,
    mw: i64,
    di: i64,
}

impl Default for WeightedRoundRobin {
    fn default() -> Self {
        Self {
            current: None,
            cw: 0,
            mw: 0,
            di: 1,
        }
    }
}

impl WeightedRoundRobin {
    fn recompute(&mut self, list: &[Dest]) {
        let gcd = |mut a: i64, mut b: i64| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let weights = || list.iter().map(|d| i64::from(d.weight)).filter(|&w| w > 0);
        self.current = None;
        self.di = weights().fold(0, gcd).max(1);
        self.mw = weights().max().unwrap_or(0) - (self.di - 1);
        if self.cw > self.mw || self.cw == 0 {
            self.cw = self.mw;
        } else if self.di > 1 {
            self.cw = self.cw / self.di * self.di + 1;
        }
    }
}

impl Model for WeightedRoundRobin {
    fn pick(&mut self, list: &[Dest], _: &Flow, _: u32) -> Option<u32> {
        if self.mw == 0 {
            return None;
        }
        let last = self.current;
        let mut from = last.map_or(0, |c| c + 1);
        let (mut stop, mut last_pass, mut restarted) = (None, false, false);
        loop {
            for (i, dest) in list.iter().enumerate().skip(from) {
                if !dest.overloaded && i64::from(dest.weight) >= self.cw {
                    self.current = Some(i);
                    return Some(dest.name);
                }
                if Some(i) == stop {
                    self.current = Some(i);
                    return None;
                }
            }
            from = 0;
            self.cw -= self.di;
            if self.cw <= 0 {
                self.cw = self.mw;
                if last_pass || last.is_none() {
                    self.current = None;
                    return None;
                }
                restarted = true;
            }
            last_pass = self.cw <= self.di;
            if last_pass && restarted && last.is_some() {
                stop = last;
            }
        }
    }

    fn added(&mut self, list: &[Dest]) {
        self.recompute(list);
    }

    fn deleted(&mut self, list: &[Dest], _: usize, _: u32) {
        self.recompute(list);
    }

    fn changed(&mut self, list: &[Dest]) {
        self.recompute(list);
    }
}

/// `dh`: slot `i` of 256 belongs to dest `i` modulo their number.
struct DestinationHashing;

/// Multiplication by 2^32 over the golden ratio, the upper 8 bits.
fn slot(value: u32) -> usize {
    (value.wrapping_mul(0x61c8_8647) >> 24) as usize
}

impl Model for DestinationHashing {
    fn pick(&mut self, list: &[Dest], flow: &Flow, _: u32) -> Option<u32> {
        let index = slot(flow.destination).checked_rem(list.len())?;
        Some(list[index]).filter(is_usable).map(|d| d.name)
    }
}

/// What `sh` and `mh` hash.
fn hashed(flow: &Flow, options: &Options) -> u32 {
    let port = if options.port { flow.sport } else { 0 };
    flow.source.wrapping_add(u32::from(port))
}

/// `sh`: each dest has weight slots of 256, at least one, and again from the first.
struct SourceHashing(Options);

impl Model for SourceHashing {
    fn pick(&mut self, list: &[Dest], flow: &Flow, _: u32) -> Option<u32> {
        if list.is_empty() {
            return None;
        }
        let (mut slots, mut place, mut given) = (vec![], 0, 0);
        while slots.len() < 256 {
            slots.push(list[place]);
            given += 1;
            if given >= list[place].weight {
                (place, given) = ((place + 1) % list.len(), 0);
            }
        }
        let own = slot(hashed(flow, &self.0));
        let mut tries = vec![own];
        if self.0.fallback {
            tries.extend((0..256).map(|offset| ((offset + own) % 256 + own) % 256));
        }
        let found = tries.into_iter().find(|&i| is_usable(&slots[i]));
        found.map(|i| slots[i].name)
    }
}

/// `mh`: the paper's algorithm, with the whole permutations.
struct Maglev(Options);

impl Maglev {
    fn hash(second: bool, value: u32) -> usize {
        let word = if second { 2_654_446_892 } else { 2_654_435_761 };
        word32(&Key::new(word, word), value) as usize
    }

    fn slots(&self, list: &[Dest]) -> Vec<Option<usize>> {
        let size = self.0.mh_size as usize;
        let mut slots = vec![None; size];
        let gcd = |mut a: u32, mut b: u32| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let gcd = list.iter().fold(0, |g, d| gcd(g, d.last_weight));
        if gcd == 0 {
            return slots;
        }
        let most = list.iter().map(|d| d.last_weight).max().unwrap() / gcd;
        // Bits that a turn's length may have, by the table's size.
        let bits = match size {
            251 | 509 => 4,
            1021 | 2039 => 5,
            4093 | 8191 => 6,
            16381 | 32749 => 7,
            _ => 8,
        };
        let shift = (u32::BITS - most.leading_zeros()).saturating_sub(bits);
        let mut orders: Vec<_> = list
            .iter()
            .map(|dest| {
                let id = dest.identity();
                let value = id.address.wrapping_add(u32::from(id.port));
                let start = Self::hash(false, value) % size;
                let step = Self::hash(true, value) % (size - 1) + 1;
                (0..size).map(move |i| (start + i * step) % size)
            })
            .collect();
        while slots.contains(&None) {
            for (index, dest) in list.iter().enumerate() {
                let mut turns = (dest.last_weight / gcd) >> shift;
                if turns == 0 && dest.last_weight > 0 {
                    turns = 1;
                }
                for _ in 0..turns {
                    let free = orders[index].find(|&i| slots[i].is_none());
                    match free {
                        Some(slot) => slots[slot] = Some(index),
                        None => return slots,
                    }
                }
            }
        }
        slots
    }
}

impl Model for Maglev {
    fn pick(&mut self, list: &[Dest], flow: &Flow, _: u32) -> Option<u32> {
        let size = self.0.mh_size as usize;
        let slots = self.slots(list);
        let hashed = hashed(flow, &self.0);
        let own = Self::hash(false, hashed) % size;
        let mut tries = vec![own];
        if self.0.fallback {
            let again = |offset: usize| {
                let offset = ((offset + own) % size) as u32;
                Self::hash(false, hashed.wrapping_add(offset)) % size
            };
            tries.extend((0..32).map(again));
        }
        let found = tries.into_iter().map(|i| slots[i]);
        let found = found.flatten().find(|&i| is_usable(&list[i]));
        let found = found.or_else(|| {
            let have_weight: Vec<usize> = (0..list.len()).filter(|&i| list[i].weight > 0).collect();
            slots[own].filter(|_| self.0.fallback)?;
            let start = Self::hash(true, hashed).checked_rem(have_weight.len())?;
            let mut candidates = (0..have_weight.len()).map(|i| (start + i) % have_weight.len());
            let place = candidates.find(|&i| is_usable(&list[have_weight[i]]))?;
            Some(have_weight[place])
        });
        found.map(|i| list[i].name)
    }
}

/// Seconds that `lblc` and `lblcr` remember.
const DAY: u32 = 24 * 60 * 60;

fn is_too_busy(dest: &Dest, list: &[Dest]) -> bool {
    dest.active > dest.weight
        && list
            .iter()
            .any(|d| u64::from(d.active) * 2 < u64::from(d.weight))
}

/// `lblc`: by destination address the dest's name and the second of last use.
#[derive(Default)]
struct Locality(HashMap<u32, (u32, u32)>);

impl Model for Locality {
    fn pick(&mut self, list: &[Dest], flow: &Flow, now: u32) -> Option<u32> {
        let key = flow.destination;
        self.0.retain(|_, (_, used)| now - *used < DAY);
        if let Some((name, used)) = self.0.get_mut(&key) {
            *used = now;
            let dest = list.iter().find(|d| d.name == *name);
            if let Some(dest) = dest.filter(|d| is_usable(d) && !is_too_busy(d, list)) {
                return Some(dest.name);
            }
        }
        let name = wlc(list)?.name;
        self.0.insert(key, (name, now));
        Some(name)
    }

    fn deleted(&mut self, _: &[Dest], _: usize, name: u32) {
        self.0.retain(|_, (n, _)| *n != name);
    }
}

/// `lblcr`: by destination address names (the last that joined first), second of the last change,
/// second of last use.
#[derive(Default)]
struct Replicated(HashMap<u32, (Vec<u32>, u32, u32)>);

impl Model for Replicated {
    fn pick(&mut self, list: &[Dest], flow: &Flow, now: u32) -> Option<u32> {
        let key = flow.destination;
        self.0.retain(|_, (_, _, used)| now - *used < DAY);
        let Some((names, changed, used)) = self.0.get_mut(&key) else {
            let name = wlc(list)?.name;
            self.0.insert(key, (vec![name], now, now));
            return Some(name);
        };
        *used = now;
        let members = |names: &[u32]| -> Vec<Dest> {
            let member = |name: &u32| list.iter().find(|d| d.name == *name).copied();
            names.iter().filter_map(member).collect()
        };
        let most_loaded = |names: &[u32]| {
            let mut most: Option<Dest> = None;
            for dest in members(names).into_iter().filter(|d| d.weight > 0) {
                let more = |m: Dest| {
                    m.overhead() * u128::from(dest.weight) < dest.overhead() * u128::from(m.weight)
                };
                if most.is_none_or(more) {
                    most = Some(dest);
                }
            }
            most.map(|d| d.name)
        };
        let chosen = wlc(&members(names));
        if names.len() > 1 && now - *changed > DAY {
            if let Some(most) = most_loaded(names) {
                names.retain(|&n| n != most);
                *changed = now;
            }
        }
        if let Some(dest) = chosen.filter(|d| !is_too_busy(d, list)) {
            return Some(dest.name);
        }
        let name = wlc(list)?.name;
        if !names.contains(&name) {
            if names.len() == 16 {
                let leaving = most_loaded(names).unwrap_or(names[15]);
                names.retain(|&n| n != leaving);
            }
            names.insert(0, name);
            *changed = now;
        }
        Some(name)
    }

    fn deleted(&mut self, _: &[Dest], _: usize, name: u32) {
        for (names, ..) in self.0.values_mut() {
            names.retain(|&n| n != name);
        }
    }
}

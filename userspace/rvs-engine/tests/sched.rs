// SPDX-License-Identifier: GPL-2.0

//! Schedulers against plain models of `ip_vs`'s rules: same changes, same picks.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use rvs_engine::sched::{by_name, Dests, Flow, Scheduler, View, GONE, NAMES, STATE_WORDS};
use rvs_engine::tuple::TupleV4;

/// A dest by name, so that it is known again after a change.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dest {
    name: u32,
    weight: u32,
    overloaded: bool,
}

fn flow() -> Flow {
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    Flow {
        tuple: TupleV4::new(any, any, 6),
    }
}

/// What the kernel's side keeps for one service.
struct Service {
    scheduler: &'static dyn Scheduler,
    dests: Vec<Dest>,
    weights: Vec<u32>,
    table: Vec<u32>,
    state: [AtomicU64; STATE_WORDS],
    thresholds: bool,
}

impl Dests for Service {
    fn active(&self, _: u32) -> u32 {
        0
    }
    fn inactive(&self, _: u32) -> u32 {
        0
    }
    fn is_overloaded(&self, index: u32) -> bool {
        self.dests[index as usize].overloaded
    }
}

impl Service {
    fn new(name: &str, dests: Vec<Dest>) -> Self {
        let scheduler = by_name(name).unwrap();
        let weights: Vec<u32> = dests.iter().map(|d| d.weight).collect();
        let mut table = vec![0xdead_beef; scheduler.table_len(dests.len())];
        scheduler.build(&weights, &mut table);
        Self {
            scheduler,
            dests,
            weights,
            table,
            state: Default::default(),
            thresholds: true,
        }
    }

    fn weighted(name: &str, weights: &[u32]) -> Self {
        let dests = weights.iter().zip(0..).map(|(&weight, name)| Dest {
            name,
            weight,
            overloaded: false,
        });
        let mut service = Self::new(name, dests.collect());
        service.thresholds = false;
        service
    }

    fn view(&self) -> View<'_> {
        View {
            weights: &self.weights,
            table: &self.table,
            state: &self.state,
            dests: self,
            thresholds: self.thresholds,
        }
    }

    fn pick(&self) -> Option<u32> {
        let index = self.scheduler.pick(&self.view(), &flow())?;
        let dest = self.dests[index as usize];
        assert!(dest.weight > 0 && !(dest.overloaded && self.thresholds));
        Some(dest.name)
    }

    fn picks(&self, count: usize) -> Vec<Option<u32>> {
        (0..count).map(|_| self.pick()).collect()
    }

    /// Goes on with other dests.
    fn change(&mut self, dests: Vec<Dest>) {
        let new = Self::new(self.scheduler.name(), dests);
        let index = |dest: &Dest| new.dests.iter().position(|d| d.name == dest.name);
        let map: Vec<u32> = self
            .dests
            .iter()
            .map(|dest| index(dest).map_or(GONE, |i| i as u32))
            .collect();
        self.scheduler.carry(&self.view(), &map, &new.view());
        *self = Self {
            thresholds: self.thresholds,
            ..new
        };
    }
}

/// The rule, step by step, over a list.
trait Model {
    fn pick(&mut self, list: &[Dest]) -> Option<u32>;
    /// One dest was added at the head.
    fn added(&mut self, list: &[Dest]);
    /// The dest that was at this index is gone.
    fn deleted(&mut self, list: &[Dest], index: usize);
    /// A dest's weight was set.
    fn changed(&mut self, list: &[Dest]);
}

/// `rr`: a cursor on the dest picked last, or on the head of the list.
#[derive(Default)]
struct RoundRobin {
    cursor: Option<usize>,
}

impl Model for RoundRobin {
    fn pick(&mut self, list: &[Dest]) -> Option<u32> {
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

    fn deleted(&mut self, _: &[Dest], index: usize) {
        // The one before takes over from a dest that goes.
        if let Some(c) = self.cursor.filter(|&c| c >= index) {
            self.cursor = c.checked_sub(1);
        }
    }

    fn changed(&mut self, _: &[Dest]) {}
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
    fn pick(&mut self, list: &[Dest]) -> Option<u32> {
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

    fn deleted(&mut self, list: &[Dest], _: usize) {
        self.recompute(list);
    }

    fn changed(&mut self, list: &[Dest]) {
        self.recompute(list);
    }
}

fn model(name: &str) -> Box<dyn Model> {
    match name {
        "rr" => Box::<RoundRobin>::default(),
        _ => Box::<WeightedRoundRobin>::default(),
    }
}

/// Something that happens to a service.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pick(usize),
    Add(u32),
    Delete(usize),
    Weight(usize, u32),
    Overload(usize, bool),
    OverloadAll(bool),
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        2 => Just(0),
        4 => 1..=6u32,
        2 => (1..=8u32).prop_map(|w| w * 4),
        1 => (1..=3u32).prop_map(|w| w * 100),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..32usize;
    prop_oneof![
        6 => (1..40usize).prop_map(Step::Pick),
        4 => weight().prop_map(Step::Add),
        2 => which.clone().prop_map(Step::Delete),
        2 => (which.clone(), weight()).prop_map(|(i, w)| Step::Weight(i, w)),
        2 => (which, any::<bool>()).prop_map(|(i, on)| Step::Overload(i, on)),
        2 => any::<bool>().prop_map(Step::OverloadAll),
    ]
}

fn same_as_model(name: &str, steps: &[Step]) {
    let mut service = Service::new(name, vec![]);
    let mut model = model(name);
    let mut list: Vec<Dest> = vec![];
    for (number, &step) in steps.iter().enumerate() {
        match step {
            Step::Pick(count) => {
                for _ in 0..count {
                    assert_eq!(service.pick(), model.pick(&list), "{list:?}");
                }
            }
            Step::Add(weight) => {
                let dest = Dest {
                    name: number as u32,
                    weight,
                    overloaded: false,
                };
                list.insert(0, dest);
                model.added(&list);
                service.change(list.clone());
            }
            Step::Delete(i) if i < list.len() => {
                list.remove(i);
                model.deleted(&list, i);
                service.change(list.clone());
            }
            Step::Weight(i, weight) if i < list.len() => {
                list[i].weight = weight;
                model.changed(&list);
                service.change(list.clone());
            }
            Step::Overload(i, on) if i < list.len() => {
                list[i].overloaded = on;
                service.dests[i].overloaded = on;
            }
            Step::OverloadAll(on) => {
                list.iter_mut().for_each(|dest| dest.overloaded = on);
                service.dests.clone_from(&list);
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3000, ..Default::default() })]

    #[test]
    fn rr_goes_on_as_ip_vs_through_any_changes(steps in prop::collection::vec(step(), 1..60)) {
        same_as_model("rr", &steps);
    }

    #[test]
    fn wrr_goes_on_as_ip_vs_through_any_changes(steps in prop::collection::vec(step(), 1..60)) {
        same_as_model("wrr", &steps);
    }

    #[test]
    fn a_wrr_cycle_picks_each_dest_weight_over_gcd_times(
        weights in prop::collection::vec(0..40u32, 1..40),
        factor in 1..1600u32,
        offset in 0..100usize,
    ) {
        let scaled: Vec<u32> = weights.iter().map(|w| w * factor).collect();
        let service = Service::weighted("wrr", &scaled);
        let gcd = weights.iter().copied().fold(0, |mut a, mut b| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        });
        prop_assume!(gcd > 0);
        // A cycle may start anywhere.
        service.picks(offset);
        let cycle: u32 = weights.iter().map(|w| w / gcd).sum();
        let mut counts = vec![0; weights.len()];
        for _ in 0..cycle {
            counts[service.pick().unwrap() as usize] += 1;
        }
        let expected: Vec<u32> = weights.iter().map(|w| w / gcd).collect();
        prop_assert_eq!(counts, expected);
    }
}

#[test]
fn no_usable_dest_is_no_pick() {
    for name in NAMES {
        for weights in [&[] as &[u32], &[0], &[0; 100], &[0; 1000]] {
            let service = Service::weighted(name, weights);
            assert_eq!(service.picks(3), [None, None, None], "{name}");
        }
        let mut service = Service::weighted(name, &[3, 1, 2]);
        service.thresholds = true;
        service.dests.iter_mut().for_each(|d| d.overloaded = true);
        assert_eq!(service.picks(3), [None, None, None], "{name}");
    }
}

#[test]
fn one_dest_takes_all() {
    for name in NAMES {
        for weight in [1, 2, 65_535, u32::MAX] {
            let service = Service::weighted(name, &[weight]);
            assert_eq!(service.picks(3), [Some(0); 3], "{name} {weight}");
        }
    }
}

#[test]
fn rr_steps_over_dests_without_weight() {
    let service = Service::weighted("rr", &[0, 1, 0, 0, 7, 0]);
    assert_eq!(service.picks(4), [Some(1), Some(4), Some(1), Some(4)]);
}

#[test]
fn wrr_goes_down_the_levels() {
    let service = Service::weighted("wrr", &[4, 3, 2]);
    let picks: Vec<_> = service.picks(18).into_iter().flatten().collect();
    let cycle = [0, 0, 1, 0, 1, 2, 0, 1, 2];
    assert_eq!(picks, [cycle, cycle].concat());
}

#[test]
fn removing_the_dest_under_the_rr_cursor_neither_skips_nor_repeats() {
    for picked in 0..5 {
        let mut service = Service::weighted("rr", &[1; 5]);
        service.picks(picked + 1);
        let mut rest = service.dests.clone();
        rest.remove(picked);
        service.change(rest);
        let expected: Vec<_> = (1..5).map(|i| Some(((picked + i) % 5) as u32)).collect();
        assert_eq!(service.picks(4), expected);
    }
}

#[test]
fn removing_all_but_one_at_once_goes_on_from_the_one_before() {
    let mut service = Service::weighted("rr", &[1; 6]);
    service.picks(4);
    let rest = [0, 5].map(|i| service.dests[i]).to_vec();
    service.change(rest);
    assert_eq!(service.picks(3), [Some(5), Some(0), Some(5)]);
}

#[test]
fn ten_thousand_dests_of_any_weight_are_as_the_model_has_them() {
    let mut seed = 1u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as u32
    };
    let dests: Vec<Dest> = (0..10_000)
        .map(|name| Dest {
            name,
            // Few heavy ones, so that most rounds pick from far apart.
            weight: if name % 97 == 0 {
                random() % 65_536
            } else {
                random() % 50
            },
            overloaded: false,
        })
        .collect();
    for name in NAMES {
        let service = Service::new(name, dests.clone());
        let mut model = model(name);
        model.changed(&dests);
        for _ in 0..20_000 {
            assert_eq!(service.pick(), model.pick(&dests), "{name}");
        }
    }
}

#[test]
fn heavy_dests_that_are_overloaded_do_not_stall_wrr() {
    let mut service = Service::weighted("wrr", &[65_535; 10_000]);
    service.thresholds = true;
    service.dests.iter_mut().for_each(|d| d.overloaded = true);
    service.weights[9_999] = 1;
    service.dests[9_999].overloaded = false;
    service.dests[9_999].weight = 1;
    let dests = service.dests.clone();
    service.change(dests);
    assert_eq!(service.picks(50), [Some(9_999); 50]);
}

#[test]
fn picks_from_many_cpus_are_exact_in_total() {
    let weights = [5, 0, 1, 3, 10, 1];
    for (name, cycle, each) in [
        ("rr", 5, vec![1, 0, 1, 1, 1, 1]),
        ("wrr", 20, weights.to_vec()),
    ] {
        let service = Service::weighted(name, &weights);
        let (threads, cycles) = (4, 5_000);
        let mut total: HashMap<u32, u32> = HashMap::new();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let view = View {
                            weights: &service.weights,
                            table: &service.table,
                            state: &service.state,
                            dests: &NoLoad,
                            thresholds: false,
                        };
                        let mut counts = HashMap::new();
                        for _ in 0..cycle * cycles {
                            let index = service.scheduler.pick(&view, &flow()).unwrap();
                            *counts.entry(index).or_insert(0) += 1;
                        }
                        counts
                    })
                })
                .collect();
            for worker in workers {
                for (index, count) in worker.join().unwrap() {
                    *total.entry(index).or_insert(0) += count;
                }
            }
        });
        for (index, &each) in each.iter().enumerate() {
            let count = total.get(&(index as u32)).copied().unwrap_or(0);
            assert_eq!(count, each * threads * cycles, "{name} {index}");
        }
    }
}

#[test]
fn state_that_makes_no_sense_is_survived() {
    for name in NAMES {
        let service = Service::weighted(name, &[1, 2, 3]);
        for word in [u64::MAX, u64::from(u32::MAX), 3 << 32 | 7, 99 << 32] {
            service.state[0].store(word, Ordering::Relaxed);
            service.pick();
            service.picks(10);
        }
    }
}

struct NoLoad;

impl Dests for NoLoad {
    fn active(&self, _: u32) -> u32 {
        0
    }
    fn inactive(&self, _: u32) -> u32 {
        0
    }
    fn is_overloaded(&self, _: u32) -> bool {
        false
    }
}

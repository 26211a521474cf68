// SPDX-License-Identifier: GPL-2.0

//! Schedulers against plain models of `ip_vs`'s rules: same changes, same picks; and what must hold
//! of all of them.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod commands;
mod hashing;
mod models;
mod rounds;
mod service;
mod threads;

use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;
use rvs_engine::sched::{Flow, Options, NAMES};

use models::model;
use service::{flow, small, weighted, Dest, Random, Service};

/// Something that happens to a service.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// New flows, each counted or not.
    Pick(usize),
    Add(u32),
    Delete(usize),
    Weight(usize, u32),
    Overload(usize, bool),
    OverloadAll(bool),
    Counts(usize, u32, u32),
    /// Seconds go by.
    Wait(u32),
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        2 => Just(0),
        4 => 1..=6u32,
        2 => (1..=8u32).prop_map(|w| w * 4),
        1 => (1..=3u32).prop_map(|w| w * 100),
        1 => Just(65_535),
    ]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..8u32, 2 => 0..400u32, 1 => any::<u32>()]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..32usize;
    prop_oneof![
        6 => (1..40usize).prop_map(Step::Pick),
        4 => weight().prop_map(Step::Add),
        2 => which.clone().prop_map(Step::Delete),
        2 => (which.clone(), weight()).prop_map(|(i, w)| Step::Weight(i, w)),
        2 => (which.clone(), any::<bool>()).prop_map(|(i, on)| Step::Overload(i, on)),
        1 => any::<bool>().prop_map(Step::OverloadAll),
        4 => (which, count(), count()).prop_map(|(i, a, n)| Step::Counts(i, a, n)),
        2 => (0..50_000u32).prop_map(Step::Wait),
    ]
}

/// Takes a service and its model through the same steps.
fn same_as_model(name: &str, options: Options, steps: &[Step]) {
    let mut service = Service::with(name, vec![], options, true);
    let mut model = model(name, options);
    let (mut flows, mut now) = (0, 0);
    for (number, &step) in steps.iter().enumerate() {
        let mut list = service.dests.clone();
        match step {
            Step::Pick(count) => {
                for _ in 0..count {
                    flows += 1;
                    let flow = flow(flows);
                    let picked = service.pick_for(&flow);
                    let expected = model.pick(&service.dests, &flow, now);
                    assert_eq!(picked, expected, "{name} {:?}", service.dests);
                    let index = service.dests.iter().position(|d| Some(d.name) == picked);
                    if let Some(index) = index {
                        let Dest {
                            active, inactive, ..
                        } = service.dests[index];
                        match flows % 3 {
                            0 => service.set_counts(index, active.saturating_add(1), inactive),
                            1 => service.set_counts(index, active, inactive.saturating_add(1)),
                            _ => {}
                        }
                    }
                }
            }
            Step::Add(weight) => {
                list.insert(0, Dest::new(number as u32, weight));
                model.added(&list);
                service.change(list);
            }
            Step::Delete(i) if i < list.len() => {
                let gone = list.remove(i);
                model.deleted(&list, i, gone.name);
                service.change(list);
            }
            Step::Weight(i, weight) if i < list.len() => {
                list[i].set_weight(weight);
                model.changed(&list);
                service.change(list);
            }
            Step::Overload(i, on) if i < list.len() => service.set_overloaded(i, on),
            Step::OverloadAll(on) => service.overload_all(on),
            Step::Counts(i, active, inactive) if i < list.len() => {
                service.set_counts(i, active, inactive);
            }
            Step::Wait(seconds) => {
                now += seconds;
                service.seconds.store(now, Relaxed);
            }
            _ => {}
        }
    }
}

macro_rules! same_as_model {
    ($($test:ident: $name:literal, $cases:literal;)*) => {
        $(proptest! {
            #![proptest_config(ProptestConfig {
                failure_persistence: None, cases: $cases, ..Default::default()
            })]
            #[test]
            fn $test(
                steps in prop::collection::vec(step(), 1..60),
                fallback in any::<bool>(),
                port in any::<bool>(),
            ) {
                same_as_model($name, Options { fallback, port, ..small() }, &steps);
            }
        })*
    };
}

same_as_model! {
    rr_goes_on_as_ip_vs_through_any_changes: "rr", 2000;
    wrr_goes_on_as_ip_vs_through_any_changes: "wrr", 2000;
    lc_is_the_rule_through_any_changes: "lc", 1000;
    wlc_is_the_rule_through_any_changes: "wlc", 1000;
    sed_is_the_rule_through_any_changes: "sed", 1000;
    nq_is_the_rule_through_any_changes: "nq", 1000;
    fo_is_the_rule_through_any_changes: "fo", 1000;
    ovf_is_the_rule_through_any_changes: "ovf", 1000;
    dh_is_the_rule_through_any_changes: "dh", 500;
    sh_is_the_rule_through_any_changes: "sh", 500;
    mh_is_the_rule_through_any_changes: "mh", 60;
    lblc_is_the_rule_through_any_changes: "lblc", 1000;
    lblcr_is_the_rule_through_any_changes: "lblcr", 1000;
}

/// Whether the rule finds a usable dest whenever there is one.
fn finds_any(name: &str, options: &Options, weights: &[u32]) -> bool {
    match name {
        "dh" | "ovf" => false,
        // Dests without a slot of the 256 get nothing.
        "sh" => options.fallback && weights.iter().map(|&w| w.max(1)).sum::<u32>() <= 256,
        "mh" => options.fallback,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..Default::default() })]

    #[test]
    fn twos_finds_a_usable_dest_through_any_changes(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut service = Service::with("twos", vec![], small(), true);
        for (number, &step) in steps.iter().enumerate() {
            let mut list = service.dests.clone();
            match step {
                Step::Add(weight) => {
                    list.insert(0, Dest::new(number as u32, weight));
                    service.change(list);
                }
                Step::Delete(i) if i < list.len() => {
                    list.remove(i);
                    service.change(list);
                }
                Step::Overload(i, on) if i < list.len() => service.set_overloaded(i, on),
                Step::OverloadAll(on) => service.overload_all(on),
                Step::Counts(i, active, inactive) if i < list.len() => {
                    service.set_counts(i, active, inactive);
                }
                _ => {}
            }
            let usable = service.dests.iter().any(|d| d.weight > 0 && !d.overloaded);
            for _ in 0..20 {
                prop_assert_eq!(service.pick().is_some(), usable);
            }
        }
    }

    #[test]
    fn a_usable_dest_is_found_and_no_other(
        weights in prop::collection::vec(weight(), 1..60),
        overloaded in any::<u64>(),
        fallback in any::<bool>(),
    ) {
        let options = Options { fallback, ..small() };
        let mut dests = weighted(&weights);
        for (i, dest) in dests.iter_mut().enumerate() {
            dest.overloaded = (overloaded >> i) & 1 == 1;
            dest.last_weight = dest.weight.max(1);
        }
        let usable = dests.iter().any(|d| d.weight > 0 && !d.overloaded);
        for name in NAMES {
            let service = Service::with(name, dests.clone(), options, true);
            for number in 0..40 {
                let picked = service.pick_for(&flow(number));
                if finds_any(name, &options, &weights) {
                    prop_assert_eq!(picked.is_some(), usable, "{} {:?}", name, dests);
                }
            }
        }
    }
}

#[test]
fn no_usable_dest_is_no_pick() {
    for name in NAMES {
        for fallback in [false, true] {
            let options = Options {
                fallback,
                ..small()
            };
            for weights in [&[] as &[u32], &[0], &[0; 100], &[0; 1000]] {
                let service = Service::with(name, weighted(weights), options, false);
                assert_eq!(service.picks(3), [None, None, None], "{name}");
            }
            let mut service = Service::with(name, weighted(&[3, 1, 2]), options, true);
            service.overload_all(true);
            assert_eq!(service.picks(3), [None, None, None], "{name}");
        }
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
fn ten_thousand_dests_of_any_weight_are_as_the_model_has_them() {
    let mut random = Random(1);
    let dests: Vec<Dest> = (0..10_000)
        .map(|name| {
            // Few heavy ones, so that most rounds pick from far apart.
            let heavy = name % 97 == 0;
            let weight = random.below(if heavy { 65_536 } else { 50 });
            let mut dest = Dest::new(name, weight);
            dest.active = random.below(1000) * weight / 64;
            dest.inactive = random.below(100_000);
            dest
        })
        .collect();
    let options = Options {
        mh_size: 65_521,
        ..small()
    };
    for name in NAMES
        .into_iter()
        .filter(|&name| name != "twos" && name != "mh")
    {
        let mut service = Service::with(name, dests.clone(), options, false);
        let mut model = model(name, options);
        model.changed(&dests);
        let picks = if matches!(name, "rr" | "wrr") {
            20_000
        } else {
            500
        };
        for number in 0..picks {
            let flow = flow(number);
            let picked = service.pick_for(&flow);
            assert_eq!(picked, model.pick(&service.dests, &flow, 0), "{name}");
            if let (Some(index), true) = (picked, service.scheduler.follows_counts()) {
                let dest = service.dests[index as usize];
                service.set_counts(index as usize, dest.active + 1 + number % 7, dest.inactive);
            }
        }
    }
}

#[test]
fn counts_at_their_limits_are_ordered_rightly() {
    for name in ["lc", "wlc", "sed", "nq", "lblc", "lblcr"] {
        let mut service = Service::weighted(name, &[1000, 1, 1000]);
        service.set_counts(0, u32::MAX, u32::MAX);
        service.set_counts(1, u32::MAX, u32::MAX);
        service.set_counts(2, u32::MAX - 1, u32::MAX);
        let picked = service.pick().unwrap();
        assert_eq!(picked, 2, "{name}");
    }
}

#[test]
fn state_that_makes_no_sense_is_survived() {
    for name in NAMES {
        let mut service = Service::weighted(name, &[1, 2, 3]);
        for word in [
            u64::MAX,
            u64::from(u32::MAX),
            (3 << 32) | 7,
            99 << 32,
            5,
            1 << 41,
        ] {
            for at in 0..service.state.len() {
                service.state[at].store(word, Relaxed);
                service.pick();
                service.picks(10);
                service.set_counts(at % 3, 7, 7);
            }
        }
        // Less memory than it asked for.
        let mut short = Service::weighted(name, &[1, 2, 3]);
        while short.state.pop().is_some() {
            short.pick();
            short.set_counts(0, 1, 1);
        }
    }
}

/// Flows of equal length: every dest has its share at any time.
#[test]
fn shares_follow_weights() {
    let weights = [5, 0, 1, 3, 10, 1];
    for name in ["wrr", "wlc", "sed", "twos", "lblcr"] {
        let mut service = Service::weighted(name, &weights);
        service.options.expiration = u32::MAX;
        for number in 0..2_000 {
            let index = service.pick_for(&flow(number)).unwrap() as usize;
            let dest = service.dests[index];
            service.set_counts(index, dest.active + 1, dest.inactive);
        }
        for dest in &service.dests {
            let fair = f64::from(dest.weight) / 20.0 * 2_000.0;
            let off = (f64::from(dest.active) - fair).abs();
            let most = match name {
                "twos" => fair * 0.1 + 12.0,
                // Addresses stay where they are until somebody has half his weight.
                "lblcr" => 2_000.0,
                _ => 2.0,
            };
            assert!(off <= most, "{name}: {dest:?} should have {fair}");
        }
    }
}

#[test]
fn a_busy_addresss_set_grows_and_shrinks_again() {
    let mut service = Service::weighted("lblcr", &[4; 20]);
    let to = flow(1);
    let mut used = vec![];
    for _ in 0..60 {
        let index = service.pick_for(&to).unwrap();
        used.push(index);
        let dest = service.dests[index as usize];
        service.set_counts(index as usize, dest.active + 1, 0);
    }
    // Five connections each and then the next one.
    used.dedup();
    assert_eq!(used, (0..12).collect::<Vec<_>>());
    (0..20).for_each(|index| service.set_counts(index, 1, 0));
    let expiration = service.options.expiration;
    for day in 1..40u32 {
        // Used half a day ago, so not forgotten, but not changed for more than a day now and then.
        service.seconds.store(day * (expiration / 2 + 1), Relaxed);
        service.pick_for(&to);
    }
    let left: Vec<u32> = (0..20)
        .filter(|&index| {
            (0..20).for_each(|i| service.set_counts(i, 3, 0));
            service.set_counts(index as usize, 0, 0);
            service.pick_for(&to) == Some(index)
        })
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn as_many_addresses_are_remembered_as_asked_for() {
    for addresses in [1u32, 3, 8, 9, 100, 16 * 1024] {
        let options = Options {
            addresses,
            ..small()
        };
        for name in ["lblc", "lblcr"] {
            let mut service = Service::with(name, weighted(&[1; 50]), options, false);
            let to = |number: u32| {
                let client = "198.51.100.0:1024".parse().unwrap();
                let address = std::net::Ipv4Addr::from(0x0a00_0000 + number * 7);
                Flow::of(&rvs_engine::tuple::TupleV4::new(
                    client,
                    std::net::SocketAddrV4::new(address, 80),
                    6,
                ))
            };
            let mut homes = vec![];
            for number in 0..addresses {
                let index = service.pick_for(&to(number)).unwrap() as usize;
                homes.push(index as u32);
                let dest = service.dests[index];
                service.set_counts(index, 0, dest.inactive + 1);
            }
            // A change of dests keeps them.
            service.change(service.dests.clone());
            let stayed = (0..addresses).zip(&homes);
            let stayed = stayed.filter(|&(number, &home)| {
                let index = service.pick_for(&to(number)).unwrap();
                index == home
            });
            let (stayed, all) = (stayed.count(), addresses as usize);
            assert!(stayed >= all * 99 / 100, "{name} {addresses}: {stayed}");
        }
    }
}

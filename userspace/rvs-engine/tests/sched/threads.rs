// SPDX-License-Identifier: GPL-2.0

//! Picks and changes from several CPUs at once.

use std::collections::HashMap;
use std::thread;

use rvs_engine::sched::NAMES;

use crate::service::{flow, small, weighted, Random, Service};

const THREADS: u32 = 4;

#[test]
fn picks_from_many_cpus_are_exact_in_total() {
    let weights = [5, 0, 1, 3, 10, 1];
    for (name, cycle, each) in [
        ("rr", 5, vec![1, 0, 1, 1, 1, 1]),
        ("wrr", 20, weights.to_vec()),
    ] {
        let service = Service::weighted(name, &weights);
        let cycles = 5_000;
        let mut total: HashMap<u32, u32> = HashMap::new();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut counts = HashMap::new();
                        for _ in 0..cycle * cycles {
                            let index = service.pick_index(&flow(0)).unwrap();
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
            assert_eq!(count, each * THREADS * cycles, "{name} {index}");
        }
    }
}

/// A service whose counts several CPUs change while they pick.
fn hammer(name: &str, dests: usize, rounds: u32) -> Service {
    let weights: Vec<u32> = (0..dests as u32).map(|i| i * 7 % 5 + 1).collect();
    let service = Service::with(name, weighted(&weights), small(), false);
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let service = &service;
            scope.spawn(move || {
                let mut random = Random(u64::from(worker) + 1);
                let mut open = vec![];
                for number in 0..rounds {
                    if let Some(index) = service.pick_index(&flow(number)) {
                        let active = random.below(2) == 0;
                        service.count(index, active, 1);
                        open.push((index, active));
                    }
                    if random.below(3) > 0 && !open.is_empty() {
                        let which = random.below(open.len() as u32) as usize;
                        let (index, active) = open.swap_remove(which);
                        service.count(index, active, -1);
                    }
                }
            });
        }
    });
    service
}

#[test]
fn after_changes_from_many_cpus_the_choice_is_exact() {
    for name in NAMES {
        for dests in [1, 2, 3, 7, 64, 1000] {
            for _ in 0..3 {
                let service = hammer(name, dests, 4_000);
                if !service.scheduler.follows_counts() {
                    continue;
                }
                // What a service with these counts from the start would do.
                let mut dests = service.dests.clone();
                for (dest, (active, inactive)) in dests.iter_mut().zip(service.counts()) {
                    (dest.active, dest.inactive) = (active, inactive);
                }
                let fresh = Service::with(name, dests, small(), false);
                let kept = match name {
                    "lblc" => fresh.state.len() - 150 * 3,
                    "lblcr" => fresh.state.len() - 150 * 12,
                    _ => fresh.state.len(),
                };
                // Without the counts of changes; keys have none, but are no larger here.
                let value = |service: &Service, at: usize| {
                    let word = service.state[at].load(std::sync::atomic::Ordering::SeqCst);
                    word & ((1 << 42) - 1)
                };
                for at in 0..kept {
                    assert_eq!(value(&service, at), value(&fresh, at), "{name} word {at}");
                }
            }
        }
    }
}

#[test]
fn loads_stay_even_while_many_cpus_pick() {
    for name in ["lc", "wlc", "sed", "nq"] {
        let service = Service::weighted(name, &[1; 16]);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for number in 0..8_000 {
                        let index = service.pick_index(&flow(number)).unwrap();
                        service.count(index, true, 1);
                    }
                });
            }
        });
        let active: Vec<u32> = service.counts().iter().map(|&(active, _)| active).collect();
        let (least, most) = (active.iter().min().unwrap(), active.iter().max().unwrap());
        // A CPU that was interrupted between its pick and its count may be late by one each time.
        assert!(most - least <= 2 * THREADS, "{name}: {active:?}");
    }
}

#[test]
fn ends_meet_when_a_dest_changes_on_every_cpu() {
    let service = Service::weighted("wlc", &[3, 3]);
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let service = &service;
            scope.spawn(move || {
                for _ in 0..50_000 {
                    service.count(worker % 2, true, 1);
                    service.count(worker % 2, true, -1);
                }
            });
        }
    });
    assert_eq!(service.pick(), Some(0));
    service.count(0, true, 1);
    assert_eq!(service.pick(), Some(1));
}

// SPDX-License-Identifier: GPL-2.0

//! What one packet or one new flow costs in the engine, on this machine: `cargo bench -p rvs-engine`.
//!
//! Criterion compares with the run before: `make bench-engine`. Other load on the machine counts; the
//! figures that decide are those of `make bench`.

// The function that criterion_group! makes has none.
#![allow(missing_docs)]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use rvs_engine::family::V4;
use rvs_engine::hash::{tuple_v4, Key};
use rvs_engine::proto::{tcp, State};
use rvs_engine::sched::{by_name, Flow, Identity, Live, Options, Plan, Scheduler, View, NAMES};
use rvs_engine::tuple::TupleV4;
use rvs_engine::wire::{Packet, TcpFlags};

/// An ACK of 40 bytes.
const PACKET: [u8; 40] = [
    0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 198, 51, 100, 7, 203, 0, 113, 10, 0x9c, 0x40,
    1, 0xbb, 0, 0, 3, 0xe8, 0, 0, 0, 77, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0,
];

/// A service of dests that get connections.
struct Service {
    scheduler: &'static dyn Scheduler,
    weights: Vec<u32>,
    table: Vec<u32>,
    state: Vec<AtomicU64>,
    active: Vec<AtomicU32>,
    seed: AtomicU64,
}

impl Live for Service {
    fn active(&self, index: u32) -> u32 {
        let count = self.active.get(index as usize);
        count.map_or(0, |count| count.load(Relaxed))
    }
    fn inactive(&self, _: u32) -> u32 {
        0
    }
    fn is_overloaded(&self, _: u32) -> bool {
        false
    }
    fn now(&self) -> u32 {
        0
    }
    fn random(&self) -> u64 {
        let step = self.seed.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.seed.store(step, Relaxed);
        step.wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

/// As in the kernel: a service has one address.
const OPTIONS: Options = Options {
    addresses: 1,
    ..Options::DEFAULT
};

impl Service {
    fn new(scheduler: &'static dyn Scheduler, dests: u32) -> Self {
        let weights: Vec<u32> = (0..dests).map(|i| i * 7_919 % 100 + 1).collect();
        let identities: Vec<Identity> = weights
            .iter()
            .zip(0..)
            .map(|(&last_weight, address)| Identity {
                address,
                port: 80,
                last_weight,
            })
            .collect();
        let needs = scheduler.needs(weights.len(), &OPTIONS);
        let (mut table, mut scratch) = (vec![0; needs.table], vec![0; needs.scratch]);
        let plan = Plan {
            weights: &weights,
            identities: &identities,
            options: &OPTIONS,
        };
        scheduler.build(&plan, &mut table, &mut scratch);
        let service = Self {
            scheduler,
            table,
            state: (0..needs.state).map(|_| AtomicU64::new(0)).collect(),
            active: weights.iter().map(|_| AtomicU32::new(0)).collect(),
            weights,
            seed: AtomicU64::new(0),
        };
        scheduler.start(&service.view());
        service
    }

    fn view(&self) -> View<'_> {
        View {
            weights: &self.weights,
            table: &self.table,
            state: &self.state,
            live: self,
            options: &OPTIONS,
            thresholds: false,
        }
    }

    /// What a new flow asks of the scheduler: a pick, and a connection that begins.
    fn new_flow(&self, flow: &Flow) {
        let view = black_box(self.view());
        let Some(index) = self.scheduler.pick(&view, flow) else {
            return;
        };
        if let Some(active) = self.active.get(index as usize) {
            active.fetch_add(1, Relaxed);
        }
        if self.scheduler.follows_counts() {
            self.scheduler.changed(&view, index);
        }
    }
}

/// The steps of an established packet.
fn packet(criterion: &mut Criterion) {
    let client = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 40_000);
    let virtual_address = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 443);
    let tuple = TupleV4::new(client, virtual_address, 6);
    let key = Key::new(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);

    criterion.bench_function("parse", |bench| {
        bench.iter(|| Packet::<V4>::parse(black_box(&PACKET), PACKET.len()));
    });
    criterion.bench_function("hash", |bench| {
        bench.iter(|| tuple_v4(&key, black_box(&tuple).words()));
    });
    criterion.bench_function("tcp state", |bench| {
        bench.iter(|| {
            let flags = black_box(TcpFlags::ACK);
            tcp::next(tcp::Table::InOnly, flags, black_box(State::Established))
        });
    });
}

/// What a new flow asks of each scheduler, by the number of dests.
fn new_flow(criterion: &mut Criterion) {
    let client = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 40_000);
    let virtual_address = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 443);
    let flow = Flow::of(&TupleV4::new(client, virtual_address, 6));
    let mut group = criterion.benchmark_group("new flow");
    for name in NAMES {
        let Some(scheduler) = by_name(name) else {
            continue;
        };
        for dests in [2, 16, 256, 1_000, 10_000] {
            let service = Service::new(scheduler, dests);
            group.bench_with_input(BenchmarkId::new(name, dests), &flow, |bench, flow| {
                bench.iter(|| service.new_flow(black_box(flow)));
            });
        }
    }
    group.finish();
}

/// Short rounds: there are 73 of them.
fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
}

criterion_group! {
    name = engine;
    config = config();
    targets = packet, new_flow
}
criterion_main!(engine);

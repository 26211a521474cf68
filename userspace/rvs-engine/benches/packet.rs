// SPDX-License-Identifier: GPL-2.0

//! What one packet or one new flow costs in the engine, on this machine: `cargo bench -p rvs-engine`.
//!
//! The least of several rounds, so that other load on the machine does not count. The figures that
//! decide are those of `make bench`; these show a change for the worse within seconds.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use rvs_engine::hash::{tuple_v4, Key};
use rvs_engine::proto::{tcp, State};
use rvs_engine::sched::{by_name, Dests, Flow, View, NAMES, STATE_WORDS};
use rvs_engine::tuple::TupleV4;
use rvs_engine::wire::{PacketV4, TcpFlags};

const ROUNDS: usize = 15;
const TIMES: u32 = 100_000;

/// An ACK of 40 bytes.
const PACKET: [u8; 40] = [
    0x45, 0, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 198, 51, 100, 7, 203, 0, 113, 10, 0x9c, 0x40,
    1, 0xbb, 0, 0, 3, 0xe8, 0, 0, 0, 77, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0,
];

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

fn measure(name: &str, mut work: impl FnMut()) {
    let least = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..TIMES {
                work();
            }
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    let nanoseconds = least.as_secs_f64() * 1e9 / f64::from(TIMES);
    println!("{name:<24} {nanoseconds:8.1} ns");
}

fn main() {
    let client = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 40_000);
    let virtual_address = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 443);
    let tuple = TupleV4::new(client, virtual_address, 6);
    let key = Key::new(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);

    measure("parse", || {
        black_box(PacketV4::parse(black_box(&PACKET), PACKET.len())).ok();
    });
    measure("hash", || {
        black_box(tuple_v4(&key, black_box(&tuple)));
    });
    measure("tcp state", || {
        let flags = black_box(TcpFlags::ACK);
        black_box(tcp::next(
            tcp::Table::InOnly,
            flags,
            black_box(State::Established),
        ));
    });
    for name in NAMES {
        let Some(scheduler) = by_name(name) else {
            continue;
        };
        for dests in [2, 256, 1_000, 10_000] {
            let weights: Vec<u32> = (0..dests).map(|i| i * 7_919 % 100 + 1).collect();
            let mut table = vec![0; scheduler.table_len(weights.len())];
            scheduler.build(&weights, &mut table);
            let state: [AtomicU64; STATE_WORDS] = Default::default();
            let view = View {
                weights: &weights,
                table: &table,
                state: &state,
                dests: &NoLoad,
                thresholds: false,
            };
            let flow = Flow { tuple };
            measure(&format!("pick {name} {dests}"), || {
                black_box(scheduler.pick(black_box(&view), &flow));
            });
        }
    }
}

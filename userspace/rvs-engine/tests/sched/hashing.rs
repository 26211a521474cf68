// SPDX-License-Identifier: GPL-2.0

//! How evenly `dh`, `sh`, `mh` and `twos` spread flows, and how few move when a dest leaves.

use rvs_engine::sched::{Flow, Options, MH_SIZES};
use rvs_engine::tuple::TupleV4;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::service::{flow, small, weighted, Service};

/// A flow between any two addresses.
fn between(client: u32, server: u32) -> Flow {
    Flow::of(&TupleV4::new(
        SocketAddrV4::new(Ipv4Addr::from(client), 1234),
        SocketAddrV4::new(Ipv4Addr::from(server), 80),
        6,
    ))
}

fn shares(service: &Service, flows: impl Iterator<Item = Flow>) -> Vec<u32> {
    let mut shares = vec![0; service.dests.len()];
    for flow in flows {
        shares[service.pick_index(&flow).unwrap() as usize] += 1;
    }
    shares
}

#[test]
fn neighbouring_addresses_are_spread_evenly() {
    let dests = 8;
    for name in ["dh", "sh"] {
        let service = Service::weighted(name, &vec![1; dests]);
        let flows = (0..4096).map(|i| between(0x0a01_0000 + i, 0xcb00_7100 + i));
        for share in shares(&service, flows) {
            assert!((460..=564).contains(&share), "{name}: {share} of 512");
        }
    }
}

#[test]
fn sh_gives_slots_by_weight() {
    let service = Service::weighted("sh", &[1, 3, 0, 4]);
    let flows = (0..65_536).map(|i| between(i * 65_537, 1));
    // The dest of weight 0 has a slot of every nine; its flows find nobody.
    let mut shares = [0u32; 5];
    for flow in flows {
        shares[service.pick_index(&flow).map_or(4, |i| i as usize)] += 1;
    }
    for (share, slots) in shares.into_iter().zip([29, 86, 0, 113, 28]) {
        let expected = slots * 256;
        assert!(share.abs_diff(expected) < 1200, "{shares:?}");
    }
}

#[test]
fn mh_is_balanced_and_moves_few_flows_when_a_dest_leaves() {
    let options = Options {
        mh_size: 65_537,
        ..small()
    };
    for count in [3, 10, 100] {
        let service = Service::with("mh", weighted(&vec![1; count]), options, false);
        let mut slots = vec![0u32; count];
        for &index in &service.view().table[..65_537] {
            slots[index as usize] += 1;
        }
        let most = f64::from(*slots.iter().max().unwrap());
        let ratio = most / (65_537.0 / count as f64);
        assert!(ratio <= 1.02, "{count}: {ratio}");

        let mut fewer = service.dests.clone();
        let gone = fewer.remove(count / 2).name;
        let after = Service::with("mh", fewer, options, false);
        let flows = 20_000;
        let moved = (0..flows)
            .map(|i| between(0x0a00_0000 + i * 31, 1))
            .filter(|flow| {
                let before = service.pick_for(flow);
                before != Some(gone) && before != after.pick_for(flow)
            })
            .count();
        let (moved, share) = (moved as f64 / f64::from(flows), 1.0 / count as f64);
        println!(
            "mh {count}: max/mean {ratio:.4}, moved {moved:.4} beside the leaver's {share:.4}"
        );
        assert!(moved <= 0.02, "{count}: {moved}");
    }
}

#[test]
fn mh_follows_weights_and_keeps_flows_of_others_at_weight_0() {
    for size in MH_SIZES {
        let options = Options {
            mh_size: size,
            ..small()
        };
        let mut dests = weighted(&[1, 2, 4, 1]);
        let service = Service::with("mh", dests.clone(), options, false);
        let mut slots = [0u32; 4];
        for &index in &service.view().table[..size as usize] {
            slots[index as usize] += 1;
        }
        for (slots, weight) in slots.into_iter().zip([1, 2, 4, 1]) {
            assert!(slots.abs_diff(size * weight / 8) <= 5, "{size}: {slots}");
        }
        dests[2].set_weight(0);
        let after = Service::with("mh", dests, options, false);
        for number in 0..1000 {
            let flow = flow(number);
            let expected = service.pick_for(&flow).filter(|&name| name != 2);
            assert_eq!(after.pick_for(&flow), expected);
        }
    }
}

#[test]
fn an_mh_table_is_as_large_as_its_dests_need() {
    let options = Options {
        mh_size: 251,
        fallback: true,
        ..small()
    };
    for count in [251, 252, 10_000] {
        let service = Service::with("mh", weighted(&vec![1; count]), options, false);
        let table = service.view().table;
        let slots = &table[..table.len() - 1 - count];
        assert!(slots.len() >= count && MH_SIZES.contains(&(slots.len() as u32)));
        assert!(slots.iter().all(|&index| (index as usize) < count));
    }
    // One dest with weight among many that never had any takes all slots, and no time.
    let mut weights = [0; 100_000];
    weights[77_777] = 3;
    let service = Service::with("mh", weighted(&weights), options, false);
    assert_eq!(service.pick(), Some(77_777));
    // More dests than any table has slots.
    let service = Service::with("mh", weighted(&vec![1; 140_000]), options, false);
    assert!(service.pick().is_some());
    // A size that is none.
    let options = Options {
        mh_size: 1000,
        ..small()
    };
    let service = Service::with("mh", weighted(&[1, 1]), options, false);
    assert_eq!(service.view().table.len(), 4093 + 1 + 2);
}

#[test]
fn twos_draws_by_weight_and_prefers_the_less_loaded() {
    let weights = [5, 0, 1, 3, 10, 1];
    let service = Service::weighted("twos", &weights);
    let count = 200_000;
    let even = shares(&service, (0..count).map(flow));
    for (share, weight) in even.iter().zip(weights) {
        let expected = f64::from(weight) / 20.0 * f64::from(count);
        assert!((f64::from(*share) - expected).abs() < 1500.0, "{even:?}");
    }
    let mut service = Service::weighted("twos", &[1; 10]);
    (0..9).for_each(|index| service.set_counts(index, 100, 0));
    let shares = shares(&service, (0..count).map(flow));
    // Drawn first or second: 1 - 0.9^2.
    assert!(shares[9].abs_diff(count * 19 / 100) < 1500, "{shares:?}");
}

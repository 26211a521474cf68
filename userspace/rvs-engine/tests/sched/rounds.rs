// SPDX-License-Identifier: GPL-2.0

//! `rr` and `wrr`.

use proptest::prelude::*;

use crate::service::Service;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3000, ..Default::default() })]

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
fn heavy_dests_that_are_overloaded_do_not_stall_wrr() {
    let mut weights = [65_535; 10_000];
    weights[9_999] = 1;
    let mut service = Service::weighted("wrr", &weights);
    service.thresholds = true;
    service.overload_all(true);
    service.set_overloaded(9_999, false);
    assert_eq!(service.picks(50), [Some(9_999); 50]);
}

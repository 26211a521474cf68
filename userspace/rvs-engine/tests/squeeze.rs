// SPDX-License-Identifier: GPL-2.0
//! Room for an option in full TCP headers: there is always some, and what matters most stays.

use proptest::collection::vec;
use proptest::prelude::*;
use rvs_engine::family::{V4, V6};
use rvs_engine::toa::insert::Told;
use rvs_engine::toa::room::{squeeze, OPTIONS_MAX};
use rvs_engine::tuple::TupleV4;
use rvs_engine::uoa::{Carrier, KIND};
use rvs_engine::wire::options::{TcpOptions, SACK};
use rvs_engine::wire::transport::TCP_MIN_LEN;

/// Options of any kind but padding, each with the padding in front of it.
fn options() -> impl Strategy<Value = Vec<(usize, u8, Vec<u8>)>> {
    vec((0_usize..4, 2_u8..40, vec(any::<u8>(), 0..20)), 0..8)
}

fn header(options: &[(usize, u8, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut header = vec![0; TCP_MIN_LEN];
    for (padding, kind, value) in options {
        header.extend(std::iter::repeat_n(1, *padding));
        header.extend([*kind, value.len() as u8 + 2]);
        header.extend(value);
    }
    header.resize(header.len().next_multiple_of(4), 0);
    (header.len() <= TCP_MIN_LEN + OPTIONS_MAX).then_some(header)
}

fn list(header: &[u8]) -> Vec<&[u8]> {
    TcpOptions::of(header)
        .map(|option| &header[option.offset..option.offset + option.len])
        .collect()
}

proptest! {
    #[test]
    fn what_is_kept_was_there(given in options(), long: bool) {
        let first = if long { vec![254, 20].into_iter().chain([7; 18]).collect() } else {
            vec![254, 8, 7, 7, 7, 7, 7, 7]
        };
        let Some(header) = header(&given) else { return Ok(()) };
        let before = list(&header);
        let options = squeeze(&header, &first).unwrap();
        let whole = [&[0; TCP_MIN_LEN][..], &options].concat();
        let after = list(&whole);
        prop_assert_eq!(after[0], first.as_slice());
        let size = |options: &[&[u8]]| options.iter().map(|option| option.len()).sum::<usize>();
        if size(&before) + first.len() <= OPTIONS_MAX {
            prop_assert_eq!(after.len(), before.len() + 1);
        }
        for option in &after[1..] {
            let is_whole = before.contains(option);
            let is_part = || before.iter().any(|other| {
                other[0] == SACK && other.len() > option.len() && other[2..].starts_with(&option[2..])
            });
            prop_assert!(is_whole || (option[0] == SACK && is_part()));
        }
        // What is left out had no room.
        for option in before.iter().filter(|option| option[0] != SACK && !after.contains(option)) {
            prop_assert!(size(&after) + option.len() > OPTIONS_MAX, "{option:?}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..60), first in vec(any::<u8>(), 0..50)) {
        let _ = squeeze(&bytes, &first);
        let mut header = bytes.clone();
        let _ = V4::blank(&mut header);
        let _ = (V4::find(&header), V6::find(&header), V6::blank(&mut header));
        let told = Told::new(KIND, &TupleV4::from_words(7, 7, 17));
        let _ = (V4::fill(&mut header.clone(), &told), V6::fill(&mut header, &told));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Room for an option in full TCP headers: whatever is kept is all there, in its order.

use proptest::collection::vec;
use proptest::prelude::*;
use rvs_engine::carry::Told;
use rvs_engine::family::{V4, V6};
use rvs_engine::squeeze::{squeeze, OPTIONS_MAX};
use rvs_engine::tuple::TupleV4;
use rvs_engine::uoa::{Carrier, KIND};
use rvs_engine::wire::options::{TcpOptions, SACK};
use rvs_engine::wire::transport::TCP_MIN_LEN;

/// Options of any kind but padding, each with the padding in front of it.
fn options() -> impl Strategy<Value = Vec<(usize, u8, Vec<u8>)>> {
    vec((0_usize..4, 2_u8.., vec(any::<u8>(), 0..20)), 0..8)
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
    fn what_is_kept_is_all_there(given in options(), long: bool, keeps_sack: bool) {
        let first = if long { vec![254, 20].into_iter().chain([7; 18]).collect() } else {
            vec![254, 8, 7, 7, 7, 7, 7, 7]
        };
        let Some(header) = header(&given) else { return Ok(()) };
        let keeps = |kind| keeps_sack || kind != SACK;
        let mut expected: Vec<&[u8]> = vec![&first];
        expected.extend(list(&header).into_iter().filter(|option| keeps(option[0])));
        let needed: usize = expected.iter().map(|option| option.len()).sum();
        let squeezed = squeeze(&header, &first, keeps);
        prop_assert_eq!(squeezed.is_some(), needed <= OPTIONS_MAX);
        if let Some(options) = squeezed {
            let whole = [&[0; TCP_MIN_LEN][..], &options].concat();
            prop_assert_eq!(list(&whole), expected);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..60), first in vec(any::<u8>(), 0..50)) {
        let _ = squeeze(&bytes, &first, |_| true);
        let mut header = bytes.clone();
        let _ = V4::blank(&mut header);
        let _ = (V4::find(&header), V6::find(&header), V6::blank(&mut header));
        let told = Told::new(KIND, &TupleV4::from_words(7, 7, 17));
        let _ = (V4::fill(&mut header.clone(), &told), V6::fill(&mut header, &told));
    }
}

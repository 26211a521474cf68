// SPDX-License-Identifier: GPL-2.0

//! Reading TOA from whatever bytes come.

use proptest::prelude::*;
use rvs_engine::toa::{find, Kinds, Malformed};
use std::net::{IpAddr, SocketAddr};

/// The option for `address`.
fn option(kind: u8, address: SocketAddr) -> Vec<u8> {
    let bytes = match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let mut option = vec![kind, bytes.len() as u8 + 4];
    option.extend(address.port().to_be_bytes());
    option.extend(bytes);
    option
}

/// An option that is none of ours, or padding.
fn other() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![1]),
        (2u8..200, prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(kind, value)| {
            let mut option = vec![kind, value.len() as u8 + 2];
            option.extend(value);
            option
        }),
    ]
}

/// An address that a client can have.
fn client() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<[u8; 4]>().prop_map(|mut octets| {
        octets[0] = octets[0] % 223 + 1;
        IpAddr::from(octets)
    });
    let v6 = any::<[u8; 16]>().prop_map(|mut octets| {
        octets[0] = octets[0] % 254 + 1;
        IpAddr::from(octets)
    });
    (prop_oneof![v4, v6], 1u16..).prop_map(SocketAddr::from)
}

proptest! {
    #[test]
    fn what_was_put_in_comes_out_wherever_it_stands(
        before in prop::collection::vec(other(), 0..4),
        after in prop::collection::vec(other(), 0..4),
        address in client(),
        kind in 200u8..255,
    ) {
        let mut kinds = Kinds::NONE;
        kinds.insert(kind);
        let options = [before.concat(), option(kind, address), after.concat()].concat();
        prop_assert_eq!(find(&options, &kinds), Ok(Some(address)));
        prop_assert_eq!(find(&[before.concat(), after.concat()].concat(), &kinds), Ok(None));
        let twice = [options, option(kind, address)].concat();
        prop_assert_eq!(find(&twice, &kinds), Err(Malformed::Twice));
    }

    #[test]
    fn cut_anywhere_it_is_no_address(address in client(), cut in 1usize..20) {
        let whole = option(254, address);
        let cut = cut.min(whole.len() - 1);
        let said = find(&whole[..cut], &Kinds::usual());
        prop_assert_eq!(said, Err(Malformed::Length));
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        chosen in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut kinds = Kinds::NONE;
        for kind in chosen {
            kinds.insert(kind);
        }
        if let Ok(Some(address)) = find(&bytes, &kinds) {
            prop_assert!(address.port() != 0 && !address.ip().is_unspecified());
        }
    }
}

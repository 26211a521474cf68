// SPDX-License-Identifier: GPL-2.0

//! What fits in a path, as the sender of a packet sees it to which the director has added something.

use super::family::IpHeader;
use super::toa::insert::Told;
use super::uoa::Carrier;
use super::wire::transport::TCP_MIN_LEN;
use super::wire::{IcmpError, TCP, UDP};

/// The MTU that a packet's sender is told of where an error says that it is `mtu`, after `added`
/// bytes were put into the packet: no less than `least`, which every path has. What is less than
/// that from the start, or is not said, is for the sender to judge.
pub fn told(mtu: u32, added: usize, least: u32) -> u32 {
    let added = u32::try_from(added).unwrap_or(u32::MAX);
    mtu.min(mtu.saturating_sub(added).max(least))
}

/// How many bytes were put into the packet that `error`, which was read from `head`, is about: those
/// of `option` in a TCP header, or those of an address in the IP header of a datagram. Where the
/// error has too little of the header to show it, the option is in it if the connection `tells`.
pub fn added<F: Carrier>(head: &[u8], error: &IcmpError<F>, option: &Told, tells: bool) -> usize {
    let header_len = error.inner.header_len();
    let Some(inner) = head.get(error.inner_offset..) else {
        return 0;
    };
    match error.inner.protocol() {
        TCP => {
            let options = inner.get(header_len.saturating_add(TCP_MIN_LEN)..);
            let is_there = match options.unwrap_or_default() {
                [] => tells,
                shown => (shown.iter().zip(option.bytes())).all(|(shown, told)| shown == told),
            };
            option.size() * usize::from(is_there)
        }
        UDP => {
            let header = inner.get(..header_len).unwrap_or_default();
            F::ROOM * usize::from(matches!(F::find(header), Ok(Some(_))))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::Tuple;
    use super::super::family::{V4, V6};
    use super::super::tuple::{TupleV4, TupleV6};
    use super::super::wire::{ipv6, IcmpFamily};
    use super::*;

    fn four() -> TupleV4 {
        let (client, to) = ("198.51.100.7:40000", "203.0.113.10:443");
        TupleV4::new(client.parse().unwrap(), to.parse().unwrap(), TCP)
    }

    fn six() -> TupleV6 {
        let (client, to) = ("[2001:db8::7]:40000", "[2001:db8::10]:443");
        TupleV6::new(client.parse().unwrap(), to.parse().unwrap(), TCP)
    }

    /// What is found to be added by an error of `F` that quotes `inner`.
    fn found<F: Carrier + IcmpFamily>(inner: &[u8], option: &Told, tells: bool) -> usize {
        let fixed = F::Ip::FIXED_LEN;
        let mut error = vec![0; fixed];
        error[0] = (F::VERSION << 4) | (5 * u8::from(F::VERSION == 4));
        error.extend([F::TOO_BIG.0, F::TOO_BIG.1, 0, 0, 0, 0, 5, 20]);
        error.extend(inner);
        F::Ip::strip(&mut error, F::ICMP, (inner.len() + 8) as u16).unwrap();
        let ip = F::Ip::parse(&error, error.len()).unwrap();
        let read = IcmpError::<F>::parse(&error, &ip).unwrap();
        added(&error, &read, option, tells)
    }

    #[test]
    fn the_mtu_is_less_by_what_is_added() {
        for (mtu, added, least, expected) in [
            (1300, 8, 68, 1292),
            (1300, 20, 1280, 1280),
            (1400, 20, 1280, 1380),
            (1280, 24, 1280, 1280),
            (1300, 0, 68, 1300),
            // Lies, and routers that say nothing.
            (0, 8, 68, 0),
            (5, 8, 68, 5),
            (68, 8, 68, 68),
            (70, 8, 68, 68),
            (1279, 20, 1280, 1279),
            (u32::MAX, 8, 68, u32::MAX - 8),
            (1300, usize::MAX, 68, 68),
        ] {
            assert_eq!(told(mtu, added, least), expected, "{mtu} {added}");
        }
    }

    #[test]
    fn a_segment_shows_the_option_as_far_as_it_is_quoted() {
        let option = Told::new(254, &four());
        let mut inner = vec![0x45, 0, 5, 20, 0, 0, 0x40, 0, 60, TCP, 0, 0];
        inner.extend([192, 0, 2, 1, 192, 0, 2, 9]);
        inner.extend([0; 20]);
        let plain = [&inner[..], &[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        inner.extend(option.bytes());
        for tells in [true, false] {
            assert_eq!(found::<V4>(&plain, &option, tells), 0);
            for len in 28..=inner.len() {
                let expected = if len > 40 || tells { 8 } else { 0 };
                assert_eq!(
                    found::<V4>(&inner[..len], &option, tells),
                    expected,
                    "{len}"
                );
            }
        }
        // Another client's.
        *inner.last_mut().unwrap() ^= 1;
        assert_eq!(found::<V4>(&inner, &option, true), 0);

        let option = Told::new(200, &six());
        let ends = six().reversed();
        let mut inner = ipv6::header(0, TCP, &ends, 1280, 60).to_vec();
        inner.extend([0; 20]);
        inner.extend(option.bytes());
        assert_eq!(found::<V6>(&inner, &option, false), 20);
        // An IPv6 client's in a packet of IPv4.
        let mut inner = vec![0x45, 0, 5, 20, 0, 0, 0x40, 0, 60, TCP, 0, 0];
        inner.extend([1; 28]);
        inner.extend(option.bytes());
        assert_eq!(found::<V4>(&inner, &option, false), 20);
    }

    #[test]
    fn a_datagram_shows_it_in_its_ip_header() {
        let told = Told::new(31, &four());
        let mut inner = vec![0x45, 0, 5, 20, 0, 0, 0x40, 0, 60, UDP, 0, 0];
        inner.extend([192, 0, 2, 1, 192, 0, 2, 9]);
        assert_eq!(found::<V4>(&[&inner[..], &[0; 8]].concat(), &told, true), 0);
        inner.extend([0; 8]);
        inner.extend([0; 8]);
        V4::fill(&mut inner, &told).unwrap();
        assert_eq!(found::<V4>(&inner, &told, false), 8);

        let told = Told::new(31, &six());
        let mut inner = ipv6::header(0, UDP, &six(), 1280, 60).to_vec();
        assert_eq!(found::<V6>(&[&inner[..], &[0; 8]].concat(), &told, true), 0);
        inner.extend([0; 24]);
        inner.extend([0; 8]);
        V6::fill(&mut inner, &told).unwrap();
        assert_eq!(found::<V6>(&inner, &told, false), 24);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Reading the option that carries the client's address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::DEFAULT_KIND;

/// End of the options (RFC 9293).
const END: u8 = 0;
/// One byte of padding (RFC 9293).
const NOP: u8 = 1;

/// A set of option kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds([u64; 4]);

impl Kinds {
    /// None.
    pub const NONE: Self = Self([0; 4]);

    /// The set with [`DEFAULT_KIND`] alone.
    pub fn usual() -> Self {
        let mut kinds = Self::NONE;
        kinds.insert(DEFAULT_KIND);
        kinds
    }

    /// Whether `kind` is in the set.
    #[inline]
    pub fn has(&self, kind: u8) -> bool {
        let word = self.0.get(usize::from(kind >> 6));
        word.is_some_and(|word| (word >> (kind & 63)) & 1 != 0)
    }

    /// Puts `kind` in; false when it was.
    pub fn insert(&mut self, kind: u8) -> bool {
        let is_new = !self.has(kind);
        if let Some(word) = self.0.get_mut(usize::from(kind >> 6)) {
            *word |= 1 << (kind & 63);
        }
        is_new
    }

    /// Takes `kind` out; false when it was not in.
    pub fn remove(&mut self, kind: u8) -> bool {
        let was = self.has(kind);
        if let Some(word) = self.0.get_mut(usize::from(kind >> 6)) {
            *word &= !(1 << (kind & 63));
        }
        was
    }

    /// Its kinds, rising.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|kind| self.has(*kind))
    }
}

/// Why a segment's options tell no address although one seems meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// An option, of whatever kind, whose length is 0 or 1, or goes past the end.
    Length,
    /// The option has a length other than [`V4_LEN`](super::V4_LEN) and [`V6_LEN`](super::V6_LEN).
    WrongLength,
    /// The option comes twice.
    Twice,
    /// Port 0, or an address that no client can have.
    Address,
}

/// The address that a segment's `options`, the bytes behind the fixed TCP header, carry in an option
/// of one of `kinds`.
///
/// # Errors
///
/// Why the options are not to be believed; the segment itself is none the worse.
pub fn find(options: &[u8], kinds: &Kinds) -> Result<Option<SocketAddr>, Malformed> {
    let mut found = None;
    for option in Options(options) {
        let (kind, value) = option.map_err(|Broken| Malformed::Length)?;
        if kinds.has(kind) {
            let address = address(value)?;
            if found.replace(address).is_some() {
                return Err(Malformed::Twice);
            }
        }
    }
    Ok(found)
}

/// An option whose length lies.
struct Broken;

/// Kinds and values of options; nothing follows one that is broken.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Result<(u8, &'a [u8]), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&kind, rest) = self.0.split_first()?;
            self.0 = rest;
            match kind {
                END => {
                    self.0 = &[];
                    return None;
                }
                NOP => continue,
                _ => {}
            }
            let split = rest.split_first().and_then(|(len, rest)| {
                let len = usize::from(*len).checked_sub(2)?;
                rest.split_at_checked(len)
            });
            let Some((value, rest)) = split else {
                self.0 = &[];
                return Some(Err(Broken));
            };
            self.0 = rest;
            return Some(Ok((kind, value)));
        }
    }
}

/// The address in an option's value.
pub(in super::super) fn address(value: &[u8]) -> Result<SocketAddr, Malformed> {
    let (port, address) = value.split_first_chunk().ok_or(Malformed::WrongLength)?;
    let port = u16::from_be_bytes(*port);
    let address = if let Ok(v4) = <[u8; 4]>::try_from(address) {
        IpAddr::V4(Ipv4Addr::from(v4))
    } else if let Ok(v6) = <[u8; 16]>::try_from(address) {
        IpAddr::V6(Ipv6Addr::from(v6))
    } else {
        return Err(Malformed::WrongLength);
    };
    if port == 0 || !may_be_client(address) {
        return Err(Malformed::Address);
    }
    Ok(SocketAddr::new(address, port))
}

/// Whether one host may have the address and talk TCP from it.
fn may_be_client(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            first != 0 && !v4.is_multicast() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{V4_LEN, V6_LEN};
    use super::*;

    const V4: [u8; 8] = [254, 8, 0x9c, 0x40, 198, 51, 100, 7];

    fn usual(options: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        find(options, &Kinds::usual())
    }

    fn v6() -> Vec<u8> {
        let address: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let mut option = vec![254, 20, 0x9c, 0x40];
        option.extend(address.octets());
        option
    }

    #[test]
    fn both_forms_as_other_directors_send_them() {
        let found = Ok(Some("198.51.100.7:40000".parse().unwrap()));
        assert_eq!(usual(&V4), found);
        assert_eq!(
            usual(&v6()),
            Ok(Some("[2001:db8::7]:40000".parse().unwrap()))
        );
    }

    #[test]
    fn it_is_found_among_others() {
        let timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let both = [&timestamps[..], &V4].concat();
        assert!(usual(&both).unwrap().is_some());
        let both = [&V4[..], &timestamps].concat();
        assert!(usual(&both).unwrap().is_some());
        assert_eq!(usual(&timestamps), Ok(None));
        assert_eq!(usual(&[]), Ok(None));
    }

    #[test]
    fn nothing_behind_the_end_counts() {
        assert_eq!(usual(&[&[0][..], &V4].concat()), Ok(None));
        assert!(usual(&[&V4[..], &[0, 3, 0, 9]].concat()).unwrap().is_some());
    }

    #[test]
    fn lengths_that_lie() {
        for options in [
            &[254u8, 0][..],
            &[254, 1],
            &[254],
            &[254, 8, 0x9c, 0x40],
            &[8, 0],
            &[3, 3],
            &[1, 1, 8, 10, 0],
        ] {
            assert_eq!(usual(options), Err(Malformed::Length), "{options:?}");
        }
        // One that is believable does not make up for one that is not.
        let options = [&V4[..], &[8, 0]].concat();
        assert_eq!(usual(&options), Err(Malformed::Length));
    }

    #[test]
    fn other_lengths_carry_no_address() {
        for len in (2..40).filter(|len| ![V4_LEN, V6_LEN].contains(len)) {
            let mut option = vec![1; len];
            option[0] = 254;
            option[1] = len as u8;
            assert_eq!(usual(&option), Err(Malformed::WrongLength), "{len}");
        }
    }

    #[test]
    fn two_are_none() {
        assert_eq!(usual(&[V4, V4].concat()), Err(Malformed::Twice));
        assert_eq!(usual(&[v6(), V4.to_vec()].concat()), Err(Malformed::Twice));
    }

    #[test]
    fn addresses_that_no_client_has() {
        for address in [[0, 0, 0, 0], [0, 1, 2, 3], [224, 0, 0, 1], [255; 4]] {
            let option = [&V4[..4], &address].concat();
            assert_eq!(usual(&option), Err(Malformed::Address), "{address:?}");
        }
        let option = [254, 8, 0, 0, 198, 51, 100, 7];
        assert_eq!(usual(&option), Err(Malformed::Address), "port 0");
        for address in [[0u8; 16], [255; 16]] {
            let option = [&[254, 20, 0, 80][..], &address].concat();
            assert_eq!(usual(&option), Err(Malformed::Address), "{address:?}");
        }
    }

    #[test]
    fn only_the_kinds_asked_for() {
        let mut kinds = Kinds::usual();
        let mut option = V4;
        option[0] = 200;
        assert_eq!(find(&option, &kinds), Ok(None));
        assert!(kinds.insert(200));
        assert!(!kinds.insert(200));
        assert!(find(&option, &kinds).unwrap().is_some());
        assert!(kinds.remove(254));
        assert!(!kinds.remove(254));
        assert_eq!(find(&V4, &kinds), Ok(None));
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [200]);
    }
}

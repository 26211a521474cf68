// SPDX-License-Identifier: GPL-2.0

//! Addresses of one family, for code that is written once.

use core::fmt::Debug;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of one family.
pub trait Address: Copy + Debug + PartialEq + Eq + Into<IpAddr> + Send + Sync + 'static {
    /// `address`, if it is of this family.
    fn of(address: IpAddr) -> Option<Self>;

    /// IPv4's as a number; of IPv6's the exclusive or of its four words, as `ip_vs` hashes them.
    fn folded(self) -> u32;
}

impl Address for Ipv4Addr {
    #[inline]
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        }
    }

    #[inline]
    fn folded(self) -> u32 {
        u32::from(self)
    }
}

impl Address for Ipv6Addr {
    #[inline]
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        }
    }

    #[inline]
    fn folded(self) -> u32 {
        let bits = self.to_bits();
        ((bits >> 96) ^ (bits >> 64) ^ (bits >> 32) ^ bits) as u32
    }
}

/// [`Address::folded`] of an address of either family.
pub fn folded(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.folded(),
        IpAddr::V6(v6) => v6.folded(),
    }
}

/// An IPv6 address as two little-endian numbers read from the header.
#[inline(always)]
pub const fn address_words(address: Ipv6Addr) -> [u64; 2] {
    let bits = u128::from_le_bytes(address.octets());
    [bits as u64, (bits >> 64) as u64]
}

/// The IPv6 address that [`address_words`] has as these.
#[inline(always)]
pub const fn address_of_words(words: [u64; 2]) -> Ipv6Addr {
    let [low, high] = words;
    let bits = low as u128 | ((high as u128) << 64);
    Ipv6Addr::from_bits(u128::from_be_bytes(bits.to_le_bytes()))
}

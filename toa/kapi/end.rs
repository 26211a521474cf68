// SPDX-License-Identifier: GPL-2.0

//! Ends of connections as sockets and packets have them: nothing is converted to be compared, kept
//! or said, so that whoever asks for a name pays for words that are compared and copied.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What comes ahead of an IPv4 address in the second word, bytes 0, 0, 255, 255 and the address, read
/// as a little-endian number.
const V4_PREFIX: u64 = 0xffff_0000;

/// An address: the 16 bytes of an IPv6 one, as two words of memory; an IPv4 one is `::ffff:a.b.c.d`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(u64, u64);

impl Address {
    /// The one whose bytes lie in these words.
    #[inline(always)]
    pub(super) fn of_words([first, second]: [u64; 2]) -> Self {
        Self(first, second)
    }

    /// The bytes in words.
    #[inline(always)]
    pub(super) fn words(self) -> [u64; 2] {
        [self.0, self.1]
    }

    /// The IPv4 address whose bytes lie in `v4`.
    #[inline(always)]
    pub(super) fn of_v4(v4: u32) -> Self {
        let second = u64::from(u32::from_le(v4)) << 32 | V4_PREFIX;
        Self(0, second.to_le())
    }

    /// The bytes of an IPv4 address; `None` if it is an IPv6 one.
    #[inline(always)]
    pub(super) fn v4(self) -> Option<u32> {
        let second = u64::from_le(self.1);
        let is_v4 = self.0 == 0 && second & u64::from(u32::MAX) == V4_PREFIX;
        is_v4.then_some(((second >> 32) as u32).to_le())
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::of_v4(u32::from_ne_bytes(v4.octets())),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                Self(((bits >> 64) as u64).to_be(), (bits as u64).to_be())
            }
        }
    }
}

impl From<Address> for IpAddr {
    #[inline]
    fn from(address: Address) -> Self {
        if let Some(v4) = address.v4() {
            return Self::V4(Ipv4Addr::from(v4.to_ne_bytes()));
        }
        let [first, second] = address.words().map(u64::from_be);
        Self::V6(Ipv6Addr::from_bits(
            u128::from(first) << 64 | u128::from(second),
        ))
    }
}

/// An address and a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(super) address: Address,
    /// In network byte order.
    pub(super) port: u16,
}

impl From<SocketAddr> for End {
    fn from(end: SocketAddr) -> Self {
        Self {
            address: end.ip().into(),
            port: end.port().to_be(),
        }
    }
}

impl From<End> for SocketAddr {
    fn from(end: End) -> Self {
        Self::new(end.address.into(), u16::from_be(end.port))
    }
}

/// The two ends of a connection as its packets name them; IPv4 as IPv4, whatever the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The other side.
    pub(crate) peer: End,
    /// This side.
    pub(crate) local: End,
}

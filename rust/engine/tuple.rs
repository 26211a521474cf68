// SPDX-License-Identifier: GPL-2.0

//! What tells one flow from another.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Addresses, ports and protocol of an IPv4 packet, in 16 bytes.
///
/// Two words, so that comparing and hashing read two words: the eight address bytes of the IP
/// header as a little-endian number, and the four port bytes of the TCP or UDP header with the
/// protocol above them, likewise. Accessors return either bytes, or numbers in host order where
/// their doc says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TupleV4 {
    addresses: u64,
    rest: u64,
}

impl TupleV4 {
    /// A tuple of addresses and ports; ports in host order, `protocol` is the IANA number.
    #[inline]
    pub const fn new(src: SocketAddrV4, dst: SocketAddrV4, protocol: u8) -> Self {
        Self::from_bytes(
            src.ip().octets(),
            dst.ip().octets(),
            src.port().to_be_bytes(),
            dst.port().to_be_bytes(),
            protocol,
        )
    }

    /// A tuple of addresses and ports as they stand in the headers.
    #[inline(always)]
    pub const fn from_bytes(
        src: [u8; 4],
        dst: [u8; 4],
        sport: [u8; 2],
        dport: [u8; 2],
        protocol: u8,
    ) -> Self {
        let src = u32::from_le_bytes(src);
        let dst = u32::from_le_bytes(dst);
        let sport = u16::from_le_bytes(sport);
        let dport = u16::from_le_bytes(dport);
        Self::from_words(
            src as u64 | ((dst as u64) << 32),
            sport as u32 | ((dport as u32) << 16),
            protocol,
        )
    }

    /// A tuple of the two addresses and of the two ports, each read from the headers as one
    /// little-endian number.
    #[inline(always)]
    pub const fn from_words(addresses: u64, ports: u32, protocol: u8) -> Self {
        Self {
            addresses,
            rest: ports as u64 | ((protocol as u64) << 32),
        }
    }

    /// The two words: addresses; ports and, from bit 32, the protocol. The top 24 bits are 0.
    #[inline(always)]
    pub const fn words(&self) -> (u64, u64) {
        (self.addresses, self.rest)
    }

    /// The same flow seen from the other side.
    #[inline(always)]
    pub const fn reversed(&self) -> Self {
        let ports = self.rest as u32;
        Self {
            addresses: self.addresses.rotate_left(32),
            rest: (self.rest >> 32 << 32) | ports.rotate_left(16) as u64,
        }
    }

    /// Destination address, port and protocol in one word: what a service is looked up by.
    ///
    /// Address in the low 32 bits and port in the next 16, both as read little-endian from the
    /// header, then the protocol.
    #[inline(always)]
    pub const fn service_key(&self) -> u64 {
        (self.addresses >> 32) | (self.rest >> 16 << 32)
    }

    /// Source address.
    #[inline(always)]
    pub const fn src(&self) -> Ipv4Addr {
        let [a, b, c, d] = (self.addresses as u32).to_le_bytes();
        Ipv4Addr::new(a, b, c, d)
    }

    /// Destination address.
    #[inline(always)]
    pub const fn dst(&self) -> Ipv4Addr {
        let [a, b, c, d] = ((self.addresses >> 32) as u32).to_le_bytes();
        Ipv4Addr::new(a, b, c, d)
    }

    /// Source port, host order.
    #[inline(always)]
    pub const fn sport(&self) -> u16 {
        u16::from_be_bytes((self.rest as u16).to_le_bytes())
    }

    /// Destination port, host order.
    #[inline(always)]
    pub const fn dport(&self) -> u16 {
        u16::from_be_bytes(((self.rest >> 16) as u16).to_le_bytes())
    }

    /// IANA protocol number.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        (self.rest >> 32) as u8
    }

    /// Source address and port.
    pub const fn source(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.src(), self.sport())
    }

    /// Destination address and port.
    pub const fn destination(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.dst(), self.dport())
    }
}

/// `service_key` of the flows toward this service; `port` in host order.
#[inline]
pub const fn service_key(protocol: u8, address: Ipv4Addr, port: u16) -> u64 {
    let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    TupleV4::new(nobody, SocketAddrV4::new(address, port), protocol).service_key()
}

impl fmt::Debug for TupleV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}>{}",
            self.protocol(),
            self.source(),
            self.destination()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple() -> TupleV4 {
        TupleV4::new(
            "198.51.100.7:40000".parse().unwrap(),
            "203.0.113.10:443".parse().unwrap(),
            6,
        )
    }

    #[test]
    fn it_gives_back_what_it_was_made_of() {
        let t = tuple();
        assert_eq!(t.source().to_string(), "198.51.100.7:40000");
        assert_eq!(t.destination().to_string(), "203.0.113.10:443");
        assert_eq!(t.protocol(), 6);
        assert_eq!(format!("{t:?}"), "6/198.51.100.7:40000>203.0.113.10:443");
        assert_eq!(core::mem::size_of::<TupleV4>(), 16);
    }

    #[test]
    fn reversing_swaps_both_ends_and_nothing_else() {
        let r = tuple().reversed();
        assert_eq!(r.source(), tuple().destination());
        assert_eq!(r.destination(), tuple().source());
        assert_eq!(r.protocol(), 6);
        assert_eq!(r.reversed(), tuple());
    }

    #[test]
    fn the_service_key_is_that_of_the_destination() {
        let t = tuple();
        assert_eq!(
            t.service_key(),
            service_key(6, Ipv4Addr::new(203, 0, 113, 10), 443)
        );
        assert_ne!(
            t.service_key(),
            service_key(17, Ipv4Addr::new(203, 0, 113, 10), 443)
        );
        assert_ne!(t.service_key(), t.reversed().service_key());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What tells one flow from another.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::address::{address_of_words, address_words, Address};
use super::csum::Delta;
use super::hash::{self, Key};
use super::service_key::ServiceKey;

/// Addresses, ports and protocol of a packet.
pub trait Tuple: Copy + fmt::Debug + PartialEq + Eq + Send + Sync + 'static {
    /// An address of its family.
    type Address: Address;
    /// Its family's version.
    const VERSION: u8;

    /// A tuple of two ends, ports in host order; `protocol` is the IANA number.
    fn between(src: (Self::Address, u16), dst: (Self::Address, u16), protocol: u8) -> Self;
    /// The same flow seen from the other side.
    fn reversed(&self) -> Self;
    /// Keyed hash; all bits are usable.
    fn hash(&self, key: &Key) -> u64;
    /// What a service is looked up by.
    fn service_key(&self) -> ServiceKey;
    /// Source address.
    fn src(&self) -> Self::Address;
    /// Destination address.
    fn dst(&self) -> Self::Address;
    /// Source port, host order.
    fn sport(&self) -> u16;
    /// Destination port, host order.
    fn dport(&self) -> u16;
    /// Both ports as in the header, read as one little-endian number.
    fn ports(&self) -> u32;
    /// IANA protocol number.
    fn protocol(&self) -> u8;
    /// What the addresses add to a sum.
    fn address_sum(&self) -> Delta;

    /// Source address and port.
    fn source(&self) -> SocketAddr {
        SocketAddr::new(self.src().into(), self.sport())
    }

    /// Destination address and port.
    fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.dst().into(), self.dport())
    }
}

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
}

impl Tuple for TupleV4 {
    type Address = Ipv4Addr;
    const VERSION: u8 = 4;

    #[inline(always)]
    fn between(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), protocol: u8) -> Self {
        Self::new(
            SocketAddrV4::new(src.0, src.1),
            SocketAddrV4::new(dst.0, dst.1),
            protocol,
        )
    }

    #[inline(always)]
    fn reversed(&self) -> Self {
        let ports = self.rest as u32;
        Self {
            addresses: self.addresses.rotate_left(32),
            rest: (self.rest >> 32 << 32) | u64::from(ports.rotate_left(16)),
        }
    }

    #[inline(always)]
    fn hash(&self, key: &Key) -> u64 {
        hash::tuple_v4(key, self.words())
    }

    #[inline(always)]
    fn service_key(&self) -> ServiceKey {
        ServiceKey::of([self.addresses >> 32, 0], self.rest, Self::VERSION)
    }

    #[inline(always)]
    fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from((self.addresses as u32).to_le_bytes())
    }

    #[inline(always)]
    fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from(((self.addresses >> 32) as u32).to_le_bytes())
    }

    #[inline(always)]
    fn sport(&self) -> u16 {
        sport(self.rest)
    }

    #[inline(always)]
    fn dport(&self) -> u16 {
        dport(self.rest)
    }

    #[inline(always)]
    fn ports(&self) -> u32 {
        self.rest as u32
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        (self.rest >> 32) as u8
    }

    #[inline(always)]
    fn address_sum(&self) -> Delta {
        Delta::of_u64(0, self.addresses)
    }
}

/// Addresses, ports and protocol of an IPv6 packet, in 40 bytes: as [`TupleV4`], with two words an
/// address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TupleV6 {
    src: [u64; 2],
    dst: [u64; 2],
    rest: u64,
}

impl TupleV6 {
    /// A tuple of addresses and ports; ports in host order, `protocol` is the IANA number. Flow
    /// labels and scopes do not count.
    pub fn new(src: SocketAddrV6, dst: SocketAddrV6, protocol: u8) -> Self {
        Self::between((*src.ip(), src.port()), (*dst.ip(), dst.port()), protocol)
    }

    /// A tuple of the two addresses, each read from the header as two little-endian numbers, and of
    /// the two ports, read as one.
    #[inline(always)]
    pub const fn from_words(src: [u64; 2], dst: [u64; 2], ports: u32, protocol: u8) -> Self {
        Self {
            src,
            dst,
            rest: ports as u64 | ((protocol as u64) << 32),
        }
    }

    /// The words: source, destination; ports and, from bit 32, the protocol. The top 24 bits of
    /// the last are 0.
    #[inline(always)]
    pub const fn words(&self) -> ([u64; 2], [u64; 2], u64) {
        (self.src, self.dst, self.rest)
    }
}

impl Tuple for TupleV6 {
    type Address = Ipv6Addr;
    const VERSION: u8 = 6;

    #[inline]
    fn between(src: (Ipv6Addr, u16), dst: (Ipv6Addr, u16), protocol: u8) -> Self {
        let sport = u16::from_le_bytes(src.1.to_be_bytes());
        let dport = u16::from_le_bytes(dst.1.to_be_bytes());
        Self::from_words(
            address_words(src.0),
            address_words(dst.0),
            u32::from(sport) | (u32::from(dport) << 16),
            protocol,
        )
    }

    #[inline(always)]
    fn reversed(&self) -> Self {
        let ports = self.rest as u32;
        Self {
            src: self.dst,
            dst: self.src,
            rest: (self.rest >> 32 << 32) | u64::from(ports.rotate_left(16)),
        }
    }

    #[inline(always)]
    fn hash(&self, key: &Key) -> u64 {
        hash::tuple_v6(key, self.words())
    }

    #[inline(always)]
    fn service_key(&self) -> ServiceKey {
        ServiceKey::of(self.dst, self.rest, Self::VERSION)
    }

    #[inline(always)]
    fn src(&self) -> Ipv6Addr {
        address_of_words(self.src)
    }

    #[inline(always)]
    fn dst(&self) -> Ipv6Addr {
        address_of_words(self.dst)
    }

    #[inline(always)]
    fn sport(&self) -> u16 {
        sport(self.rest)
    }

    #[inline(always)]
    fn dport(&self) -> u16 {
        dport(self.rest)
    }

    #[inline(always)]
    fn ports(&self) -> u32 {
        self.rest as u32
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        (self.rest >> 32) as u8
    }

    #[inline(always)]
    fn address_sum(&self) -> Delta {
        let [s0, s1] = self.src;
        let [d0, d1] = self.dst;
        Delta::of_u64(0, s0)
            .and(Delta::of_u64(0, s1))
            .and(Delta::of_u64(0, d0))
            .and(Delta::of_u64(0, d1))
    }
}

impl fmt::Debug for TupleV6 {
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

#[inline(always)]
const fn sport(rest: u64) -> u16 {
    u16::from_be_bytes((rest as u16).to_le_bytes())
}

#[inline(always)]
const fn dport(rest: u64) -> u16 {
    u16::from_be_bytes(((rest >> 16) as u16).to_le_bytes())
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
            ServiceKey::new(6, Ipv4Addr::new(203, 0, 113, 10).into(), 443)
        );
        assert_ne!(
            t.service_key(),
            ServiceKey::new(17, Ipv4Addr::new(203, 0, 113, 10).into(), 443)
        );
        assert_ne!(t.service_key(), t.reversed().service_key());
        let all = ServiceKey::new(6, Ipv4Addr::new(203, 0, 113, 10).into(), 0);
        assert_eq!(t.service_key().all_ports(), all);
    }

    #[test]
    fn ipv6_as_well() {
        let t = TupleV6::new(
            "[2001:db8::7]:40000".parse().unwrap(),
            "[2001:db8:0:1::10]:443".parse().unwrap(),
            6,
        );
        let text = "6/[2001:db8::7]:40000>[2001:db8:0:1::10]:443";
        assert_eq!(format!("{t:?}"), text);
        assert_eq!(core::mem::size_of::<TupleV6>(), 40);
        assert_eq!(t.reversed().source(), t.destination());
        assert_eq!(t.reversed().destination(), t.source());
        assert_eq!(t.reversed().reversed(), t);
        let key = |address: &str, port| ServiceKey::new(6, address.parse().unwrap(), port);
        assert_eq!(t.service_key(), key("2001:db8:0:1::10", 443));
        assert_ne!(t.service_key(), key("2001:db8:0:1::10", 444));
        assert_ne!(t.service_key(), key("2001:db8::10", 443));
        // ::1 has the words of no IPv4 address with the same family.
        assert_ne!(key("1.0.0.0", 443), key("100::", 443));
    }
}

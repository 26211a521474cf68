// SPDX-License-Identifier: GPL-2.0

//! What differs between IPv4 and IPv6, for code that is written once.

use core::fmt::Debug;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::csum::Delta;
use super::hash::Key;
use super::tuple::{ServiceKey, TupleV4, TupleV6};
use super::wire::{Error, Ipv4, Ipv6};

/// A version of the Internet Protocol.
pub trait Family: Copy + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// What tells its flows apart.
    type Tuple: Tuple;
    /// Its header.
    type Ip: IpHeader<Tuple = Self::Tuple>;
    /// As the header's version field has it.
    const VERSION: u8;
    /// IANA number of its ICMP.
    const ICMP: u8;
    /// IANA number of its packets inside others.
    const IN_IP: u8;
}

/// IPv4, RFC 791.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V4;

/// IPv6, RFC 8200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V6;

impl Family for V4 {
    type Tuple = TupleV4;
    type Ip = Ipv4;
    const VERSION: u8 = 4;
    const ICMP: u8 = 1;
    const IN_IP: u8 = 4;
}

impl Family for V6 {
    type Tuple = TupleV6;
    type Ip = Ipv6;
    const VERSION: u8 = 6;
    const ICMP: u8 = 58;
    const IN_IP: u8 = 41;
}

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

/// Addresses, ports and protocol of a packet.
pub trait Tuple: Copy + Debug + PartialEq + Eq + Send + Sync + 'static {
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

/// What RVS needs of an IP header.
pub trait IpHeader: Copy + Debug + PartialEq + Eq {
    /// What tells its family's flows apart.
    type Tuple: Tuple;

    /// Reads the header at the start of `head`, the linear part of a packet of `len` bytes. The
    /// payload may be padded: what is past the total length does not count.
    ///
    /// # Errors
    ///
    /// `NotLinear`, `Short`, `Version`, `HeaderLength`, `TotalLength`; `Protocol` for headers
    /// between this and the payload that only the host itself can judge.
    fn parse(head: &[u8], len: usize) -> Result<Self, Error>;

    /// Reads the header at `offset`, of a packet of which an ICMP error has the start: its total
    /// length is not checked.
    ///
    /// # Errors
    ///
    /// Those of [`IpHeader::parse`] but `TotalLength`.
    fn parse_at(head: &[u8], offset: usize, len: usize) -> Result<Self, Error>;

    /// Bytes in front of the payload.
    fn header_len(&self) -> usize;
    /// Bytes of header and payload.
    fn total_len(&self) -> usize;
    /// IANA number of the payload's protocol.
    fn protocol(&self) -> u8;
    /// Time to live, or hop limit.
    fn ttl(&self) -> u8;
    /// Type of service, or traffic class.
    fn tos(&self) -> u8;
    /// Whether routers may not fragment it.
    fn dont_fragment(&self) -> bool;
    /// Whether routers may not fragment an IPv4 packet that it travels in: as it says itself where it
    /// is IPv4. As in `ip_vs` they may where it is IPv6, since nobody tells its sender what routers
    /// between director and dest take.
    fn dont_fragment_around(&self) -> bool;
    /// Whether this is part of a larger packet.
    fn is_fragment(&self) -> bool;
    /// Whether the payload's first bytes are in an earlier fragment.
    fn is_later_fragment(&self) -> bool;
    /// The tuple that it makes with two ports, read from their header as one little-endian number.
    fn tuple(&self, ports: u32) -> Self::Tuple;

    /// Gives the header at the start of `header` the addresses of `to`; `delta` is what that
    /// changes in sums. None when `header` is too short.
    fn set_addresses(header: &mut [u8], to: &Self::Tuple, delta: Delta) -> Option<()>;

    /// Gives the header at the start of `header` that time to live or hop limit. None when it is too
    /// short.
    fn set_ttl(header: &mut [u8], ttl: u8) -> Option<()>;

    /// Makes the header at the start of `header` say that the packet is longer by `more` bytes.
    /// None when `header` is too short.
    fn lengthen(header: &mut [u8], more: u16) -> Option<()>;

    /// Bytes of a header without options or extensions.
    const FIXED_LEN: usize;

    /// Where in it the addresses start; they are its end.
    const ADDRESSES: usize;

    /// Makes the header at the start of `header` one without options or extensions, of an
    /// unfragmented packet with `payload` bytes of `protocol`. None when `header` is too short.
    fn strip(header: &mut [u8], protocol: u8, payload: u16) -> Option<()>;
}

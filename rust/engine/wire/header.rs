// SPDX-License-Identifier: GPL-2.0

//! What the IP headers of both versions have.

use super::super::csum::Delta;
use super::super::tuple::Tuple;
use super::Error;
use core::fmt::Debug;

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

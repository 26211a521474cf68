// SPDX-License-Identifier: GPL-2.0

//! A whole TCP or UDP packet's headers.

use super::super::tuple::TupleV4;
use super::{Error, Ipv4, Segment};

/// An IPv4 packet that a service could be meant by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketV4 {
    /// Its flow.
    pub tuple: TupleV4,
    /// Its IP header.
    pub ip: Ipv4,
    /// Its TCP or UDP header.
    pub segment: Segment,
}

impl PacketV4 {
    /// Reads the headers at the start of `head`, the linear part of a packet of `len` bytes.
    ///
    /// Callers that can turn strangers away by the address alone take [`Ipv4::parse`] first and
    /// then [`PacketV4::from_ip`].
    ///
    /// # Errors
    ///
    /// All but `IcmpQuery`; ICMP is `Protocol` here, see [`super::IcmpError`].
    #[inline(always)]
    pub fn parse(head: &[u8], len: usize) -> Result<Self, Error> {
        Self::from_ip(head, Ipv4::parse(head, len)?)
    }

    /// Reads the rest of a packet whose IP header was read from `head`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::parse`].
    #[inline(always)]
    pub fn from_ip(head: &[u8], ip: Ipv4) -> Result<Self, Error> {
        let segment = Segment::parse(head, &ip)?;
        Ok(Self {
            tuple: TupleV4::from_words(ip.addresses, segment.ports, ip.protocol),
            ip,
            segment,
        })
    }

    /// Bytes of all its headers, from the IP header on.
    #[inline(always)]
    pub const fn headers_len(&self) -> usize {
        self.ip.header_len.saturating_add(self.segment.header_len)
    }
}

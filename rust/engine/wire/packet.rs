// SPDX-License-Identifier: GPL-2.0

//! A whole packet's headers.

use super::super::family::{Family, IpHeader};
use super::{Error, Segment};

/// A packet that a service could be meant by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<F: Family> {
    /// Its flow.
    pub tuple: F::Tuple,
    /// Its IP header.
    pub ip: F::Ip,
    /// Its transport header.
    pub segment: Segment,
}

impl<F: Family> Packet<F> {
    /// Reads the headers at the start of `head`, the linear part of a packet of `len` bytes.
    ///
    /// Callers that can turn strangers away by the address alone take [`IpHeader::parse`] first and
    /// then [`Packet::from_ip`].
    ///
    /// # Errors
    ///
    /// All but `IcmpQuery`; ICMP is `Protocol` here, see [`super::IcmpError`].
    pub fn parse(head: &[u8], len: usize) -> Result<Self, Error> {
        Self::from_ip(head, F::Ip::parse(head, len)?)
    }

    /// As [`Packet::parse`], but SCTP is `Protocol` too: for where each instruction counts.
    ///
    /// # Errors
    ///
    /// The same.
    #[inline(always)]
    pub fn frequent(head: &[u8], len: usize) -> Result<Self, Error> {
        let ip = F::Ip::parse(head, len)?;
        let segment = Segment::frequent(head, &ip)?;
        Ok(Self::new(ip, segment))
    }

    /// Reads the rest of a packet whose IP header was read from `head`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::parse`].
    pub fn from_ip(head: &[u8], ip: F::Ip) -> Result<Self, Error> {
        let segment = Segment::parse(head, &ip)?;
        Ok(Self::new(ip, segment))
    }

    #[inline(always)]
    fn new(ip: F::Ip, segment: Segment) -> Self {
        Self {
            tuple: ip.tuple(segment.ports),
            ip,
            segment,
        }
    }

    /// Bytes of all its headers, from the IP header on.
    #[inline(always)]
    pub fn headers_len(&self) -> usize {
        self.ip.header_len().saturating_add(self.segment.header_len)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! ICMP errors (RFC 792) and the packet they are about.

use super::super::tuple::TupleV4;
use super::{chunk, Error, Ipv4, ICMP, TCP, UDP};

/// Type: destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Type: time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Type: parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;

/// Code of [`UNREACHABLE`]: too big and may not be fragmented.
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// Length of the ICMP header, in bytes.
const HEADER_LEN: usize = 8;

/// Bytes of the inner payload that every error carries.
const INNER_PAYLOAD: usize = 8;

/// An ICMP error about a TCP or UDP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// [`UNREACHABLE`], [`TIME_EXCEEDED`] or [`PARAMETER_PROBLEM`].
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Next hop's MTU in bytes (RFC 1191); 0 unless fragmentation is needed and the router says it.
    pub mtu: u16,
    /// Where the inner IP header starts, in bytes from the outer one.
    pub inner_offset: usize,
    /// The inner IP header; its total length is what the packet had, not what is here.
    pub inner: Ipv4,
    /// Flow of the inner packet: its destination is whom the error's receiver was talking to.
    pub tuple: TupleV4,
}

impl IcmpError {
    /// Reads the ICMP message behind `ip` in `head`, the linear part of a packet.
    ///
    /// `ip_vs` also takes source quench, which RFC 6633 abolished, and no parameter problem.
    ///
    /// # Errors
    ///
    /// `Fragment` when it or the inner packet is a fragment without ports, `Protocol` when it is
    /// not ICMP or not about TCP or UDP, `IcmpQuery` for other types; `NotLinear`, `Short`, and
    /// `Version` and `HeaderLength` of the inner header.
    #[inline]
    pub fn parse(head: &[u8], ip: &Ipv4) -> Result<Self, Error> {
        if ip.is_fragment() {
            return Err(Error::Fragment);
        }
        if ip.protocol != ICMP {
            return Err(Error::Protocol);
        }
        let len = ip.total_len;
        let head = head.get(..len).unwrap_or(head);
        let &[kind, code, _, _, _, _, m0, m1] = chunk::<HEADER_LEN>(head, ip.header_len, len)?;
        if !matches!(kind, UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM) {
            return Err(Error::IcmpQuery);
        }
        let inner_offset = ip.header_len.saturating_add(HEADER_LEN);
        let inner = Ipv4::parse_at(head, inner_offset, len)?;
        if inner.is_later_fragment() {
            return Err(Error::Fragment);
        }
        if !matches!(inner.protocol, TCP | UDP) {
            return Err(Error::Protocol);
        }
        let payload = inner_offset.saturating_add(inner.header_len);
        let &[p0, p1, p2, p3, ..] = chunk::<INNER_PAYLOAD>(head, payload, len)?;
        let mtu = if kind == UNREACHABLE && code == FRAGMENTATION_NEEDED {
            u16::from_be_bytes([m0, m1])
        } else {
            0
        };
        Ok(Self {
            kind,
            code,
            mtu,
            inner_offset,
            inner,
            tuple: TupleV4::from_words(
                inner.addresses,
                u32::from_le_bytes([p0, p1, p2, p3]),
                inner.protocol,
            ),
        })
    }
}

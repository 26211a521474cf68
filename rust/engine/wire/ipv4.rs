// SPDX-License-Identifier: GPL-2.0

//! The IPv4 header, RFC 791.

use super::{chunk, Error};

/// Length of a header without options, in bytes.
pub const MIN_LEN: usize = 20;

/// "More fragments" and the offset, in the host-order fragment field.
const FRAGMENT_MASK: u16 = 0x3fff;

/// The offset alone.
const OFFSET_MASK: u16 = 0x1fff;

/// Longest packet whose length the header can say.
const MAX_LEN: usize = 65_535;

/// What RVS needs of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Source and destination address, read as one little-endian number.
    pub addresses: u64,
    /// Length of the header with its options, in bytes: 20 to 60.
    pub header_len: usize,
    /// Length of header and payload, in bytes.
    pub total_len: usize,
    /// IANA number of the payload's protocol.
    pub protocol: u8,
    /// Type of service (DSCP and ECN).
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// Flags and fragment offset, host order.
    pub fragment: u16,
}

impl Ipv4 {
    /// Reads the header at the start of `head`, the linear part of a packet of `len` bytes.
    ///
    /// The payload may be padded: what is past the total length does not count. A total length of
    /// 0 is that of a TCP packet of more than 64 KiB on its way through the host (BIG TCP,
    /// `skb_ip_totlen` in `include/linux/ip.h`).
    ///
    /// # Errors
    ///
    /// `NotLinear`, `Short`, `Version`, `HeaderLength`, `TotalLength`.
    #[inline(always)]
    pub fn parse(head: &[u8], len: usize) -> Result<Self, Error> {
        let mut ip = Self::parse_at(head, 0, len)?;
        if ip.total_len == 0 && len > MAX_LEN {
            ip.total_len = len;
        }
        if ip.total_len < ip.header_len || ip.total_len > len {
            return Err(Error::TotalLength);
        }
        if ip.header_len > head.len() {
            return Err(Error::NotLinear(ip.header_len));
        }
        Ok(ip)
    }

    /// Reads the header at `offset` and leaves the total length unchecked.
    #[inline(always)]
    pub(super) fn parse_at(head: &[u8], offset: usize, len: usize) -> Result<Self, Error> {
        let fixed: &[u8; MIN_LEN] = chunk(head, offset, len)?;
        let [first, tos, t0, t1, _, _, f0, f1, ttl, protocol, _, _, addresses @ ..] = *fixed;
        // One comparison for the header everybody sends.
        if first != 0x45 {
            if first >> 4 != 4 {
                return Err(Error::Version);
            }
            if first & 15 < 5 {
                return Err(Error::HeaderLength);
            }
        }
        Ok(Self {
            addresses: u64::from_le_bytes(addresses),
            header_len: usize::from(first & 15) << 2,
            total_len: usize::from(u16::from_be_bytes([t0, t1])),
            protocol,
            tos,
            ttl,
            fragment: u16::from_be_bytes([f0, f1]),
        })
    }

    /// Whether this is part of a larger packet.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.fragment & FRAGMENT_MASK != 0
    }

    /// Whether the payload's first bytes are in an earlier fragment.
    #[inline(always)]
    pub const fn is_later_fragment(&self) -> bool {
        self.fragment & OFFSET_MASK != 0
    }

    /// Whether it may not be fragmented.
    #[inline(always)]
    pub const fn dont_fragment(&self) -> bool {
        self.fragment & 0x4000 != 0
    }

    /// Destination address as the four bytes of the header read as a little-endian number.
    #[inline(always)]
    pub const fn destination(&self) -> u32 {
        (self.addresses >> 32) as u32
    }
}

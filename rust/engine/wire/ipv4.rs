// SPDX-License-Identifier: GPL-2.0

//! The IPv4 header, RFC 791.

use super::super::csum::{self, Delta};
use super::super::family::IpHeader;
use super::super::tuple::TupleV4;
use super::{chunk, Error};

/// Length of a header without options, in bytes.
pub const MIN_LEN: usize = 20;

/// Where the checksum is.
const CHECKSUM: usize = 10;

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

impl IpHeader for Ipv4 {
    type Tuple = TupleV4;

    /// A total length of 0 is that of a TCP packet of more than 64 KiB on its way through the host
    /// (BIG TCP, `skb_ip_totlen` in `include/linux/ip.h`).
    #[inline(always)]
    fn parse(head: &[u8], len: usize) -> Result<Self, Error> {
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

    #[inline(always)]
    fn parse_at(head: &[u8], offset: usize, len: usize) -> Result<Self, Error> {
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

    #[inline(always)]
    fn header_len(&self) -> usize {
        self.header_len
    }

    #[inline(always)]
    fn total_len(&self) -> usize {
        self.total_len
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.protocol
    }

    #[inline(always)]
    fn ttl(&self) -> u8 {
        self.ttl
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.tos
    }

    #[inline(always)]
    fn dont_fragment(&self) -> bool {
        self.fragment & 0x4000 != 0
    }

    #[inline(always)]
    fn dont_fragment_around(&self) -> bool {
        self.dont_fragment()
    }

    #[inline(always)]
    fn is_fragment(&self) -> bool {
        self.fragment & FRAGMENT_MASK != 0
    }

    #[inline(always)]
    fn is_later_fragment(&self) -> bool {
        self.fragment & OFFSET_MASK != 0
    }

    #[inline(always)]
    fn tuple(&self, ports: u32) -> TupleV4 {
        TupleV4::from_words(self.addresses, ports, self.protocol)
    }

    #[inline(always)]
    fn set_addresses(header: &mut [u8], to: &TupleV4, delta: Delta) -> Option<()> {
        mend(header, delta)?;
        *header.get_mut(Self::ADDRESSES..)?.first_chunk_mut()? = to.words().0.to_le_bytes();
        Some(())
    }

    fn set_ttl(header: &mut [u8], ttl: u8) -> Option<()> {
        let [old, protocol] = header.get_mut(8..)?.first_chunk_mut::<2>()?;
        let words = [*old, ttl].map(|ttl| u16::from_le_bytes([ttl, *protocol]));
        *old = ttl;
        mend(header, Delta::of_u16(words[0], words[1]))
    }

    fn lengthen(header: &mut [u8], more: u16) -> Option<()> {
        let total = header.get_mut(2..)?.first_chunk_mut::<2>()?;
        let old = *total;
        // 0 is a packet of more than 64 KiB on its way through the host (BIG TCP).
        if old == [0, 0] {
            return Some(());
        }
        let len = u16::from_be_bytes(old).checked_add(more);
        *total = len.unwrap_or(0).to_be_bytes();
        let delta = Delta::of_u16(u16::from_le_bytes(old), u16::from_le_bytes(*total));
        mend(header, delta)
    }

    const FIXED_LEN: usize = MIN_LEN;
    const ADDRESSES: usize = 12;

    fn strip(header: &mut [u8], protocol: u8, payload: u16) -> Option<()> {
        let header = header.first_chunk_mut::<MIN_LEN>()?;
        let [l0, l1] = payload.checked_add(MIN_LEN as u16)?.to_be_bytes();
        let [_, tos, _, _, _, _, _, _, ttl, ..] = *header;
        // No id, not to be fragmented, no checksum yet.
        let start = [0x45, tos, l0, l1, 0, 0, 0x40, 0, ttl, protocol, 0, 0];
        *header.first_chunk_mut()? = start;
        let checksum = csum::of(header).to_le_bytes();
        *header.get_mut(CHECKSUM..)?.first_chunk_mut()? = checksum;
        Some(())
    }
}

/// Mends the header's checksum.
#[inline(always)]
fn mend(header: &mut [u8], delta: Delta) -> Option<()> {
    let checksum = header.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    *checksum = delta.apply(u16::from_le_bytes(*checksum)).to_le_bytes();
    Some(())
}

// SPDX-License-Identifier: GPL-2.0

//! The IPv6 header and those between it and the payload, RFC 8200.

use super::super::csum::Delta;
use super::super::family::IpHeader;
use super::super::tuple::TupleV6;
use super::{chunk, Error};

/// Length of the fixed header, in bytes.
pub const LEN: usize = 40;

/// Longest payload whose length the header can say.
const MAX_PAYLOAD: usize = 65_535;

/// Headers between the fixed one and the payload that are looked behind, at most. RFC 8200 has each
/// of them once, but for destination options.
const EXTENSIONS_MAX: usize = 8;

/// Hop-by-hop options.
const HOP_BY_HOP: u8 = 0;
/// Routing.
const ROUTING: u8 = 43;
/// Fragment.
const FRAGMENT: u8 = 44;
/// Destination options.
const DESTINATION: u8 = 60;

/// "More fragments" and the offset, in the host-order field.
const FRAGMENT_MASK: u16 = 0xfff9;

/// The offset alone.
const OFFSET_MASK: u16 = 0xfff8;

/// What RVS needs of an IPv6 header and its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Source address, read as two little-endian numbers.
    pub source: [u64; 2],
    /// Destination address, likewise.
    pub destination: [u64; 2],
    /// Bytes in front of the payload: 40 and the extensions'.
    pub header_len: usize,
    /// Bytes of header, extensions and payload.
    pub total_len: usize,
    /// IANA number of the payload's protocol.
    pub protocol: u8,
    /// Traffic class (DSCP and ECN).
    pub class: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Fragment offset and flags, host order; 0 for a whole packet.
    pub fragment: u16,
}

impl Ipv6 {
    /// Looks behind the extension headers.
    #[cold]
    fn skip_extensions(&mut self, head: &[u8], offset: usize, len: usize) -> Result<(), Error> {
        for _ in 0..EXTENSIONS_MAX {
            let at = offset.saturating_add(self.header_len);
            let &[next, words, f0, f1, ..] = match self.protocol {
                HOP_BY_HOP | ROUTING | DESTINATION | FRAGMENT => chunk::<8>(head, at, len)?,
                _ => return Ok(()),
            };
            let mut extension = 8;
            match self.protocol {
                FRAGMENT => self.fragment = u16::from_be_bytes([f0, f1]) & FRAGMENT_MASK,
                // With segments left, its destination is not the one that it ends at.
                ROUTING if f1 != 0 => return Err(Error::Protocol),
                _ => extension = usize::from(words).saturating_add(1).saturating_mul(8),
            }
            self.protocol = next;
            self.header_len = self.header_len.saturating_add(extension);
            if self.fragment != 0 {
                // What follows is the fragment's payload.
                return Ok(());
            }
        }
        Err(Error::Protocol)
    }
}

/// A header without extensions, from the source to the destination of `to`, for a payload of so
/// many bytes; one that is too long gets 0, and whoever cuts it completes the pieces'.
pub fn header(class: u8, next: u8, to: &TupleV6, payload: usize, hop_limit: u8) -> [u8; LEN] {
    let [l0, l1] = u16::try_from(payload).unwrap_or(0).to_be_bytes();
    let mut header = [0; LEN];
    let start = [
        0x60 | (class >> 4),
        class << 4,
        0,
        0,
        l0,
        l1,
        next,
        hop_limit,
    ];
    let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = &mut header;
    [*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7] = start;
    // The array is as long as the header.
    let _ = Ipv6::set_addresses(&mut header, to, Delta::NONE);
    header
}

impl IpHeader for Ipv6 {
    type Tuple = TupleV6;

    #[inline(always)]
    fn parse(head: &[u8], len: usize) -> Result<Self, Error> {
        let mut ip = Self::parse_at(head, 0, len)?;
        if ip.total_len == LEN && len > MAX_PAYLOAD.saturating_add(LEN) {
            // A TCP packet of more than 64 KiB on its way through the host (BIG TCP).
            ip.total_len = len;
        }
        if ip.header_len > ip.total_len || ip.total_len > len {
            return Err(Error::TotalLength);
        }
        if ip.header_len > head.len() {
            return Err(Error::NotLinear(ip.header_len));
        }
        Ok(ip)
    }

    #[inline(always)]
    fn parse_at(head: &[u8], offset: usize, len: usize) -> Result<Self, Error> {
        let fixed: &[u8; LEN] = chunk(head, offset, len)?;
        let [v, c, _, _, l0, l1, next, hop_limit, addresses @ ..] = *fixed;
        if v >> 4 != 6 {
            return Err(Error::Version);
        }
        let [s0, s1, d0, d1] = words(&addresses);
        let payload = usize::from(u16::from_be_bytes([l0, l1]));
        let mut ip = Self {
            source: [s0, s1],
            destination: [d0, d1],
            header_len: LEN,
            total_len: LEN.saturating_add(payload),
            protocol: next,
            class: (v << 4) | (c >> 4),
            hop_limit,
            fragment: 0,
        };
        if !matches!(next, super::TCP | super::UDP) {
            ip.skip_extensions(head, offset, len)?;
        }
        Ok(ip)
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
        self.hop_limit
    }

    #[inline(always)]
    fn tos(&self) -> u8 {
        self.class
    }

    #[inline(always)]
    fn dont_fragment(&self) -> bool {
        true
    }

    #[inline(always)]
    fn dont_fragment_around(&self) -> bool {
        false
    }

    #[inline(always)]
    fn is_fragment(&self) -> bool {
        self.fragment != 0
    }

    #[inline(always)]
    fn is_later_fragment(&self) -> bool {
        self.fragment & OFFSET_MASK != 0
    }

    #[inline(always)]
    fn tuple(&self, ports: u32) -> TupleV6 {
        TupleV6::from_words(self.source, self.destination, ports, self.protocol)
    }

    #[inline(always)]
    fn set_addresses(header: &mut [u8], to: &TupleV6, _delta: Delta) -> Option<()> {
        let addresses = header.get_mut(Self::ADDRESSES..)?.first_chunk_mut::<32>()?;
        let ([s0, s1], [d0, d1], _) = to.words();
        let words = [s0, s1, d0, d1];
        for (to, from) in addresses.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        Some(())
    }

    fn set_ttl(header: &mut [u8], ttl: u8) -> Option<()> {
        *header.get_mut(7)? = ttl;
        Some(())
    }

    fn lengthen(header: &mut [u8], more: u16) -> Option<()> {
        let payload = header.get_mut(4..)?.first_chunk_mut::<2>()?;
        let old = u16::from_be_bytes(*payload);
        // 0 is a packet of more than 64 KiB on its way through the host (BIG TCP).
        if old != 0 {
            *payload = old.checked_add(more).unwrap_or(0).to_be_bytes();
        }
        Some(())
    }

    const FIXED_LEN: usize = LEN;
    const ADDRESSES: usize = 8;

    fn strip(header: &mut [u8], protocol: u8, payload: u16) -> Option<()> {
        let [l0, l1] = payload.to_be_bytes();
        *header.get_mut(4..)?.first_chunk_mut()? = [l0, l1, protocol];
        Some(())
    }
}

/// The four words of two addresses.
#[inline(always)]
fn words(addresses: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(addresses.chunks_exact(8)) {
        if let Some(bytes) = bytes.first_chunk() {
            *word = u64::from_le_bytes(*bytes);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::super::family::Tuple as _;
    use super::super::{TCP, UDP};
    use super::*;

    /// A header with that next header, and `payload` behind it.
    fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x6a, 0xb0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next, 63]);
        packet.extend(1..=32);
        packet.extend(payload);
        packet
    }

    fn parse(packet: &[u8]) -> Result<Ipv6, Error> {
        Ipv6::parse(packet, packet.len())
    }

    #[test]
    fn fields_of_the_fixed_header() {
        let ip = parse(&packet(TCP, &[0; 20])).unwrap();
        assert_eq!((ip.protocol, ip.header_len, ip.total_len), (TCP, 40, 60));
        assert_eq!((ip.class, ip.hop_limit, ip.fragment), (0xab, 63, 0));
        let tuple = ip.tuple(0x0403_0201);
        let text = "6/[102:304:506:708:90a:b0c:d0e:f10]:258";
        assert!(format!("{tuple:?}").starts_with(text), "{tuple:?}");
        let mut header = packet(TCP, &[]);
        Ipv6::set_addresses(&mut header, &tuple.reversed(), Delta::NONE).unwrap();
        let turned = parse(&header).unwrap();
        assert_eq!(
            (turned.source, turned.destination),
            (ip.destination, ip.source)
        );
    }

    #[test]
    fn extensions_are_looked_behind() {
        let mut payload = vec![60, 0, 0, 0, 0, 0, 0, 0];
        payload.extend([43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        payload.extend([44, 0, 4, 0, 0, 0, 0, 0]);
        payload.extend([UDP, 0, 0, 0, 1, 2, 3, 4]);
        payload.extend([0; 8]);
        let ip = parse(&packet(0, &payload)).unwrap();
        assert_eq!((ip.protocol, ip.header_len), (UDP, 80));
        assert!(!ip.is_fragment());
        // As much of it as there is.
        let whole = packet(0, &payload);
        assert_eq!(Ipv6::parse(&whole[..60], 88), Err(Error::NotLinear(72)));
        let cut = packet(0, &payload[..20]);
        assert_eq!(parse(&cut), Err(Error::Short));
    }

    #[test]
    fn fragments() {
        for (field, later) in [(1u16, false), (8, true), (9, true)] {
            let [f0, f1] = field.to_be_bytes();
            let ip = parse(&packet(44, &[TCP, 0, f0, f1, 0, 0, 0, 1, 9, 9])).unwrap();
            assert!(ip.is_fragment());
            assert_eq!((ip.is_later_fragment(), ip.protocol), (later, TCP));
        }
    }

    #[test]
    fn what_is_not_for_us_to_judge() {
        let segments_left = [TCP, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(parse(&packet(43, &segments_left)), Err(Error::Protocol));
        let endless = [60, 0, 0, 0, 0, 0, 0, 0].repeat(20);
        assert_eq!(parse(&packet(60, &endless)), Err(Error::Protocol));
        assert_eq!(parse(&packet(51, &[0; 8])).unwrap().protocol, 51);
    }

    #[test]
    fn lies_about_lengths() {
        let mut long = packet(TCP, &[0; 20]);
        long[5] = 21;
        assert_eq!(parse(&long), Err(Error::TotalLength));
        long[0] = 0x45;
        assert_eq!(parse(&long), Err(Error::Version));
        assert_eq!(parse(&long[..39]), Err(Error::Short));
        let mut giant = packet(TCP, &[0; 70_000]);
        giant[4..6].fill(0);
        assert_eq!(parse(&giant).unwrap().total_len, 70_040);
        Ipv6::lengthen(&mut giant, 8).unwrap();
        assert_eq!(giant[4..6], [0, 0]);
    }
}

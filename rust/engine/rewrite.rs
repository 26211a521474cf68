// SPDX-License-Identifier: GPL-2.0

//! Giving a packet another tuple: addresses, ports, and the checksums over them.

use super::crc32c;
use super::csum::{sum, Delta};
use super::family::{Family, IpHeader, Tuple};
use super::wire::transport::SCTP_LEN;
use super::wire::{IcmpError, SCTP, TCP, UDP};

/// Whose work a packet's transport checksum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The field covers the packet.
    Whole,
    /// The field holds the pseudo header's sum; a device adds the rest (`CHECKSUM_PARTIAL`).
    PseudoHeader,
}

/// The change of checksums that comes with one tuple for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deltas {
    addresses: Delta,
    all: Delta,
}

impl Deltas {
    /// `from` becomes `to`, perhaps one of another family: the lengths and the protocol that go into
    /// the pseudo headers (RFC 9293, RFC 8200) add the same in both.
    #[inline]
    pub fn new(from: &impl Tuple, to: &impl Tuple) -> Self {
        let addresses = to.address_sum().and(from.address_sum().reversed());
        let ports = Delta::of_u32(from.ports(), to.ports());
        Self {
            addresses,
            all: addresses.and(ports),
        }
    }

    /// With a change of what is behind the ports.
    #[inline(always)]
    pub const fn and(self, more: Delta) -> Self {
        Self {
            all: self.all.and(more),
            ..self
        }
    }

    /// The way back.
    #[inline(always)]
    pub const fn reversed(self) -> Self {
        Self {
            addresses: self.addresses.reversed(),
            all: self.all.reversed(),
        }
    }
}

/// Where the checksum is in the ICMP header.
const ICMP_CHECKSUM: usize = 2;

/// Where the checksum is in the transport header.
#[inline(always)]
const fn checksum_offset(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        _ => None,
    }
}

/// How many bytes of a packet [`packet`] writes to, at most, counted from the IP header on.
#[inline(always)]
pub fn writes(ip: &impl IpHeader) -> usize {
    match checksum_offset(ip.protocol()) {
        Some(offset) => ip.header_len().wrapping_add(offset).wrapping_add(2),
        None => ip.header_len().wrapping_add(SCTP_LEN),
    }
}

/// Gives the packet of TCP or UDP whose headers `head` holds the tuple `to`. `deltas` are those from its present
/// tuple to that. `None`, and nothing is changed, when `head` does not hold [`writes`] bytes.
#[inline(always)]
pub fn packet<I: IpHeader>(
    head: &mut [u8],
    ip: &I,
    to: &I::Tuple,
    deltas: Deltas,
    checksum: Checksum,
) -> Option<()> {
    let (ip_header, transport) = head.split_at_mut_checked(ip.header_len())?;
    segment(transport, ip.protocol(), to.ports(), deltas, checksum)?;
    I::set_addresses(ip_header, to, deltas.addresses)
}

/// As [`packet`], of SCTP.
pub fn chunks<I: IpHeader>(
    head: &mut [u8],
    ip: &I,
    to: &I::Tuple,
    deltas: Deltas,
    checksum: Checksum,
) -> Option<()> {
    let (ip_header, transport) = head.split_at_mut_checked(ip.header_len())?;
    sctp(transport, payload_len(ip), to.ports(), checksum)?;
    I::set_addresses(ip_header, to, deltas.addresses)
}

/// Bytes behind an IP header, by what it says.
fn payload_len(ip: &impl IpHeader) -> usize {
    ip.total_len().saturating_sub(ip.header_len())
}

/// Gives an SCTP header other ports, and its CRC what they make of it; addresses have no part in
/// it. `len` is that of header and chunks. A device that is to fill in the sum finds the new ports.
#[cold]
fn sctp(transport: &mut [u8], len: usize, ports: u32, checksum: Checksum) -> Option<()> {
    let header = transport.first_chunk_mut::<SCTP_LEN>()?;
    let [p0, p1, p2, p3, _, _, _, _, c0, c1, c2, c3] = header;
    if checksum == Checksum::Whole {
        let old = u32::from_le_bytes([*p0, *p1, *p2, *p3]);
        let crc = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        let delta = crc32c::delta(old, ports, u32::try_from(len).ok()?);
        [*c0, *c1, *c2, *c3] = (crc ^ delta).to_le_bytes();
    }
    [*p0, *p1, *p2, *p3] = ports.to_le_bytes();
    Some(())
}

/// Gives a transport header other ports, and its checksum what other addresses and ports make of
/// it. None, and nothing is changed, when it has no checksum or `transport` ends before it.
#[inline(always)]
pub fn segment(
    transport: &mut [u8],
    protocol: u8,
    ports: u32,
    deltas: Deltas,
    checksum: Checksum,
) -> Option<()> {
    let field = field(transport, checksum_offset(protocol)?)?;
    let old = u16::from_le_bytes(*field);
    let new = match checksum {
        Checksum::PseudoHeader => deltas.addresses.apply_to_sum(old),
        // A UDP sender may leave its packet unsummed (RFC 768).
        Checksum::Whole if protocol == UDP && old == 0 => 0,
        Checksum::Whole => match deltas.all.apply(old) {
            // Which is why a sum of 0 is sent as its other form.
            0 if protocol == UDP => 0xffff,
            new => new,
        },
    };
    *field = new.to_le_bytes();
    *transport.first_chunk_mut()? = ports.to_le_bytes();
    Some(())
}

/// The two bytes at `offset`.
#[inline(always)]
fn field(bytes: &mut [u8], offset: usize) -> Option<&mut [u8; 2]> {
    bytes.get_mut(offset..)?.first_chunk_mut()
}

/// Gives an ICMP error other addresses, those of `outer`, and the packet it is about the tuple
/// `inner`.
///
/// The inner transport checksum is changed where the error carries it (RFC 1812 asks for as much
/// of the packet as fits, RFC 792 only for eight bytes). `quoted` changes what else differs in the
/// transport header, as far as the error has it, and says what that adds to its checksum. `None`
/// when `head`, the linear part from the outer IP header on, does not hold what `error` was read
/// from.
pub fn icmp_error<F: Family>(
    head: &mut [u8],
    ip: &F::Ip,
    error: &IcmpError<F>,
    outer: &F::Tuple,
    inner: &F::Tuple,
    quoted: impl FnOnce(&mut [u8]) -> Option<Delta>,
) -> Option<()> {
    let deltas = Deltas::new(&error.tuple, inner);
    let outer_delta = Deltas::new(&ip.tuple(0), outer).addresses;
    let message_len = ip.total_len().checked_sub(ip.header_len())?;
    let (ip_header, message) = head.split_at_mut_checked(ip.header_len())?;
    let message_len = message_len.min(message.len());
    let message = message.get_mut(..message_len)?;
    let before = sum(message);
    let at = error.inner_offset.checked_sub(ip.header_len())?;
    let (inner_header, transport) = message
        .get_mut(at..)?
        .split_at_mut_checked(error.inner.header_len())?;
    F::Ip::set_addresses(inner_header, inner, deltas.addresses)?;
    let protocol = error.inner.protocol();
    let deltas = deltas.and(quoted(transport)?);
    let (ports, whole) = (inner.ports(), Checksum::Whole);
    let summed = match protocol {
        SCTP => sctp(transport, payload_len(&error.inner), ports, whole),
        _ => segment(transport, protocol, ports, deltas, whole),
    };
    if summed.is_none() {
        *transport.first_chunk_mut()? = inner.ports().to_le_bytes();
    }
    let mut changed = Delta::of_u16(before, sum(message));
    if F::VERSION == 6 {
        // ICMPv6's checksum covers the addresses too (RFC 4443, section 2.3).
        changed = changed.and(outer_delta);
    }
    let field = field(message, ICMP_CHECKSUM)?;
    *field = changed.apply(u16::from_le_bytes(*field)).to_le_bytes();
    F::Ip::set_addresses(ip_header, outer, outer_delta)
}

// SPDX-License-Identifier: GPL-2.0

//! TCP (RFC 9293), UDP (RFC 768) and SCTP (RFC 9260) headers, as far as balancing needs them.

use super::super::family::IpHeader;
use super::super::proto::sctp::Event;
use super::{chunk, Error, SCTP, TCP, UDP};
use core::fmt::{self, Write as _};

/// Length of a TCP header without options, in bytes.
pub const TCP_MIN_LEN: usize = 20;

/// Length of a UDP header, in bytes.
pub const UDP_LEN: usize = 8;

/// Length of an SCTP header, in bytes.
pub const SCTP_LEN: usize = 12;

/// Length of the header of a chunk of SCTP, in bytes.
const CHUNK_LEN: usize = 4;

/// The control bits of a TCP header.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether any of `other`'s bits is set.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets of bits.
    #[inline(always)]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a packet of no connection may open one: SYN without RST, as `tcp_conn_schedule` in
    /// `ip_vs_proto_tcp.c` has it. ACK is not looked at, for the sake of active FTP.
    #[inline(always)]
    pub const fn opens(self) -> bool {
        self.0 & (Self::SYN.0 | Self::RST.0) == Self::SYN.0
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = self.0;
        for letter in ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'] {
            f.write_char(if bits & 1 != 0 { letter } else { '.' })?;
            bits >>= 1;
        }
        Ok(())
    }
}

/// What RVS needs of a transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source and destination port, read as one little-endian number.
    pub ports: u32,
    /// Length of the header with its options, in bytes.
    pub header_len: usize,
    /// TCP's control bits; none for UDP, SYN for SCTP's INIT.
    pub flags: TcpFlags,
    /// What the packet does to an association of SCTP.
    pub event: Event,
}

impl Segment {
    /// Reads the header behind `ip` in `head`, the linear part of a packet.
    ///
    /// # Errors
    ///
    /// `Fragment`, `Protocol`, `NotLinear`, `Short`, `DataOffset`, `UdpLength`.
    pub fn parse(head: &[u8], ip: &impl IpHeader) -> Result<Self, Error> {
        match Self::frequent(head, ip) {
            Err(Error::Protocol) if ip.protocol() == SCTP => Self::sctp(head, ip),
            segment => segment,
        }
    }

    /// As [`Segment::parse`], but SCTP is `Protocol` too.
    ///
    /// # Errors
    ///
    /// The same.
    #[inline(always)]
    pub fn frequent(head: &[u8], ip: &impl IpHeader) -> Result<Self, Error> {
        if ip.is_fragment() {
            return Err(Error::Fragment);
        }
        match ip.protocol() {
            TCP => Self::tcp(head, ip),
            UDP => Self::udp(head, ip),
            _ => Err(Error::Protocol),
        }
    }

    #[inline(always)]
    fn tcp(head: &[u8], ip: &impl IpHeader) -> Result<Self, Error> {
        let fixed: &[u8; TCP_MIN_LEN] = transport(head, ip)?;
        let [p0, p1, p2, p3, _, _, _, _, _, _, _, _, offset, flags, ..] = *fixed;
        let header_len = usize::from(offset >> 4) << 2;
        if header_len < TCP_MIN_LEN || ip.header_len().saturating_add(header_len) > ip.total_len() {
            return Err(Error::DataOffset);
        }
        Ok(Self {
            ports: u32::from_le_bytes([p0, p1, p2, p3]),
            header_len,
            flags: TcpFlags(flags),
            event: Event::Data,
        })
    }

    #[inline(always)]
    fn udp(head: &[u8], ip: &impl IpHeader) -> Result<Self, Error> {
        let fixed: &[u8; UDP_LEN] = transport(head, ip)?;
        let [p0, p1, p2, p3, l0, l1, _, _] = *fixed;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len < UDP_LEN || ip.header_len().saturating_add(len) > ip.total_len() {
            return Err(Error::UdpLength);
        }
        Ok(Self {
            ports: u32::from_le_bytes([p0, p1, p2, p3]),
            header_len: UDP_LEN,
            flags: TcpFlags(0),
            event: Event::Data,
        })
    }

    fn sctp(head: &[u8], ip: &impl IpHeader) -> Result<Self, Error> {
        let fixed: &[u8; SCTP_LEN + CHUNK_LEN] = transport(head, ip)?;
        let [p0, p1, p2, p3, _, _, _, _, _, _, _, _, kind, _, l0, l1] = *fixed;
        let mut event = Event::of_chunk(kind);
        if matches!(event, Event::CookieEcho | Event::CookieAck) {
            // What is behind a cookie may undo it.
            let len = usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(CHUNK_LEN);
            let at = ip.header_len().saturating_add(SCTP_LEN).saturating_add(len);
            let next = head.get(at).map(|kind| Event::of_chunk(*kind));
            if len >= CHUNK_LEN && next == Some(Event::Abort) {
                event = Event::Abort;
            }
        }
        let flags = match event {
            Event::Init => TcpFlags::SYN,
            _ => TcpFlags(0),
        };
        Ok(Self {
            ports: u32::from_le_bytes([p0, p1, p2, p3]),
            header_len: SCTP_LEN,
            flags,
            event,
        })
    }
}

/// The first `N` bytes of the payload, none of them padding.
#[inline(always)]
fn transport<'a, const N: usize>(head: &'a [u8], ip: &impl IpHeader) -> Result<&'a [u8; N], Error> {
    if ip.header_len().saturating_add(N) > ip.total_len() {
        return Err(Error::Short);
    }
    chunk(head, ip.header_len(), ip.total_len())
}

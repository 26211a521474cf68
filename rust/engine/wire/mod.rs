// SPDX-License-Identifier: GPL-2.0

//! Headers as they come off the wire.
//!
//! Parsing takes the linear part of a packet from the IP header on and the packet's whole length,
//! trusts neither, and returns plain values or an [`Error`]; nothing panics and nothing is copied
//! but the fields asked for. Checksums are not looked at: the packet goes on as it came and its
//! receiver checks it.

pub mod header;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod options;
pub mod packet;
pub mod source_route;
pub mod transport;
pub mod tunnel;

pub use header::IpHeader;
pub use icmp::{IcmpError, IcmpFamily};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;
pub use packet::Packet;
pub use transport::{Segment, TcpFlags};

/// TCP's IANA protocol number.
pub const TCP: u8 = 6;
/// UDP's IANA protocol number.
pub const UDP: u8 = 17;
/// SCTP's IANA protocol number.
pub const SCTP: u8 = 132;

/// Why a packet cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The packet goes on, but not in the linear part: make this many bytes linear, counted from
    /// the IP header, and parse again.
    NotLinear(usize),
    /// The packet ends within a header.
    Short,
    /// The version is another.
    Version,
    /// The IP header says it is shorter than 20 bytes.
    HeaderLength,
    /// The IP total length is less than the header or more than the packet.
    TotalLength,
    /// A fragment; put the packet together first.
    Fragment,
    /// The TCP header says it is shorter than 20 bytes or longer than the packet.
    DataOffset,
    /// The UDP length is less than 8 or more than the packet.
    UdpLength,
    /// Not TCP, UDP or SCTP, or behind headers that only the host itself can judge.
    Protocol,
    /// ICMP, but not an error about a packet.
    IcmpQuery,
}

impl Error {
    /// Whether headers are short or lie, rather than being none of ours or needing more work.
    pub const fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::Short
                | Self::Version
                | Self::HeaderLength
                | Self::TotalLength
                | Self::DataOffset
                | Self::UdpLength
        )
    }

    /// What to say of a packet of `len` bytes whose first `need` bytes were not in its linear part.
    #[cold]
    const fn beyond(need: usize, len: usize) -> Self {
        if need <= len {
            Self::NotLinear(need)
        } else {
            Self::Short
        }
    }
}

/// The `N` bytes of `head` from `offset` on; `len` is how many the packet has.
#[inline(always)]
fn chunk<const N: usize>(head: &[u8], offset: usize, len: usize) -> Result<&[u8; N], Error> {
    match head.get(offset..).and_then(<[u8]>::first_chunk) {
        Some(bytes) => Ok(bytes),
        None => Err(Error::beyond(offset.saturating_add(N), len)),
    }
}

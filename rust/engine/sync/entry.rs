// SPDX-License-Identifier: GPL-2.0

//! An entry of a datagram, as it stands there.

use core::net::{IpAddr, SocketAddr};

use super::super::helper::lengths::Lengths;

/// An entry. All three ends are of one family, but that RVS has dests of IPv4 for clients of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// IANA number of the protocol; 0 in templates of services by mark.
    pub protocol: u8,
    /// See [`flags`](super::flags).
    pub flags: u32,
    /// State, by the protocol's own numbers.
    pub state: u16,
    /// The client.
    pub client: SocketAddr,
    /// Virtual address and port.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub dest: SocketAddr,
    /// Mark of the packets.
    pub mark: u32,
    /// Seconds that it has left; 0 where nobody says.
    pub seconds: u32,
    /// What only RVS has.
    pub own: Option<Own>,
    /// Whether RVS has ended it: an option that others pass over.
    pub ended: bool,
    /// Call-ID of a template of a call; empty in all others.
    pub call: &'a [u8],
    /// How the lines of the client and of the dest have grown that a helper has written anew.
    pub lengths: Option<[Lengths; 2]>,
}

/// The data of the option that says how lines have grown; `in_seq` and `out_seq` of `ip_vs`.
pub(super) fn write_lengths(lengths: &[Lengths; 2], out: &mut impl FnMut(&[u8])) {
    for word in lengths.iter().flat_map(|side| side.words()) {
        out(&word.to_be_bytes());
    }
}

/// That of [`write_lengths`]. None where it is not as long as it should be, or there is no room for it.
pub(super) fn read_lengths(data: &[u8]) -> Option<[Lengths; 2]> {
    let mut rest = Reader(data);
    let mut side = || Lengths::of_words([rest.word()?, rest.word()?, rest.word()?]);
    let lengths = [side()?, side()?];
    rest.0.is_empty().then_some(lengths)
}

/// What RVS adds of a FullNAT connection: an option that others pass over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// What the dest sees in the client's place; of the dest's family.
    pub local: SocketAddr,
    /// What is added to the client's sequence numbers toward the dest.
    pub sequence: u32,
    /// What is added to its timestamps.
    pub timestamps: u32,
    /// How far the dest was told of the client's address.
    pub stage: u8,
    /// Kind of the option that tells it; 0 for none.
    pub toa_kind: u8,
    /// The numbers that the telling ends with.
    pub telling: [u32; 2],
}

impl Own {
    /// Bytes ahead of the address.
    pub(super) const FIXED: usize = 22;
    /// What stands in its first byte.
    pub(super) const VERSION: u8 = 1;

    /// Bytes of its data.
    pub(super) const fn len(&self) -> usize {
        Self::FIXED + if self.local.is_ipv6() { 16 } else { 4 }
    }

    pub(super) fn write(&self, out: &mut impl FnMut(&[u8])) {
        out(&self.fixed());
        write_address(self.local.ip(), out);
    }

    /// What stands ahead of the address.
    #[inline(always)] // In the middle of a packet's way.
    pub(super) fn fixed(&self) -> [u8; Self::FIXED] {
        let [first, second] = self.telling;
        let words = [self.sequence, self.timestamps, first, second].map(u32::to_be_bytes);
        let mut fixed = [0; Self::FIXED];
        let (head, rest) = fixed.split_at_mut(4);
        let (middle, port) = rest.split_at_mut(16);
        head.copy_from_slice(&[Self::VERSION, self.stage, self.toa_kind, 0]);
        middle.copy_from_slice(words.as_flattened());
        port.copy_from_slice(&self.local.port().to_be_bytes());
        fixed
    }

    /// None where it is of another version, or not as long as it should be.
    pub(super) fn read(data: &[u8], ipv6: bool) -> Option<Self> {
        let mut rest = Reader(data);
        let [version, stage, toa_kind, _] = rest.array()?;
        let own = Self {
            sequence: rest.word()?,
            timestamps: rest.word()?,
            stage,
            toa_kind,
            telling: [rest.word()?, rest.word()?],
            local: {
                let port = rest.half()?;
                SocketAddr::new(rest.address(ipv6)?, port)
            },
        };
        (version == Self::VERSION && rest.0.is_empty()).then_some(own)
    }
}

/// Reads numbers from the start of what is left.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn half(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn word(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.array()?))
    }

    pub(super) fn address(&mut self, ipv6: bool) -> Option<IpAddr> {
        Some(if ipv6 {
            IpAddr::from(self.array::<16>()?)
        } else {
            IpAddr::from(self.array::<4>()?)
        })
    }
}

/// Gives `out` the bytes of an address, in an entry of IPv6 or in one of IPv4.
pub(super) fn write_end(address: IpAddr, ipv6: bool, out: &mut impl FnMut(&[u8])) {
    match address {
        IpAddr::V4(v4) if ipv6 => out(&v4.to_ipv6_mapped().octets()),
        other => write_address(other, out),
    }
}

/// Gives `out` the bytes of an address.
pub(super) fn write_address(address: IpAddr, out: &mut impl FnMut(&[u8])) {
    match address {
        IpAddr::V4(v4) => out(&v4.octets()),
        IpAddr::V6(v6) => out(&v6.octets()),
    }
}

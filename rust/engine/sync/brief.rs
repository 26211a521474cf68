// SPDX-License-Identifier: GPL-2.0

//! Entries without options whose ends are all of one family, written at once: most that are told are
//! such, and it happens in the middle of a packet's way.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        family::Tuple,
        proto::State,
        spec::Mode,
        tuple::{TupleV4, TupleV6},
    },
    flags,
    told::{flags_of, number_of},
    ENTRY_V4, ENTRY_V6, IPV6,
};

/// What an entry has beside addresses and the client's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// How packets travel to the dest.
    pub mode: Mode,
    /// Its state.
    pub state: State,
    /// Port of the dest, in host order.
    pub port: u16,
    /// Mark of its packets.
    pub mark: u32,
    /// Seconds that it has left.
    pub seconds: u32,
}

impl Brief {
    /// That of a client's tuple and a dest.
    #[inline(always)] // Where it is put.
    pub fn v4(&self, client: &TupleV4, dest: Ipv4Addr) -> [u8; ENTRY_V4] {
        let head = self.head(client, 0, ENTRY_V4);
        let ends = [client.src().octets(), client.dst().octets(), dest.octets()];
        let mut entry = [0; ENTRY_V4];
        let (first, rest) = entry.split_at_mut(24);
        first.copy_from_slice(head.as_flattened());
        rest.copy_from_slice(ends.as_flattened());
        entry
    }

    /// As above.
    #[inline(always)]
    pub fn v6(&self, client: &TupleV6, dest: Ipv6Addr) -> [u8; ENTRY_V6] {
        let head = self.head(client, IPV6, ENTRY_V6);
        let ends = [client.src().octets(), client.dst().octets(), dest.octets()];
        let mut entry = [0; ENTRY_V6];
        let (first, rest) = entry.split_at_mut(24);
        first.copy_from_slice(head.as_flattened());
        rest.copy_from_slice(ends.as_flattened());
        entry
    }

    #[inline(always)]
    fn head<T: Tuple>(&self, client: &T, family: u8, length: usize) -> [[u8; 8]; 3] {
        let inactive = if self.state.is_active() {
            0
        } else {
            flags::INACTIVE
        };
        // Put together in registers; the first byte is the lowest.
        let half = |value: u16| u64::from(value.swap_bytes());
        let word = |value: u32| u64::from(value.swap_bytes());
        let kind = u64::from(family) | (u64::from(client.protocol()) << 8);
        let ports = u64::from(client.ports());
        [
            kind | (half(length as u16) << 16) | (word(flags_of(self.mode) | inactive) << 32),
            half(number_of(self.state)) | (ports << 16) | (half(self.port) << 48),
            word(self.mark) | (word(self.seconds) << 32),
        ]
        .map(u64::to_le_bytes)
    }
}

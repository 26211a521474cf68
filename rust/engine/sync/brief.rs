// SPDX-License-Identifier: GPL-2.0

//! Entries whose ends are all of one family, without options or with that of FullNAT alone, written at once:
//! most that are told are such, and it happens in the middle of a packet's way.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        family::Tuple,
        proto::State,
        spec::Mode,
        tuple::{TupleV4, TupleV6},
    },
    flags, option,
    told::{flags_of, number_of},
    Own, ENTRY_V4, ENTRY_V6, IPV6,
};

/// Bytes of an entry of FullNAT, of IPv4.
pub const FULLNAT_V4: usize = ENTRY_V4 + option::HEAD + Own::FIXED + 4;

/// The same of IPv6.
pub const FULLNAT_V6: usize = ENTRY_V6 + option::HEAD + Own::FIXED + 16;

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
        self.v4_of(ENTRY_V4, client, dest)
    }

    /// The same of FullNAT; `local` is the address that the dest sees.
    #[inline(always)]
    pub fn fullnat_v4(
        &self,
        client: &TupleV4,
        dest: Ipv4Addr,
        (own, local): (&Own, Ipv4Addr),
    ) -> [u8; FULLNAT_V4] {
        let mut all = [0; FULLNAT_V4];
        let (entry, option) = all.split_at_mut(ENTRY_V4);
        entry.copy_from_slice(&self.v4_of(FULLNAT_V4, client, dest));
        put_own(own, &local.octets(), option);
        all
    }

    #[inline(always)]
    fn v4_of(&self, length: usize, client: &TupleV4, dest: Ipv4Addr) -> [u8; ENTRY_V4] {
        let head = self.head(client, 0, length);
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
        self.v6_of(ENTRY_V6, client, dest)
    }

    /// As above.
    #[inline(always)]
    pub fn fullnat_v6(
        &self,
        client: &TupleV6,
        dest: Ipv6Addr,
        (own, local): (&Own, Ipv6Addr),
    ) -> [u8; FULLNAT_V6] {
        let mut all = [0; FULLNAT_V6];
        let (entry, option) = all.split_at_mut(ENTRY_V6);
        entry.copy_from_slice(&self.v6_of(FULLNAT_V6, client, dest));
        put_own(own, &local.octets(), option);
        all
    }

    #[inline(always)]
    fn v6_of(&self, length: usize, client: &TupleV6, dest: Ipv6Addr) -> [u8; ENTRY_V6] {
        let head = self.head(client, IPV6, length);
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

/// The option of FullNAT, which is as long as its room.
#[inline(always)]
fn put_own(own: &Own, local: &[u8], room: &mut [u8]) {
    let (head, rest) = room.split_at_mut(option::HEAD);
    let (fixed, address) = rest.split_at_mut(Own::FIXED);
    head.copy_from_slice(&[option::OWN | option::MAY_PASS, own.len() as u8]);
    fixed.copy_from_slice(&own.fixed());
    address.copy_from_slice(local);
}

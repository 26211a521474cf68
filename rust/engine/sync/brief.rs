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
        let [a, b, c, d, e, f] = self.head(client, 0, ENTRY_V4);
        let [from, to] = [client.src().octets(), client.dst().octets()];
        written(&[a, b, c, d, e, f, from, to, dest.octets()])
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
    fn head<T: Tuple>(&self, client: &T, family: u8, length: usize) -> [[u8; 4]; 6] {
        let inactive = if self.state.is_active() {
            0
        } else {
            flags::INACTIVE
        };
        let [l0, l1] = (length as u16).to_be_bytes();
        let [s0, s1] = number_of(self.state).to_be_bytes();
        let [c0, c1, v0, v1] = client.ports().to_le_bytes();
        let [d0, d1] = self.port.to_be_bytes();
        [
            [family, client.protocol(), l0, l1],
            (flags_of(self.mode) | inactive).to_be_bytes(),
            [s0, s1, c0, c1],
            [v0, v1, d0, d1],
            self.mark.to_be_bytes(),
            self.seconds.to_be_bytes(),
        ]
    }
}

#[inline(always)]
fn written(words: &[[u8; 4]; 9]) -> [u8; ENTRY_V4] {
    let mut entry = [0; ENTRY_V4];
    entry.copy_from_slice(words.as_flattened());
    entry
}

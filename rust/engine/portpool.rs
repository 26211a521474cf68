// SPDX-License-Identifier: GPL-2.0

//! Choosing a local address and port for a FullNAT connection.
//!
//! What must be unique is the pair together with the real server's address and port, and the table
//! of connections knows that best. So nothing is booked here: candidates come in an order that
//! starts and steps by a keyed hash of the connection (RFC 6056, section 3.3.4), so that nobody
//! can guess them, and the first that the table does not have is taken. The step has no factor in
//! common with the number of ports: all of them come, each once.

/// Ports that local addresses are used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest, not 0.
    pub first: u16,
    /// The highest, not less than the lowest.
    pub last: u16,
}

impl PortRange {
    /// As Alibaba's LVS and DPVS have it.
    pub const DEFAULT: Self = Self {
        first: 5_000,
        last: 65_535,
    };

    fn len(self) -> u32 {
        u32::from(self.last.saturating_sub(self.first)).saturating_add(1)
    }
}

/// Candidates that are tried for a connection at most. With a thousandth of the ports left free,
/// one connection in sixty finds none of them.
pub const TRIES: u32 = 4_096;

/// Candidates for one connection: number of a local address, and a port of it in host order.
pub struct Candidates {
    hash: u64,
    addresses: u32,
    ports: PortRange,
    address: u32,
    port: u32,
    /// Addresses whose turn is over with this port.
    turn: u32,
    /// From one port to the next; 0 until it is needed.
    step: u32,
    left: u32,
}

impl Candidates {
    /// Those for a connection with that hash, of a pool of `addresses` addresses.
    pub fn new(hash: u64, addresses: usize, ports: PortRange) -> Self {
        let len = ports.len();
        let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
        Self {
            hash,
            addresses,
            ports,
            address: (hash as u32).checked_rem(addresses).unwrap_or(0),
            port: ((hash >> 32) as u32).checked_rem(len).unwrap_or(0),
            turn: 0,
            step: 0,
            left: addresses.saturating_mul(len).min(TRIES),
        }
    }

    fn next_port(&mut self) {
        let len = self.ports.len();
        if self.step == 0 {
            let (low, high) = (self.hash as u32, (self.hash >> 32) as u32);
            self.step = step(low.rotate_left(16) ^ high, len);
        }
        let next = self.port.wrapping_add(self.step);
        self.port = if next >= len {
            next.wrapping_sub(len)
        } else {
            next
        };
    }
}

impl Iterator for Candidates {
    type Item = (usize, u16);

    /// Another address each time; when all had their turn, another port.
    fn next(&mut self) -> Option<(usize, u16)> {
        self.left = self.left.checked_sub(1)?;
        if self.turn == self.addresses {
            self.turn = 0;
            self.next_port();
        }
        let port = u32::from(self.ports.first).saturating_add(self.port);
        let candidate = (self.address as usize, u16::try_from(port).ok()?);
        self.turn = self.turn.wrapping_add(1);
        self.address = self.address.wrapping_add(1);
        if self.address >= self.addresses {
            self.address = 0;
        }
        Some(candidate)
    }
}

/// A step less than `len` (at least 1) that has no factor in common with it.
fn step(hash: u32, len: u32) -> u32 {
    let start = hash.checked_rem(len).unwrap_or(0);
    let steps = (start..len).chain(1..=start);
    let mut coprime = steps.filter(|step| *step > 0 && common_factor(*step, len) == 1);
    coprime.next().unwrap_or(1)
}

fn common_factor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_ports_of_one_address_come() {
        for (first, last) in [(5_000, 5_000), (5_000, 5_001), (5_000, 5_999), (1, 4_096)] {
            for hash in [0, 1, 0xdead_beef_0000_1234, u64::MAX] {
                let ports = PortRange { first, last };
                let seen: BTreeSet<_> = Candidates::new(hash, 1, ports).collect();
                let wanted: BTreeSet<_> = (first..=last).map(|port| (0, port)).collect();
                assert_eq!(seen, wanted, "{first}-{last} {hash}");
            }
        }
    }

    #[test]
    fn all_pairs_of_small_pools_come() {
        for addresses in 1..=7 {
            for ports in 1..=12u16 {
                for hash in [3, 0x1234_5678_9abc_def0, u64::MAX / 3] {
                    let range = PortRange {
                        first: 65_536u32.wrapping_sub(u32::from(ports)) as u16,
                        last: 65_535,
                    };
                    let all: Vec<_> = Candidates::new(hash, addresses, range).collect();
                    let seen: BTreeSet<_> = all.iter().collect();
                    let wanted = addresses * usize::from(ports);
                    assert_eq!((all.len(), seen.len()), (wanted, wanted));
                }
            }
        }
    }

    #[test]
    fn every_address_is_tried_at_once() {
        let seen = Candidates::new(99, 8, PortRange::DEFAULT).take(8);
        assert_eq!(seen.map(|(n, _)| n).collect::<BTreeSet<_>>().len(), 8);
        assert_eq!(Candidates::new(99, 0, PortRange::DEFAULT).next(), None);
        let most = Candidates::new(99, 3, PortRange::DEFAULT).count();
        assert_eq!(most, TRIES as usize);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Choosing a local address and port for a FullNAT connection.
//!
//! What must be unique is the pair together with the real server's address and port, and the table
//! of connections knows that best. So nothing is booked here: candidates come in an order that
//! starts and steps by a keyed hash of the connection (RFC 6056, section 3.3.4), so that nobody
//! can guess them, and the first that the table does not have is taken. The step has no factor in
//! common with the number of ports: all of them come, each once.
//!
//! Each candidate costs a look-up, so only some are tried: more of them where few are left, and
//! where all failed for long none for a moment.

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

    /// How many ports.
    pub fn count(self) -> u32 {
        u32::from(self.last.saturating_sub(self.first)).saturating_add(1)
    }
}

/// Candidates that are tried before one is taken whose connection is over.
pub const FEW: u32 = 16;

/// Candidates that are tried for a connection at most, where it is not known that some are free.
pub const TRIES: u32 = 64;

/// Candidates that are tried where some are.
const MOST: u32 = 512;

/// Look-ups in vain after which a pool is taken to be full, however large it is. Of a thousandth
/// that is free they miss all in one case of sixty.
const ENOUGH: u32 = 4_096;

/// How many candidates a connection may try of a pool of so many pairs of address and port, `used`
/// of them by connections that are known of. With a hundredth left free one in a
/// hundred and seventy finds none.
pub fn tries(pairs: u32, used: u32) -> u32 {
    let wanted = pairs
        .saturating_mul(6)
        .checked_div(pairs.saturating_sub(used));
    wanted.unwrap_or(TRIES).clamp(TRIES, MOST)
}

/// Whether a pool of so many pairs is taken to be full after so many look-ups in vain.
pub fn is_full(pairs: u32, in_vain: u32) -> bool {
    in_vain >= pairs.min(ENOUGH)
}

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
    /// At most `tries` for a connection with that hash, of a pool of `addresses` addresses.
    pub fn new(hash: u64, addresses: u32, ports: PortRange, tries: u32) -> Self {
        let len = ports.count();
        Self {
            hash,
            addresses,
            ports,
            address: (hash as u32).checked_rem(addresses).unwrap_or(0),
            port: ((hash >> 32) as u32).checked_rem(len).unwrap_or(0),
            turn: 0,
            step: 0,
            left: addresses.saturating_mul(len).min(tries),
        }
    }

    fn next_port(&mut self) {
        let len = self.ports.count();
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
                let seen: BTreeSet<_> = Candidates::new(hash, 1, ports, u32::MAX).collect();
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
                    let all: Vec<_> = Candidates::new(hash, addresses, range, TRIES * 2).collect();
                    let seen: BTreeSet<_> = all.iter().collect();
                    let wanted = addresses as usize * usize::from(ports);
                    assert_eq!((all.len(), seen.len()), (wanted, wanted));
                }
            }
        }
    }

    #[test]
    fn every_address_is_tried_at_once() {
        let seen = Candidates::new(99, 8, PortRange::DEFAULT, TRIES).take(8);
        assert_eq!(seen.map(|(n, _)| n).collect::<BTreeSet<_>>().len(), 8);
        assert_eq!(
            Candidates::new(99, 0, PortRange::DEFAULT, TRIES).next(),
            None
        );
        let most = Candidates::new(99, 3, PortRange::DEFAULT, TRIES).count();
        assert_eq!(most, TRIES as usize);
    }

    #[test]
    fn more_are_tried_where_few_are_left() {
        for (pairs, used, wanted) in [
            (10, 0, TRIES),
            (60_000, 0, TRIES),
            (60_000, 54_000, TRIES),
            (60_000, 58_800, 300),
            (60_000, 59_400, MOST),
            (60_000, 59_999, MOST),
            // None is free, or connections to other ports of the dest count as well.
            (60_000, 60_000, TRIES),
            (60_000, 90_000, TRIES),
            (0, 0, TRIES),
            (u32::MAX, u32::MAX - 1, MOST),
        ] {
            assert_eq!(tries(pairs, used), wanted, "{used} of {pairs}");
        }
    }

    /// A pool that is filled, by the table's rule: who finds none goes without.
    #[test]
    fn ports_are_found_until_few_are_left() {
        let ports = PortRange {
            first: 1,
            last: 20_000,
        };
        let mut taken = BTreeSet::new();
        let (mut refused, mut looked) = (0, 0);
        for hash in 0..19_800u64 {
            let hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let tries = tries(20_000, taken.len() as u32);
            let free = Candidates::new(hash, 1, ports, tries)
                .inspect(|_| looked += 1)
                .find(|candidate| !taken.contains(candidate));
            match free {
                Some(free) => assert!(taken.insert(free)),
                None => refused += 1,
            }
        }
        assert!(refused < 60, "{refused} of 19,800 refused");
        assert!(looked < 6 * 19_800, "{looked} look-ups");
    }

    #[test]
    fn a_pool_is_full_when_enough_were_in_vain() {
        assert!(is_full(10, 10) && !is_full(10, 9));
        assert!(is_full(60_000, 4_096) && !is_full(60_000, 4_095));
        assert!(is_full(0, 0));
    }
}

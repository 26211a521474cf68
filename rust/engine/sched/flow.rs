// SPDX-License-Identifier: GPL-2.0

//! What schedulers see of a new flow.

use crate::engine::family::{Address as _, Tuple};
use core::net::IpAddr;

/// What a pick may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The client's address, [folded](crate::engine::family::Address::folded).
    pub source: u32,
    /// The client's port, host order.
    pub sport: u16,
    /// The virtual address, folded.
    pub destination: u32,
    /// The virtual address's key for `lblc` and `lblcr`.
    pub(super) key: u64,
}

impl Flow {
    /// What `tuple`, of the flow's first packet, has of it.
    #[inline]
    pub fn of<T: Tuple>(tuple: &T) -> Self {
        let destination = tuple.dst().folded();
        let key = match tuple.dst().into() {
            IpAddr::V4(_) => u64::from(destination) | (1 << 32),
            // 64 bits of the 128: two addresses of one service that share them share a dest. Bits
            // 32 and 33 keep it from what the cache has for no address, and from IPv4's.
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                let [high, low] = [(bits >> 64) as u64, bits as u64];
                (low.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.rotate_left(32)) & !(1 << 32)
                    | (1 << 33)
            }
        };
        Self {
            source: tuple.src().folded(),
            sport: tuple.sport(),
            destination,
            key,
        }
    }
}

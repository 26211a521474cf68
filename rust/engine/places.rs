// SPDX-License-Identifier: GPL-2.0

//! Where in the host's path packets are taken.

use super::numbered::numbered;

/// Where a namespace's hooks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Places {
    /// Ahead of routing, rules and connection tracking.
    Early = 0,
    /// Where `ip_vs` has its: behind the rules of INPUT and FORWARD.
    IpVs = 1,
}

// Names as in `rvsadm config set --places`.
numbered! {
    Places as u8 {
        Early = "early",
        IpVs = "ip_vs",
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What persistence goes by.

use super::numbered::numbered;

/// What stays with a dest; the numbers are those of the netlink enum `persistence-engine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Engine {
    /// A network of clients.
    #[default]
    Off = 0,
    /// Each call of a network of clients, by its Call-ID (`ip_vs_pe_sip`).
    Sip = 1,
}

// Names as in `rvsadm service add … --pe`; but for the first those that `ip_vs` has.
numbered! {
    Engine as u8 {
        Off = "off",
        Sip = "sip",
    }
}

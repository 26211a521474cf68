// SPDX-License-Identifier: GPL-2.0

//! Whether the host tracks connections that begin.

use super::numbered::numbered;

/// What the host's connection tracking has of a namespace's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Conntrack {
    /// Nothing.
    Off = 0,
    /// Each packet, as with `ip_vs`.
    On = 1,
    /// The first packets; of established flows one now and then, while others go the early way.
    Fast = 2,
}

// Names as in `rvsadm config set --conntrack`.
numbered! {
    Conntrack as u8 {
        Off = "off",
        On = "on",
        Fast = "fast",
    }
}

impl Conntrack {
    /// Whether the host tracks connections that begin.
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}

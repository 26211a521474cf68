// SPDX-License-Identifier: GPL-2.0

//! Addresses and ports as the files below `/proc/net` have them.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// An address and a port with a space between.
pub(super) struct Spaced(pub(super) SocketAddr);

impl fmt::Display for Spaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:04X}", Hex(self.0.ip()), self.0.port())
    }
}

/// An address and a port with a colon between.
pub(super) struct Endpoint(pub(super) IpAddr, pub(super) u16);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(_) => write!(f, "{}:{:04X}", Hex(self.0), self.1),
            IpAddr::V6(_) => write!(f, "[{}]:{:04X}", Hex(self.0), self.1),
        }
    }
}

/// An address: `CB00710A`, or eight full groups.
struct Hex(IpAddr);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{:08X}", u32::from(v4)),
            IpAddr::V6(v6) => {
                let [first, rest @ ..] = v6.segments();
                write!(f, "{first:04x}")?;
                rest.iter().try_for_each(|part| write!(f, ":{part:04x}"))
            }
        }
    }
}

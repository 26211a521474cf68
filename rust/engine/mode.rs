// SPDX-License-Identifier: GPL-2.0

//! Which packets a service takes, and how they travel to a dest.

use core::net::IpAddr;

use super::numbered::numbered;

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// TCP, RFC 9293.
    Tcp = 6,
    /// UDP, RFC 768.
    Udp = 17,
    /// SCTP, RFC 9260.
    Sctp = 132,
}

// IANA's numbers, as in the IP header. Names as in a service's printed id.
numbered! {
    Protocol as u8 {
        Tcp = "tcp",
        Udp = "udp",
        Sctp = "sctp",
    }
}

/// How packets travel to a dest; the numbers are those of the netlink enum `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Mode {
    /// Direct routing.
    Dr = 1,
    /// Destination NAT in, source NAT out.
    Nat = 2,
    /// Encapsulated toward the dest.
    Tun = 3,
    /// Both addresses translated.
    FullNat = 4,
    /// The dest is this host.
    Local = 5,
}

// Names as in `rvsadm dest add … --mode`.
numbered! {
    Mode as u32 {
        Dr = "dr",
        Nat = "nat",
        Tun = "tun",
        FullNat = "fullnat",
        Local = "local",
    }
}

impl Mode {
    /// How packets really travel to a dest of that address: to one on loopback they stay on this
    /// host, as they are, whatever the mode. From the network no packet comes to such an address.
    #[must_use]
    pub fn toward(self, address: IpAddr) -> Self {
        if address.is_loopback() {
            return Self::Local;
        }
        self
    }

    /// Whether a dest may listen on another port than its service.
    pub const fn can_change_port(self) -> bool {
        matches!(self, Self::Nat | Self::FullNat)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Which packets a service takes, and how they travel to a dest.

use core::net::IpAddr;

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

impl Protocol {
    /// The protocol with this IANA number, if RVS balances it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Its IANA number, as in the IP header.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Name as in a service's printed id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
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

impl Mode {
    /// The mode with this netlink number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Dr),
            2 => Some(Self::Nat),
            3 => Some(Self::Tun),
            4 => Some(Self::FullNat),
            5 => Some(Self::Local),
            _ => None,
        }
    }

    /// Its netlink number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Name as in `rvsadm dest add … --mode`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dr => "dr",
            Self::Nat => "nat",
            Self::Tun => "tun",
            Self::FullNat => "fullnat",
            Self::Local => "local",
        }
    }

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

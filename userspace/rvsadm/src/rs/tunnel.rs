// SPDX-License-Identifier: GPL-2.0

//! Tunnels that end on a real server, and the devices that take packets out of them.

use std::fmt;
use std::net::IpAddr;

use clap::ValueEnum;
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use serde::{Deserialize, Serialize};

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Version 4.
    Ipv4,
    /// Version 6.
    Ipv6,
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// A device that takes packets out of tunnels of any sender. Records have them by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Device {
    /// IPv4 in IPv4.
    #[serde(rename = "tunl0")]
    Tunl0,
    /// IPv6 in IPv4.
    #[serde(rename = "sit0")]
    Sit0,
    /// Both in GRE over IPv4, without checksums.
    #[serde(rename = "gre0")]
    Gre0,
    /// As that, with checksums, which gre0 does not take.
    #[serde(rename = "rvs-gre")]
    GreSums,
    /// Over IPv6, IPv6 or what its mode says.
    #[serde(rename = "ip6tnl0")]
    Ip6Tnl0,
    /// Both in GRE over IPv6, without checksums.
    #[serde(rename = "ip6gre0")]
    Ip6Gre0,
    /// As that, with checksums.
    #[serde(rename = "rvs-gre6")]
    Ip6GreSums,
}

impl Device {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tunl0,
        Self::Sit0,
        Self::Gre0,
        Self::GreSums,
        Self::Ip6Tnl0,
        Self::Ip6Gre0,
        Self::Ip6GreSums,
    ];

    /// The one for packets of the family `inside`, in `tunnel` over the family `over`.
    fn of(tunnel: Tunnel, inside: Family, over: Family) -> Self {
        let sums = tunnel.sum != TunnelSum::None;
        match (tunnel.kind, over, inside) {
            (TunnelKind::Gre, Family::Ipv4, _) if sums => Self::GreSums,
            (TunnelKind::Gre, Family::Ipv4, _) => Self::Gre0,
            (TunnelKind::Gre, Family::Ipv6, _) if sums => Self::Ip6GreSums,
            (TunnelKind::Gre, Family::Ipv6, _) => Self::Ip6Gre0,
            // What comes out of GUE is handed on as if it had come in IPIP.
            (TunnelKind::Ipip | TunnelKind::Gue, Family::Ipv4, Family::Ipv4) => Self::Tunl0,
            (TunnelKind::Ipip | TunnelKind::Gue, Family::Ipv4, Family::Ipv6) => Self::Sit0,
            (TunnelKind::Ipip | TunnelKind::Gue, Family::Ipv6, _) => Self::Ip6Tnl0,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tunl0 => "tunl0",
            Self::Sit0 => "sit0",
            Self::Gre0 => "gre0",
            Self::GreSums => "rvs-gre",
            Self::Ip6Tnl0 => "ip6tnl0",
            Self::Ip6Gre0 => "ip6gre0",
            Self::Ip6GreSums => "rvs-gre6",
        }
    }

    /// Whether it takes GRE with checksums only.
    pub const fn has_sums(self) -> bool {
        matches!(self, Self::GreSums | Self::Ip6GreSums)
    }

    /// The module of the kernel that has such devices.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Tunl0 => "ipip",
            Self::Sit0 => "sit",
            Self::Gre0 | Self::GreSums => "ip_gre",
            Self::Ip6Tnl0 => "ip6_tunnel",
            Self::Ip6Gre0 | Self::Ip6GreSums => "ip6_gre",
        }
    }

    /// The device that gets the same packets, and drops what this one takes: the kernel looks
    /// whether there is a checksum when it has chosen the device.
    pub const fn rival(self) -> Option<Self> {
        match self {
            Self::Gre0 => Some(Self::GreSums),
            Self::GreSums => Some(Self::Gre0),
            Self::Ip6Gre0 => Some(Self::Ip6GreSums),
            Self::Ip6GreSums => Some(Self::Ip6Gre0),
            Self::Tunl0 | Self::Sit0 | Self::Ip6Tnl0 => None,
        }
    }

    /// Modes in which it takes packets of the family `inside`; none where it has no modes.
    pub const fn modes(self, inside: Family) -> &'static [&'static str] {
        match (self, inside) {
            (Self::Ip6Tnl0, Family::Ipv4) => &[MODE_ANY, MODE_IPV4],
            (Self::Ip6Tnl0, Family::Ipv6) => &[MODE_ANY, MODE_IPV6],
            _ => &[],
        }
    }

    /// Whether it has modes.
    pub fn has_modes(self) -> bool {
        !self.modes(Family::Ipv6).is_empty()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The mode of ip6tnl0 that takes both families, as ip-tunnel(8) calls it.
pub const MODE_ANY: &str = "any";
/// The one that takes IPv4.
pub const MODE_IPV4: &str = "ipip6";
/// The one that takes IPv6, which it has at first.
pub const MODE_IPV6: &str = "ip6ip6";

/// The tunnels that packets of virtual addresses come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnels {
    /// The virtual addresses.
    pub vips: Vec<IpAddr>,
    /// What the packets travel in.
    pub tunnel: Tunnel,
    /// The family of the tunnels' own headers; without it that of each virtual address.
    pub over: Option<Family>,
}

impl Tunnels {
    /// Families of the packets, and of the tunnel that each is in.
    fn families(&self) -> impl Iterator<Item = (Family, Family)> + '_ {
        let inside = self.vips.iter().map(|vip| Family::from(*vip));
        inside.map(|inside| (inside, self.over.unwrap_or(inside)))
    }

    /// Families of the packets that come out of `device`.
    pub fn inside(&self, device: Device) -> Vec<Family> {
        let mut inside: Vec<_> = self
            .families()
            .filter(|(inside, over)| Device::of(self.tunnel, *inside, *over) == device)
            .map(|(inside, _)| inside)
            .collect();
        inside.sort();
        inside.dedup();
        inside
    }

    /// The devices that take the packets out.
    pub fn devices(&self) -> Vec<Device> {
        let all = Device::ALL.into_iter();
        all.filter(|device| !self.inside(*device).is_empty())
            .collect()
    }

    /// Families that carry UDP to a port of tunnels, if there is one.
    pub fn ports(&self) -> Vec<Family> {
        if self.tunnel.kind != TunnelKind::Gue {
            return Vec::new();
        }
        let mut over: Vec<_> = self.families().map(|(_, over)| over).collect();
        over.sort();
        over.dedup();
        over
    }
}

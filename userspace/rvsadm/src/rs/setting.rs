// SPDX-License-Identifier: GPL-2.0

//! What a set-up may change on a real server, and how it is called.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use rvs_engine::prefix::Prefix;
use serde::{Deserialize, Serialize};

use super::tunnel::{Device, Family};

/// A setting of a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// A file under /proc/sys, with dots.
    Sysctl(String),
    /// An address on lo, /32 or /128.
    Address(IpAddr),
    /// Whether lo is up: an address on it is no one's before that.
    LoopbackUp,
    /// Whether the device that takes packets out of tunnels is there.
    Device(Device),
    /// Whether it has [`TUNNEL_ADDRESS`].
    TunnelAddress(Device),
    /// Whether it is up.
    TunnelUp(Device),
    /// What it takes out, where it has modes; the value is the mode's name in ip-tunnel(8).
    TunnelMode(Device),
    /// A UDP port where packets come out of GUE.
    GuePort {
        /// What carries the UDP.
        over: Family,
        /// Its number.
        port: u16,
    },
    /// A route of the main table.
    Route {
        /// Where it leads.
        network: Network,
        /// The neighbour that it leads through.
        via: IpAddr,
    },
    /// Whether the receiver believes addresses that this network's hosts tell.
    Trust(Network),
}

/// The value of what is not there, and of settings of interfaces that are not there.
pub const ABSENT: &str = "absent";
/// The value of what is there and has no other.
pub const PRESENT: &str = "present";
/// Values of [`Setting::LoopbackUp`] and [`Setting::TunnelUp`].
pub const DOWN: &str = "down";
/// Values of [`Setting::LoopbackUp`] and [`Setting::TunnelUp`].
pub const UP: &str = "up";

/// An address of devices that IPv4 packets come out of: where one has no address, a filter of sources
/// drops them all, also a loose one (`__fib_validate_source` of net/ipv4/fib_frontend.c). It is the
/// dummy address of RFC 7600, which no packet has.
pub const TUNNEL_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// A network, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// Leading bits that count.
    pub length: u8,
}

impl Setting {
    /// `net.ipv4.conf.INTERFACE.FILE`.
    pub fn sysctl(interface: &str, file: &str) -> Self {
        Self::Sysctl(format!("net.ipv4.conf.{interface}.{file}"))
    }

    /// `net.ipv6.conf.INTERFACE.FILE`.
    pub fn sysctl_v6(interface: &str, file: &str) -> Self {
        Self::Sysctl(format!("net.ipv6.conf.{interface}.{file}"))
    }

    /// Whether it serves all virtual addresses alike.
    pub fn is_of_all_addresses(&self) -> bool {
        match self {
            Self::Sysctl(_)
            | Self::LoopbackUp
            | Self::Device(_)
            | Self::TunnelAddress(_)
            | Self::TunnelUp(_)
            | Self::TunnelMode(_)
            | Self::GuePort { .. } => true,
            Self::Address(_) | Self::Route { .. } | Self::Trust(_) => false,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(name) => f.write_str(name),
            Self::Address(address) => write!(f, "lo address {address}/{}", host_bits(*address)),
            Self::LoopbackUp => f.write_str("lo"),
            Self::Device(device) => write!(f, "device {device}"),
            Self::TunnelAddress(device) => write!(f, "{device} address {TUNNEL_ADDRESS}/32"),
            Self::TunnelUp(device) => f.write_str(device.name()),
            Self::TunnelMode(device) => write!(f, "{device} mode"),
            Self::GuePort { over, port } => write!(f, "gue port {port} over {over}"),
            Self::Route { network, via } => write!(f, "route {network} via {via}"),
            Self::Trust(network) => write!(f, "toa trust {network}"),
        }
    }
}

/// Leading bits that count of the address of one host.
pub const fn host_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl From<Prefix> for Network {
    fn from(prefix: Prefix) -> Self {
        Self {
            address: prefix.address(),
            length: prefix.bits(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What services and dests are named by.

use core::fmt;
use core::net::IpAddr;

use super::mode::Protocol;
use super::service_key::ServiceKey;
use super::spec_error::SpecError;

/// What names a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceId {
    /// The flows to an address: printed `tcp/203.0.113.10:443`.
    Virtual {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port, host order; 0 is all ports for which there is no other service.
        port: u16,
    },
    /// The flows whose packets have a mark (`skb->mark`), whatever they are to: printed `fwmark/7`,
    /// those of IPv6 `fwmark6/7`.
    Marked {
        /// The mark, not 0.
        mark: u32,
        /// Whether those of IPv6, or of IPv4.
        ipv6: bool,
    },
}

impl ServiceId {
    /// Checks the id of a service that is to be added.
    ///
    /// # Errors
    ///
    /// An address that no service can have, or mark 0, which all packets have that nobody marked.
    pub fn validate(&self) -> Result<(), SpecError> {
        match *self {
            Self::Virtual { address, .. } => check_unicast(address, SpecError::VirtualAddress),
            Self::Marked { mark: 0, .. } => Err(SpecError::Mark),
            Self::Marked { .. } => Ok(()),
        }
    }

    /// The protocol of its flows, if it is one.
    pub const fn protocol(&self) -> Option<Protocol> {
        match *self {
            Self::Virtual { protocol, .. } => Some(protocol),
            Self::Marked { .. } => None,
        }
    }

    /// Its mark; 0 for a service at an address.
    pub const fn mark(&self) -> u32 {
        match *self {
            Self::Virtual { .. } => 0,
            Self::Marked { mark, .. } => mark,
        }
    }

    /// Its virtual address.
    pub const fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::Virtual { address, .. } => Some(address),
            Self::Marked { .. } => None,
        }
    }

    /// The port of its flows, in host order; 0 where it is not one.
    pub const fn port(&self) -> u16 {
        match *self {
            Self::Virtual { port, .. } => port,
            Self::Marked { .. } => 0,
        }
    }

    /// Whether its flows are of IPv6, not of IPv4.
    pub const fn is_ipv6(&self) -> bool {
        match *self {
            Self::Virtual { address, .. } => address.is_ipv6(),
            Self::Marked { ipv6, .. } => ipv6,
        }
    }

    /// What it is looked up by.
    pub fn key(&self) -> ServiceKey {
        match *self {
            Self::Virtual {
                protocol,
                address,
                port,
            } => ServiceKey::new(protocol.number(), address, port),
            Self::Marked { mark, ipv6 } => ServiceKey::marked(mark, if ipv6 { 6 } else { 4 }),
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Virtual {
                protocol,
                address,
                port,
            } => {
                write!(f, "{}/", protocol.name())?;
                write_endpoint(f, address, port)
            }
            Self::Marked { mark, ipv6: false } => write!(f, "fwmark/{mark}"),
            Self::Marked { mark, ipv6: true } => write!(f, "fwmark6/{mark}"),
        }
    }
}

/// What names a dest within its service: printed `192.0.2.1:80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestId {
    /// Real server's address.
    pub address: IpAddr,
    /// Real server's port, host order; 0 is the one that the client asks for.
    pub port: u16,
}

impl fmt::Display for DestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_endpoint(f, self.address, self.port)
    }
}

fn write_endpoint(f: &mut fmt::Formatter<'_>, address: IpAddr, port: u16) -> fmt::Result {
    match address {
        IpAddr::V4(a) => write!(f, "{a}:{port}"),
        IpAddr::V6(a) => write!(f, "[{a}]:{port}"),
    }
}

/// Refuses addresses that no single host can have, or of which nobody knows the network.
pub(super) fn check_unicast(
    address: IpAddr,
    error: fn(IpAddr) -> SpecError,
) -> Result<(), SpecError> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if broadcast || link_local || address.is_unspecified() || address.is_multicast() {
        return Err(error(address));
    }
    Ok(())
}

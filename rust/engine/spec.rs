// SPDX-License-Identifier: GPL-2.0

//! Descriptions of services, dests and settings, and the rules they must meet.
//!
//! `rvsadm` runs these checks before it sends anything and the kernel runs them again on what it
//! receives, so both refuse with the same words. A text fits an extended ack
//! (`NETLINK_MAX_FMTMSG_LEN`, 80 bytes with the terminating zero).

use core::net::IpAddr;

pub use super::id::{DestId, ServiceId};
pub use super::limits::{TIMEOUT_MAX, WEIGHT_MAX};
pub use super::mode::{Mode, Protocol};
pub use super::spec_error::{Field, SpecError};

use super::id::check_unicast;
use super::numbered::numbered;
use super::portpool::PortRange;
use super::threshold::Thresholds;
use super::toa;
use super::tunnel::{Tunnel, TunnelKind, TunnelSum};
use super::uoa;

/// A dest's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestSpec {
    /// How packets travel to it.
    pub mode: Mode,
    /// Share of new connections, 0 to [`WEIGHT_MAX`]; 0 takes no new ones.
    pub weight: u32,
    /// How many connections it takes.
    pub thresholds: Thresholds,
    /// What packets travel in, with [`Mode::Tun`]; else [`Tunnel::IPIP`].
    pub tunnel: Tunnel,
}

/// A change of a dest's settings; `None` keeps a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestUpdate {
    /// See [`DestSpec::mode`].
    pub mode: Option<Mode>,
    /// See [`DestSpec::weight`].
    pub weight: Option<u32>,
    /// See [`Thresholds::upper`].
    pub upper: Option<u32>,
    /// See [`Thresholds::lower`].
    pub lower: Option<u32>,
    /// Seconds after which connections that are still there end, up to [`TIMEOUT_MAX`]; the weight
    /// is 0 then. A weight above 0 ends a draining.
    pub drain: Option<u32>,
    /// See [`DestSpec::tunnel`]; with another mode than [`Mode::Tun`] it is forgotten.
    pub tunnel: Option<Tunnel>,
}

impl DestUpdate {
    /// What becomes of `old`.
    #[must_use]
    pub fn of(&self, old: &DestSpec) -> DestSpec {
        let mode = self.mode.unwrap_or(old.mode);
        let tunnel = match mode {
            Mode::Tun => old.tunnel,
            _ => Tunnel::IPIP,
        };
        DestSpec {
            mode,
            weight: match self.drain {
                Some(_) => 0,
                None => self.weight.unwrap_or(old.weight),
            },
            thresholds: Thresholds {
                upper: self.upper.unwrap_or(old.thresholds.upper),
                lower: self.lower.unwrap_or(old.thresholds.lower),
            },
            tunnel: self.tunnel.unwrap_or(tunnel),
        }
    }
}

impl DestUpdate {
    /// Checks what is no part of [`DestSpec`].
    pub fn validate(&self) -> Result<(), SpecError> {
        match self.drain {
            Some(seconds) if seconds > TIMEOUT_MAX => Err(SpecError::Drain(seconds)),
            _ => Ok(()),
        }
    }
}

impl DestSpec {
    /// The settings of a dest without thresholds, and with the plainest tunnel.
    pub const fn new(mode: Mode, weight: u32) -> Self {
        Self {
            mode,
            weight,
            thresholds: Thresholds { upper: 0, lower: 0 },
            tunnel: Tunnel::IPIP,
        }
    }

    /// What is not as unless told otherwise.
    #[must_use]
    pub fn told(&self) -> DestUpdate {
        let Thresholds { upper, lower } = self.thresholds;
        DestUpdate {
            mode: Some(self.mode),
            weight: Some(self.weight),
            upper: (upper != 0).then_some(upper),
            lower: (lower != 0).then_some(lower),
            drain: None,
            tunnel: (self.tunnel != Tunnel::IPIP).then_some(self.tunnel),
        }
    }

    /// Checks a dest that is to be added to, or changed in, `service`.
    pub fn validate(&self, id: &DestId, service: &ServiceId) -> Result<(), SpecError> {
        check_unicast(id.address, SpecError::DestAddress)?;
        // An IPv6 service may have IPv4 dests where both addresses are rewritten anyway; in a tunnel
        // travels what has nothing to do with its ends.
        let is_sctp = service.protocol() == Some(Protocol::Sctp);
        let is_nat64 = self.mode == Mode::FullNat && service.is_ipv6() && !is_sctp;
        let crosses = self.mode == Mode::Tun || is_nat64;
        if id.address.is_ipv6() != service.is_ipv6() && !crosses {
            return Err(SpecError::DestFamily(id.address));
        }
        if Some(id.address) == service.address() && self.mode != Mode::Local {
            return Err(SpecError::DestIsVirtualAddress(id.address));
        }
        if id.port == 0 && service.port() != 0 {
            return Err(SpecError::DestPort);
        }
        let mode = self.mode.toward(id.address);
        if !mode.can_change_port() && id.port != service.port() {
            return Err(SpecError::SamePort {
                mode,
                dest: id.port,
                service: service.port(),
            });
        }
        if self.weight > WEIGHT_MAX {
            return Err(SpecError::Weight(self.weight));
        }
        let Thresholds { upper, lower } = self.thresholds;
        if lower > upper {
            return Err(SpecError::Thresholds { upper, lower });
        }
        if self.mode != Mode::Tun && self.tunnel != Tunnel::IPIP {
            return Err(SpecError::TunnelMode(self.mode));
        }
        if is_sctp && self.tunnel.sum != TunnelSum::None {
            return Err(SpecError::TunnelSctp(self.tunnel.sum));
        }
        validate_tunnel(self.tunnel)
    }
}

/// Checks a tunnel: a port for GUE and only there, a remote checksum only with GUE, none with IPIP.
pub fn validate_tunnel(tunnel: Tunnel) -> Result<(), SpecError> {
    let Tunnel { kind, sum, port } = tunnel;
    if (kind == TunnelKind::Gue) != (port != 0) {
        return Err(SpecError::TunnelPort { kind, port });
    }
    match (kind, sum) {
        (_, TunnelSum::None) | (TunnelKind::Gue, _) | (TunnelKind::Gre, TunnelSum::Whole) => Ok(()),
        _ => Err(SpecError::TunnelSum { kind, sum }),
    }
}

/// When a client's SYN on the ports of a connection that is there opens another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConnReuse {
    /// Never: it goes to the dest of the connection.
    Off = 0,
    /// When the connection is in TIME_WAIT or CLOSE.
    Closed = 1,
    /// In FIN_WAIT too, where the director does not see what the dest says (dr, tun).
    Closing = 2,
}

// Names as in `rvsadm config set --conn-reuse`.
numbered! {
    ConnReuse as u8 {
        Off = "off",
        Closed = "closed",
        Closing = "closing",
    }
}

/// Checks a local address that is to be added: what FullNAT puts in the client's place.
pub fn validate_local(address: IpAddr) -> Result<(), SpecError> {
    check_unicast(address, SpecError::LocalAddress)?;
    // No real server could answer it.
    if address.is_loopback() {
        return Err(SpecError::LocalAddress(address));
    }
    Ok(())
}

/// Checks a timeout in seconds.
pub fn validate_timeout(seconds: u32) -> Result<(), SpecError> {
    if seconds == 0 || seconds > TIMEOUT_MAX {
        return Err(SpecError::Timeout(seconds));
    }
    Ok(())
}

/// Kind of the TCP option that carries the client's address, unless told otherwise.
pub const TOA_KIND: u8 = 254;

/// In a service's place of a kind: what the namespace says for TCP, none for UDP.
pub const TOA_INHERITED: u8 = 255;

/// Checks the kind of the TCP option that carries the client's address; 0 is none.
pub fn validate_toa_kind(kind: u8) -> Result<(), SpecError> {
    // That of UDP says something else in a service's place of a kind.
    match kind {
        0 => Ok(()),
        uoa::KIND | TOA_INHERITED => Err(SpecError::ToaKind(kind)),
        kind if toa::is_of_tcp(kind) => Err(SpecError::ToaKind(kind)),
        _ => Ok(()),
    }
}

/// Checks of how many new flows one is dropped.
pub fn validate_drop_rate(rate: u32) -> Result<(), SpecError> {
    if rate == 0 {
        return Err(SpecError::DropRate);
    }
    Ok(())
}

/// Checks the ports that local addresses are used with.
pub fn validate_local_ports(ports: PortRange) -> Result<(), SpecError> {
    if ports.first == 0 || ports.first > ports.last {
        return Err(SpecError::LocalPorts(ports));
    }
    Ok(())
}

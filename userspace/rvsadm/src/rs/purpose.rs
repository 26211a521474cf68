// SPDX-License-Identifier: GPL-2.0

//! What a host is prepared for, as the command line says it.

use std::net::{IpAddr, Ipv6Addr};

use rvs_engine::prefix::Prefix;
use rvs_engine::spec::{validate_tunnel, Mode, Protocol, ServiceId, SpecError};
use rvs_engine::tunnel::Tunnel;

use super::setting::{host_bits, Network};
use super::tunnel::{Device, Family, Tunnels};
use crate::failure::Failure;

/// What the command is called in refusals.
pub const WHAT: &str = "set up a real server";

/// The part that a host plays for its directors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It has the virtual addresses, and answers clients itself.
    Direct {
        /// The virtual addresses.
        vips: Vec<IpAddr>,
    },
    /// As that, and packets come in tunnels.
    Tunnel(Tunnels),
    /// It answers clients through the director.
    Translated {
        /// The director's address on the common network.
        director: IpAddr,
        /// Networks of the clients.
        clients: Vec<Network>,
    },
    /// It answers directors, and believes what they tell of clients.
    Told {
        /// The networks that directors connect from.
        directors: Vec<Network>,
    },
}

impl Purpose {
    /// The purpose that a mode and what else was said amount to.
    pub fn new(
        mode: Mode,
        vips: &[IpAddr],
        directors: &[Prefix],
        clients: &[Prefix],
        tunnel: Tunnel,
        over: Option<Family>,
    ) -> Result<Self, Failure> {
        if mode == Mode::Local {
            return Err(Failure::new(
                WHAT,
                "mode local has no real server but the director itself",
                Some("there is nothing to set up"),
            ));
        }
        let needs_vip = matches!(mode, Mode::Dr | Mode::Tun);
        let misplaced = match (needs_vip, vips, directors) {
            (true, [], _) => Some("needs --vip"),
            (false, _, []) => Some("needs --director"),
            (true, _, [_, ..]) => Some("does not take --director"),
            (false, [_, ..], _) => Some("does not take --vip"),
            _ if mode != Mode::Nat && !clients.is_empty() => Some("does not take --client"),
            _ if mode != Mode::Tun && over.is_some() => Some("does not take --over"),
            _ => None,
        };
        if let Some(reason) = misplaced {
            return Err(Failure::new(
                WHAT,
                format!("mode {} {reason}", mode.name()),
                Some("see: rvsadm rs setup --help"),
            ));
        }
        if mode != Mode::Tun && tunnel != Tunnel::IPIP {
            return Err(Failure::spec(WHAT, SpecError::TunnelMode(mode)));
        }
        match mode {
            Mode::Dr => Ok(Self::Direct {
                vips: check_vips(WHAT, vips)?,
            }),
            Mode::Tun => {
                validate_tunnel(tunnel).map_err(|error| Failure::spec(WHAT, error))?;
                let vips = check_vips(WHAT, vips)?;
                Ok(Self::Tunnel(Tunnels { vips, tunnel, over }))
            }
            Mode::Nat => Self::translated(directors, clients),
            Mode::FullNat | Mode::Local => Ok(Self::Told {
                directors: directors.iter().copied().map(Network::from).collect(),
            }),
        }
    }

    /// The virtual addresses that it has.
    pub fn vips(&self) -> &[IpAddr] {
        match self {
            Self::Direct { vips } | Self::Tunnel(Tunnels { vips, .. }) => vips,
            Self::Translated { .. } | Self::Told { .. } => &[],
        }
    }

    /// The devices that take packets out of tunnels.
    pub fn devices(&self) -> Vec<Device> {
        match self {
            Self::Tunnel(tunnels) => tunnels.devices(),
            Self::Direct { .. } | Self::Translated { .. } | Self::Told { .. } => Vec::new(),
        }
    }

    fn translated(directors: &[Prefix], clients: &[Prefix]) -> Result<Self, Failure> {
        let director = match directors {
            [one] if one.bits() == host_bits(one.address()) => Some(one.address()),
            _ => None,
        };
        let director = director.ok_or_else(|| {
            Failure::new(
                WHAT,
                "mode nat takes one director, an address",
                Some("packets to clients can have one next hop only"),
            )
        })?;
        let halves = match director {
            IpAddr::V4(_) => [[0, 0, 0, 0], [128, 0, 0, 0]].map(IpAddr::from),
            IpAddr::V6(_) => [0, 1 << 127].map(|half| Ipv6Addr::from_bits(half).into()),
        };
        let halves = halves.map(|address| Network { address, length: 1 });
        let mut networks = Vec::new();
        for client in clients {
            if client.address().is_ipv6() != director.is_ipv6() {
                return Err(Failure::new(
                    WHAT,
                    format!("{director} is no next hop to {}", Network::from(*client)),
                    Some("director and clients are all IPv4, or all IPv6"),
                ));
            }
            // A default route is one in two halves: the host's own stays as it is.
            match client.bits() {
                0 => networks.extend(halves),
                _ => networks.push(Network::from(*client)),
            }
        }
        if networks.is_empty() {
            networks.extend(halves);
        }
        Ok(Self::Translated {
            director,
            clients: networks,
        })
    }
}

/// Refuses what cannot be a virtual address, by the rule for services.
pub fn check_vips(what: &str, vips: &[IpAddr]) -> Result<Vec<IpAddr>, Failure> {
    let checked = vips.iter().map(|vip| {
        let service = ServiceId::Virtual {
            protocol: Protocol::Tcp,
            address: *vip,
            port: 1,
        };
        match service.validate() {
            Ok(()) => Ok(*vip),
            Err(error) => Err(Failure::spec(what, error)),
        }
    });
    checked.collect()
}

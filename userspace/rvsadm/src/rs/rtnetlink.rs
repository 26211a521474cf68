// SPDX-License-Identifier: GPL-2.0

//! Addresses and routes, over the same blocking socket as the family `rvs`.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rvs_netlink::{Error, Exchange, NetlinkSocket, Replies};

use super::setting::{host_bits, Network, TUNNEL_ADDRESS};
use super::tunnel::Device;

/// `NETLINK_ROUTE` of include/uapi/linux/netlink.h.
const NETLINK_ROUTE: isize = 0;

/// The loopback's number, the same in every namespace.
const LOOPBACK: u32 = 1;

/// A socket to rtnetlink.
pub struct RouteNetlink {
    exchange: Exchange,
}

/// An address of an interface.
struct Assigned {
    interface: u32,
    address: IpAddr,
    prefix: u8,
}

impl RouteNetlink {
    /// Opens it.
    pub fn open() -> Result<Self, Error> {
        let exchange = Exchange::new(NetlinkSocket::open(NETLINK_ROUTE)?);
        Ok(Self { exchange })
    }

    /// Addresses on lo, /32 or /128, besides those of 127.0.0.0/8 and ::1.
    pub fn loopback_addresses(&mut self) -> Result<Vec<IpAddr>, Error> {
        let assigned = self.addresses()?.into_iter();
        let on_loopback = assigned.filter(|a| a.is_host_address_on_loopback());
        Ok(on_loopback.map(|a| a.address).collect())
    }

    /// The interface that has `address` other than as lo's /32 or /128.
    pub fn holder_besides_loopback(&mut self, address: IpAddr) -> Result<Option<String>, Error> {
        let mut assigned = self.addresses()?.into_iter();
        let other = assigned.find(|a| a.address == address && !a.is_host_address_on_loopback());
        let Some(other) = other else {
            return Ok(None);
        };
        let mut links = self.links()?.into_iter();
        let holder = links.find(|link| link.index == other.interface);
        let name = holder.and_then(|link| link.name);
        Ok(Some(name.unwrap_or_else(|| {
            format!("interface {}", other.interface)
        })))
    }

    /// Adds `address` to lo.
    pub fn add_to_loopback(&mut self, address: IpAddr) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewAddress(host_address(address, LOOPBACK));
        self.run(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes `address` from lo.
    pub fn remove_from_loopback(&mut self, address: IpAddr) -> Result<(), Error> {
        self.run(
            RouteNetlinkMessage::DelAddress(host_address(address, LOOPBACK)),
            0,
        )
    }

    /// Whether a device of tunnels has [`TUNNEL_ADDRESS`].
    pub fn has_tunnel_address(&mut self, device: Device) -> Result<bool, Error> {
        let Some(link) = self.device(device)? else {
            return Ok(false);
        };
        let mut assigned = self.addresses()?.into_iter();
        Ok(assigned.any(|a| a.interface == link.index && a.address == TUNNEL_ADDRESS))
    }

    /// Gives it to the device, or takes it away.
    pub fn set_tunnel_address(&mut self, device: Device, present: bool) -> Result<(), Error> {
        let index = self.present(device)?.index;
        let mut message = host_address(TUNNEL_ADDRESS.into(), index);
        // The host never picks it for a source.
        message.header.scope = AddressScope::Host;
        if present {
            let message = RouteNetlinkMessage::NewAddress(message);
            return self.run(message, NLM_F_CREATE | NLM_F_EXCL);
        }
        self.run(RouteNetlinkMessage::DelAddress(message), 0)
    }

    /// Whether lo is up.
    pub fn loopback_is_up(&mut self) -> Result<bool, Error> {
        let mut links = self.links()?.into_iter();
        Ok(links.any(|link| link.index == LOOPBACK && link.up))
    }

    /// Takes lo up or down.
    pub fn set_loopback(&mut self, up: bool) -> Result<(), Error> {
        self.set_flag(LOOPBACK, up)
    }

    /// Whether the main table has a route to `network` through the neighbour `via`.
    pub fn has_route(&mut self, network: &Network, via: IpAddr) -> Result<bool, Error> {
        let mut question = RouteMessage::default();
        question.header.address_family = family(via);
        let answers = self.dump(RouteNetlinkMessage::GetRoute(question))?;
        let wanted = route(network, via);
        Ok(answers.iter().any(|answer| match answer {
            RouteNetlinkMessage::NewRoute(found) => {
                let header = &found.header;
                header.table == wanted.header.table
                    && header.destination_prefix_length == network.length
                    && wanted
                        .attributes
                        .iter()
                        .all(|a| found.attributes.contains(a))
            }
            _ => false,
        }))
    }

    /// Adds or removes a route of the main table.
    pub fn set_route(
        &mut self,
        network: &Network,
        via: IpAddr,
        present: bool,
    ) -> Result<(), Error> {
        let message = route(network, via);
        if present {
            let message = RouteNetlinkMessage::NewRoute(message);
            return self.run(message, NLM_F_CREATE | NLM_F_EXCL);
        }
        self.run(RouteNetlinkMessage::DelRoute(message), 0)
    }

    /// Makes a request that is only acknowledged.
    pub fn run(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Error> {
        self.exchange.run(
            message,
            Replies::One,
            flags,
            &mut |_: RouteNetlinkMessage| Ok(()),
        )
    }

    /// Makes a request that has one answer.
    pub fn ask(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Option<RouteNetlinkMessage>, Error> {
        let mut answer = None;
        self.exchange.run(message, Replies::One, 0, &mut |reply| {
            answer = Some(reply);
            Ok(())
        })?;
        Ok(answer)
    }

    /// Makes a request that has a list for an answer.
    pub fn dump(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut found = Vec::new();
        self.exchange.run(message, Replies::Dump, 0, &mut |reply| {
            found.push(reply);
            Ok(())
        })?;
        Ok(found)
    }

    /// Addresses of all interfaces.
    fn addresses(&mut self) -> Result<Vec<Assigned>, Error> {
        let question = AddressMessage::default();
        let answers = self.dump(RouteNetlinkMessage::GetAddress(question))?;
        Ok(answers.into_iter().filter_map(assigned).collect())
    }
}

impl Assigned {
    fn is_host_address_on_loopback(&self) -> bool {
        self.interface == LOOPBACK
            && self.prefix == host_bits(self.address)
            && !self.address.is_loopback()
    }
}

/// `address` on an interface, /32 or /128.
fn host_address(address: IpAddr, interface: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = host_bits(address);
    message.header.index = interface;
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
    ];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// A route of the main table to `network` through the neighbour `via`.
fn route(network: &Network, via: IpAddr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(via);
    message.header.destination_prefix_length = network.length;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    // The kernel leaves the destination 0 out where it lists routes.
    if !network.address.is_unspecified() {
        let destination = RouteAttribute::Destination(network.address.into());
        message.attributes.push(destination);
    }
    let gateway = RouteAttribute::Gateway(via.into());
    message.attributes.push(gateway);
    message
}

fn assigned(answer: RouteNetlinkMessage) -> Option<Assigned> {
    let RouteNetlinkMessage::NewAddress(message) = answer else {
        return None;
    };
    // On a point-to-point interface the attribute "address" is the peer's. IPv6 has no "local" on
    // others.
    let local = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some(Assigned {
        interface: message.header.index,
        address: local.or(address)?,
        prefix: message.header.prefix_len,
    })
}

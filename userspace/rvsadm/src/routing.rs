// SPDX-License-Identifier: GPL-2.0

//! How the host would send to an address: route, device, neighbour. For answers to operators; packets
//! of services have ways of their own in the kernel, which come of the same tables.

use std::collections::HashMap;
use std::net::IpAddr;

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rvs_netlink::Error;
use schemars::JsonSchema;
use serde::Serialize;

use crate::rs::rtnetlink::RouteNetlink;
use crate::values;

/// The host's tables, read once; routes are asked for one by one.
pub struct Routing {
    netlink: RouteNetlink,
    devices: HashMap<u32, Device>,
    neighbours: HashMap<(u32, IpAddr), Neighbour>,
}

/// A network device.
#[derive(Clone, Debug)]
pub struct Device {
    pub name: String,
    pub mtu: u32,
    pub is_up: bool,
    pub is_loopback: bool,
}

/// Who a packet is handed to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Neighbour {
    /// As `ip neigh` names it, in small letters.
    pub state: &'static str,
    /// Its address in the network below, if that is known.
    pub address: Option<String>,
}

/// A way to an address.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Way {
    /// Whether the address is this host's own.
    pub is_local: bool,
    pub device: String,
    /// The router, where there is one between.
    pub via: Option<IpAddr>,
    /// Largest packet, from the IP header on.
    pub mtu: u32,
    /// None when it was not asked for yet, or none is needed.
    pub neighbour: Option<Neighbour>,
}

impl Neighbour {
    /// Whether it has not answered when it was asked for.
    pub fn is_silent(&self) -> bool {
        matches!(self.state, "failed" | "incomplete")
    }
}

impl Routing {
    /// Reads the tables.
    pub fn read() -> Result<Self, Error> {
        let mut netlink = RouteNetlink::open()?;
        let links = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let neighbours = netlink.dump(RouteNetlinkMessage::GetNeighbour(
            NeighbourMessage::default(),
        ))?;
        Ok(Self {
            netlink,
            devices: links.into_iter().filter_map(device).collect(),
            neighbours: neighbours.into_iter().filter_map(neighbour).collect(),
        })
    }

    /// The devices.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// The way to an address; an error when there is none.
    pub fn way(&mut self, address: IpAddr) -> Result<Way, Error> {
        let mut question = RouteMessage::default();
        question.header.address_family = match address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        question.header.destination_prefix_length = values::whole(address).bits();
        let destination = RouteAttribute::Destination(address.into());
        question.attributes.push(destination);
        let answer = self.netlink.ask(RouteNetlinkMessage::GetRoute(question))?;
        let Some(RouteNetlinkMessage::NewRoute(route)) = answer else {
            return Err(Error::Missing("route"));
        };
        Ok(self.way_of(address, &route))
    }

    fn way_of(&self, address: IpAddr, route: &RouteMessage) -> Way {
        let (mut index, mut via, mut mtu) = (0, None, None);
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Oif(oif) => index = *oif,
                RouteAttribute::Gateway(RouteAddress::Inet(v4)) => via = Some(IpAddr::V4(*v4)),
                RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => via = Some(IpAddr::V6(*v6)),
                RouteAttribute::Via(RouteVia::Inet6(v6)) => via = Some(IpAddr::V6(*v6)),
                RouteAttribute::Metrics(metrics) => {
                    mtu = metrics.iter().find_map(|metric| match metric {
                        RouteMetric::Mtu(mtu) => Some(*mtu),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        let device = self.devices.get(&index);
        let of_device = device.map_or(0, |device| device.mtu);
        let next = via.unwrap_or(address);
        Way {
            is_local: route.header.kind == RouteType::Local,
            device: device.map_or_else(|| format!("interface {index}"), |d| d.name.clone()),
            via,
            mtu: mtu.filter(|mtu| *mtu != 0).unwrap_or(of_device),
            neighbour: self.neighbours.get(&(index, next)).cloned(),
        }
    }
}

fn device(answer: RouteNetlinkMessage) -> Option<(u32, Device)> {
    let RouteNetlinkMessage::NewLink(link) = answer else {
        return None;
    };
    let (mut name, mut mtu) = (None, 0);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text),
            LinkAttribute::Mtu(bytes) => mtu = bytes,
            _ => {}
        }
    }
    let flags = link.header.flags;
    let device = Device {
        name: name?,
        mtu,
        is_up: flags.contains(LinkFlags::Up),
        is_loopback: flags.contains(LinkFlags::Loopback),
    };
    Some((link.header.index, device))
}

fn neighbour(answer: RouteNetlinkMessage) -> Option<((u32, IpAddr), Neighbour)> {
    let RouteNetlinkMessage::NewNeighbour(message) = answer else {
        return None;
    };
    let (mut of, mut address) = (None, None);
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                of = Some(IpAddr::V4(v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                of = Some(IpAddr::V6(v6));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                let parts: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                address = Some(parts.join(":"));
            }
            _ => {}
        }
    }
    let state = match message.header.state {
        NeighbourState::Incomplete => "incomplete",
        NeighbourState::Reachable => "reachable",
        NeighbourState::Stale => "stale",
        NeighbourState::Delay => "delay",
        NeighbourState::Probe => "probe",
        NeighbourState::Failed => "failed",
        NeighbourState::Noarp => "noarp",
        NeighbourState::Permanent => "permanent",
        _ => "none",
    };
    Some(((message.header.ifindex, of?), Neighbour { state, address }))
}

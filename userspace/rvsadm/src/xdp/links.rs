// SPDX-License-Identifier: GPL-2.0

//! Devices as they are, for programs of XDP.

use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
};
use netlink_packet_route::RouteNetlinkMessage;
use rvs_netlink::Error;

use crate::rs::rtnetlink::RouteNetlink;

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Whether its frames are those of Ethernet.
    pub is_ethernet: bool,
    /// Of a virtual one, what `ip -d link` calls it.
    pub kind: Option<String>,
    /// The one that it is on top of.
    pub below: Option<u32>,
    /// The bridge, bond or other that it is a part of.
    pub part_of: Option<u32>,
    /// The number of a program for XDP that it has.
    pub program: Option<u32>,
}

/// All of this network namespace.
pub fn read() -> Result<Vec<Link>, Error> {
    let mut netlink = RouteNetlink::open()?;
    let answers = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    Ok(answers.into_iter().filter_map(link).collect())
}

fn link(answer: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else {
        return None;
    };
    let mut link = Link {
        index: message.header.index,
        is_ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Link(below) => link.below = Some(below),
            LinkAttribute::Controller(index) => link.part_of = Some(index),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::Xdp(parts) => {
                link.program = parts.into_iter().find_map(|part| match part {
                    LinkXdp::ProgId(number) => Some(number),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(link)
}

impl Link {
    /// Whether it is of that kind.
    pub fn is(&self, kind: InfoKind) -> bool {
        self.kind.as_deref() == Some(&kind.to_string())
    }

    /// Those of VLANs on top of it.
    pub fn vlans<'a>(&'a self, all: &'a [Link]) -> impl Iterator<Item = &'a Link> {
        all.iter()
            .filter(|other| other.below == Some(self.index) && other.is(InfoKind::Vlan))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Interfaces, and the devices of tunnels among them, over rtnetlink.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    GreIOFlags, InfoData, InfoGre, InfoGre6, InfoIpTunnel, InfoKind, Ip6TunnelFlags, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{IpProtocol, RouteNetlinkMessage};
use rvs_netlink::Error;

use super::rtnetlink::RouteNetlink;
use super::tunnel::{Device, MODE_ANY, MODE_IPV4, MODE_IPV6};

/// What the kernel says of a device that is there already.
pub const EEXIST: i32 = 17;

/// An interface.
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is up.
    pub up: bool,
    /// What it says of itself as a device of tunnels.
    tunnel: Vec<InfoIpTunnel>,
}

impl Link {
    fn new(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: None,
            up: message.header.flags.contains(LinkFlags::Up),
            tunnel: Vec::new(),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = Some(name),
                LinkAttribute::LinkInfo(infos) => {
                    link.tunnel = infos.into_iter().find_map(tunnel).unwrap_or_default();
                }
                _ => {}
            }
        }
        link
    }

    /// Number of the protocol of packets in the tunnel.
    fn protocol(&self) -> Option<u8> {
        self.tunnel.iter().find_map(|info| match info {
            InfoIpTunnel::Protocol(protocol) => Some(u8::from(*protocol)),
            _ => None,
        })
    }

    fn flags(&self) -> Ip6TunnelFlags {
        let mut flags = self.tunnel.iter().filter_map(|info| match info {
            InfoIpTunnel::Ipv6Flags(flags) => Some(*flags),
            _ => None,
        });
        flags.next().unwrap_or(Ip6TunnelFlags::empty())
    }
}

fn tunnel(info: LinkInfo) -> Option<Vec<InfoIpTunnel>> {
    match info {
        LinkInfo::Data(InfoData::IpTunnel(tunnel)) => Some(tunnel),
        _ => None,
    }
}

/// What to make a device of, for tunnels of any sender.
fn description(device: Device) -> Vec<LinkInfo> {
    let (kind, data) = match device {
        Device::Tunl0 => (InfoKind::IpIp, None),
        Device::Sit0 => (InfoKind::SitTun, None),
        Device::Gre0 => (InfoKind::GreTun, None),
        Device::Ip6Tnl0 => (InfoKind::Ip6Tnl, None),
        Device::Ip6Gre0 => (InfoKind::GreTun6, None),
        // gre0 is the one device of any sender, but for one that tells of each packet whence it is.
        Device::GreSums => {
            let sums = InfoGre::IFlags(GreIOFlags::Checksum);
            let data = InfoData::GreTun(vec![sums, InfoGre::CollectMetadata]);
            (InfoKind::GreTun, Some(data))
        }
        Device::Ip6GreSums => {
            let sums = InfoGre6::IFlags(GreIOFlags::Checksum);
            let data = InfoData::GreTun6(vec![sums, InfoGre6::CollectMetadata]);
            (InfoKind::GreTun6, Some(data))
        }
    };
    let mut infos = vec![LinkInfo::Kind(kind)];
    infos.extend(data.map(LinkInfo::Data));
    infos
}

impl RouteNetlink {
    /// All interfaces.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let answers = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let links = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(Link::new(link)),
            _ => None,
        });
        Ok(links.collect())
    }

    /// The device, if it is there.
    pub fn device(&mut self, device: Device) -> Result<Option<Link>, Error> {
        let mut links = self.links()?.into_iter();
        Ok(links.find(|link| link.name.as_deref() == Some(device.name())))
    }

    /// The device, which must be there.
    pub fn present(&mut self, device: Device) -> Result<Link, Error> {
        self.device(device)?.ok_or(Error::Missing("such device"))
    }

    /// Whether the device is there.
    pub fn has(&mut self, device: Device) -> Result<bool, Error> {
        Ok(self.device(device)?.is_some())
    }

    /// Whether the device is up; it is not where there is none.
    pub fn is_up(&mut self, device: Device) -> Result<bool, Error> {
        Ok(self.device(device)?.is_some_and(|link| link.up))
    }

    /// Takes the device up or down.
    pub fn set_up(&mut self, device: Device, up: bool) -> Result<(), Error> {
        let link = self.present(device)?;
        self.set_flag(link.index, up)
    }

    /// Takes the interface of that number up or down.
    pub fn set_flag(&mut self, index: u32, up: bool) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
        self.run(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Makes the device; false if the kernel has made it, with the module that it loaded for this.
    pub fn make(&mut self, device: Device) -> Result<bool, Error> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(device.name().to_owned()),
            LinkAttribute::LinkInfo(description(device)),
        ];
        let message = RouteNetlinkMessage::NewLink(message);
        match self.run(message, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(EEXIST) && self.has(device)? => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the device.
    pub fn remove(&mut self, device: Device) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = self.present(device)?.index;
        self.run(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// The mode of a device that has modes, by its name in ip-tunnel(8); none where it is not there.
    pub fn mode(&mut self, device: Device) -> Result<Option<String>, Error> {
        let protocol = self.device(device)?.and_then(|link| link.protocol());
        Ok(protocol.map(|number| match mode_of(number) {
            Some(name) => name.to_owned(),
            None => number.to_string(),
        }))
    }

    /// Changes the mode.
    pub fn set_mode(&mut self, device: Device, mode: &str) -> Result<(), Error> {
        let protocol = protocol_of(mode).ok_or(Error::Missing("such mode"))?;
        let link = self.present(device)?;
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        // The kernel changes nothing else of ip6tnl0, and takes flags that are left out for others.
        let data = vec![
            InfoIpTunnel::Protocol(protocol),
            InfoIpTunnel::Ipv6Flags(link.flags()),
        ];
        message.attributes = vec![LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Ip6Tnl),
            LinkInfo::Data(InfoData::IpTunnel(data)),
        ])];
        self.run(RouteNetlinkMessage::NewLink(message), 0)
    }
}

/// The name of the mode with packets of that protocol; 0 is any.
fn mode_of(protocol: u8) -> Option<&'static str> {
    let modes = [MODE_ANY, MODE_IPV4, MODE_IPV6].into_iter();
    let mut named = modes.filter(|mode| protocol_of(mode).map(u8::from) == Some(protocol));
    named.next()
}

fn protocol_of(mode: &str) -> Option<IpProtocol> {
    match mode {
        MODE_ANY => Some(IpProtocol::Hopopts),
        MODE_IPV4 => Some(IpProtocol::Ipip),
        MODE_IPV6 => Some(IpProtocol::Ipv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_numbers_of_protocols() {
        let modes = [(MODE_ANY, 0), (MODE_IPV4, 4), (MODE_IPV6, 41)];
        for (mode, number) in modes {
            assert_eq!(protocol_of(mode).map(u8::from), Some(number));
            assert_eq!(mode_of(number), Some(mode));
        }
        assert_eq!((mode_of(17), protocol_of("17")), (None, None));
    }
}

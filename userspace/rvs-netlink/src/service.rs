// SPDX-License-Identifier: GPL-2.0

//! A service on the wire.

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::spec::{Protocol, ServiceId};

use crate::attr::{received, required, Attr};
use crate::generated::service;
use crate::Stats;

/// Attributes that name a service.
pub(crate) fn id_attributes(id: &ServiceId) -> Vec<Attr> {
    vec![
        Attr::u8(service::PROTOCOL, id.protocol.number()),
        Attr::address(service::ADDRESS, id.address),
        Attr::u16_be(service::PORT, id.port),
    ]
}

/// A service as the kernel tells of it. What a kernel of another version does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Its id.
    pub id: ServiceId,
    /// Its scheduler.
    pub scheduler: Option<String>,
    /// Number of dests.
    pub dests: Option<u32>,
    /// Active connections of all its dests.
    pub active: Option<u32>,
    /// Inactive connections of all its dests.
    pub inactive: Option<u32>,
    /// Its traffic.
    pub stats: Option<Stats>,
}

impl ServiceInfo {
    /// A service of which only the id is known.
    pub fn new(id: ServiceId) -> Self {
        Self {
            id,
            scheduler: None,
            dests: None,
            active: None,
            inactive: None,
            stats: None,
        }
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = id_attributes(&self.id);
        let scheduler = self.scheduler.as_deref();
        attributes.extend(scheduler.map(|name| Attr::text(service::SCHEDULER, name)));
        attributes.extend(self.dests.map(|n| Attr::u32(service::DESTS, n)));
        attributes.extend(self.active.map(|n| Attr::u32(service::ACTIVE, n)));
        attributes.extend(self.inactive.map(|n| Attr::u32(service::INACTIVE, n)));
        let stats = self.stats.as_ref();
        attributes.extend(stats.map(|s| Attr::nest(service::STATS, s.attributes())));
        attributes
    }
}

impl Parseable<[u8]> for ServiceInfo {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut protocol, mut address, mut port) = (None, None, None);
        let (mut scheduler, mut dests, mut active, mut inactive) = (None, None, None, None);
        let mut stats = None;
        for attribute in received(bytes) {
            let attribute = attribute?;
            match attribute.kind() {
                service::PROTOCOL => {
                    protocol = Some(protocol_of(attribute.u8("service protocol")?)?);
                }
                service::ADDRESS => address = Some(attribute.address("service address")?),
                service::PORT => port = Some(attribute.u16_be("service port")?),
                service::SCHEDULER => scheduler = Some(attribute.text("scheduler")?),
                service::DESTS => dests = Some(attribute.u32("service dests")?),
                service::ACTIVE => active = Some(attribute.u32("service active")?),
                service::INACTIVE => inactive = Some(attribute.u32("service inactive")?),
                service::STATS => stats = Some(Stats::parse(attribute.bytes())?),
                _ => {}
            }
        }
        Ok(Self {
            id: ServiceId {
                protocol: required(protocol, "service protocol")?,
                address: required(address, "service address")?,
                port: required(port, "service port")?,
            },
            scheduler,
            dests,
            active,
            inactive,
            stats,
        })
    }
}

/// The protocol with this number.
pub(crate) fn protocol_of(number: u8) -> Result<Protocol, DecodeError> {
    Protocol::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("protocol {number} is unknown to this version")))
}

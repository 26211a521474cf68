// SPDX-License-Identifier: GPL-2.0

//! A service on the wire.

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::service::{SchedulerFlags, ServiceUpdate};
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

/// Attributes of a service with the settings that are given.
pub(crate) fn attributes(id: &ServiceId, update: &ServiceUpdate) -> Vec<Attr> {
    let mut attributes = id_attributes(id);
    let scheduler = update.scheduler.as_ref();
    attributes.extend(scheduler.map(|name| Attr::text(service::SCHEDULER, name.as_str())));
    let flags = update.flags;
    attributes.extend(flags.map(|flags| Attr::u32(service::SCHED_FLAGS, flags.bits())));
    attributes.extend(update.mh_size.map(|n| Attr::u32(service::MH_SIZE, n)));
    let expiration = update.expiration;
    attributes.extend(expiration.map(|n| Attr::u32(service::SCHED_EXPIRATION, n)));
    let one_packet = update.one_packet;
    attributes.extend(one_packet.map(|on| Attr::u8(service::ONE_PACKET, on.into())));
    attributes.extend(update.toa.map(|kind| Attr::u8(service::TOA, kind)));
    attributes
}

/// A service as the kernel tells of it. What a kernel of another version does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Its id.
    pub id: ServiceId,
    /// Its scheduler.
    pub scheduler: Option<String>,
    /// Flags of its scheduler.
    pub flags: Option<SchedulerFlags>,
    /// Size of the table of `mh`.
    pub mh_size: Option<u32>,
    /// Seconds after which `lblc` and `lblcr` forget an address.
    pub expiration: Option<u32>,
    /// Whether every packet is scheduled on its own.
    pub one_packet: Option<bool>,
    /// Kind of the option that tells the client's address.
    pub toa: Option<u8>,
    /// Number of dests.
    pub dests: Option<u32>,
    /// Active connections of all its dests.
    pub active: Option<u32>,
    /// Inactive connections of all its dests.
    pub inactive: Option<u32>,
    /// Its traffic.
    pub stats: Option<Stats>,
    /// Its traffic a second.
    pub rates: Option<Stats>,
}

impl ServiceInfo {
    /// A service of which only the id is known.
    pub fn new(id: ServiceId) -> Self {
        Self {
            id,
            scheduler: None,
            flags: None,
            mh_size: None,
            expiration: None,
            one_packet: None,
            toa: None,
            dests: None,
            active: None,
            inactive: None,
            stats: None,
            rates: None,
        }
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let update = ServiceUpdate {
            // Names that are too long for one travel below.
            scheduler: None,
            flags: self.flags,
            mh_size: self.mh_size,
            expiration: self.expiration,
            one_packet: self.one_packet,
            toa: self.toa,
        };
        let mut attributes = attributes(&self.id, &update);
        let scheduler = self.scheduler.as_deref();
        attributes.extend(scheduler.map(|name| Attr::text(service::SCHEDULER, name)));
        attributes.extend(self.dests.map(|n| Attr::u32(service::DESTS, n)));
        attributes.extend(self.active.map(|n| Attr::u32(service::ACTIVE, n)));
        attributes.extend(self.inactive.map(|n| Attr::u32(service::INACTIVE, n)));
        let stats = self.stats.as_ref();
        attributes.extend(stats.map(|s| Attr::nest(service::STATS, s.attributes())));
        let rates = self.rates.as_ref();
        attributes.extend(rates.map(|r| Attr::nest(service::RATES, r.attributes())));
        attributes
    }
}

impl Parseable<[u8]> for ServiceInfo {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut protocol, mut address, mut port) = (None, None, None);
        let (mut scheduler, mut dests, mut active, mut inactive) = (None, None, None, None);
        let (mut flags, mut mh_size, mut expiration) = (None, None, None);
        let (mut one_packet, mut toa) = (None, None);
        let (mut stats, mut rates) = (None, None);
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
                service::SCHED_FLAGS => {
                    flags = SchedulerFlags::from_bits(attribute.u32("service sched-flags")?);
                }
                service::MH_SIZE => mh_size = Some(attribute.u32("service mh-size")?),
                service::SCHED_EXPIRATION => {
                    expiration = Some(attribute.u32("service sched-expiration")?);
                }
                service::ONE_PACKET => {
                    one_packet = Some(attribute.u8("service one-packet")? != 0);
                }
                service::TOA => toa = Some(attribute.u8("service toa")?),
                service::STATS => stats = Some(Stats::parse(attribute.bytes())?),
                service::RATES => rates = Some(Stats::parse(attribute.bytes())?),
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
            flags,
            mh_size,
            expiration,
            one_packet,
            toa,
            dests,
            active,
            inactive,
            stats,
            rates,
        })
    }
}

/// The protocol with this number.
pub(crate) fn protocol_of(number: u8) -> Result<Protocol, DecodeError> {
    Protocol::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("protocol {number} is unknown to this version")))
}

// SPDX-License-Identifier: GPL-2.0

//! A service on the wire.

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::service::{Removed, SchedulerFlags, ServiceUpdate};
use rvs_engine::spec::{Protocol, ServiceId};

use crate::attr::{received, required, Attr};
use crate::generated::{service, tcp_timeouts};
use crate::Stats;

/// Attributes that name a service.
pub(crate) fn id_attributes(id: &ServiceId) -> Vec<Attr> {
    match *id {
        ServiceId::Virtual {
            protocol,
            address,
            port,
        } => vec![
            Attr::u8(service::PROTOCOL, protocol.number()),
            Attr::address(service::ADDRESS, address),
            Attr::u16_be(service::PORT, port),
        ],
        ServiceId::Marked { mark, ipv6 } => vec![
            Attr::u32(service::MARK, mark),
            Attr::u8(service::IP_VERSION, if ipv6 { 6 } else { 4 }),
        ],
    }
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
    let switches = [
        (service::ONE_PACKET, update.one_packet),
        (service::RANDOM_START, update.random_start),
        (service::PERSISTENCE_QUIESCED, update.quiesced),
        (service::ACCOUNT, update.account),
    ];
    for (kind, on) in switches {
        attributes.extend(on.map(|on| Attr::u8(kind, on.into())));
    }
    attributes.extend(
        update
            .persistence
            .map(|n| Attr::u32(service::PERSISTENCE, n)),
    );
    attributes.extend(
        update
            .prefix
            .map(|n| Attr::u8(service::PERSISTENCE_PREFIX, n)),
    );
    let engine = update.engine.map(Engine::number);
    attributes.extend(engine.map(|n| Attr::u8(service::PERSISTENCE_ENGINE, n)));
    let tcp: Vec<Attr> = tcp_states()
        .filter_map(|(kind, state)| Some(Attr::u32(kind, update.timeouts.get(state)?)))
        .collect();
    if !tcp.is_empty() {
        attributes.push(Attr::nest(service::TCP_TIMEOUTS, tcp));
    }
    let slow_start = update.slow_start;
    attributes.extend(slow_start.map(|n| Attr::u32(service::SLOW_START, n)));
    let udp = update.timeouts.get(State::Udp);
    attributes.extend(udp.map(|n| Attr::u32(service::UDP_TIMEOUT, n)));
    let removed = update.removed.map(Removed::number);
    attributes.extend(removed.map(|n| Attr::u32(service::REMOVED, n)));
    let flows = update.quiesced_flows.map(Removed::number);
    attributes.extend(flows.map(|n| Attr::u32(service::QUIESCED_FLOWS, n)));
    attributes.extend(update.toa.map(|kind| Attr::u8(service::TOA, kind)));
    let helper = update.helper.map(Helper::number);
    attributes.extend(helper.map(|n| Attr::u8(service::HELPER, n)));
    attributes
}

/// The attributes of `tcp-timeouts` with their states, which are in the same order.
fn tcp_states() -> impl Iterator<Item = (u16, State)> {
    (1..=tcp_timeouts::MAX).zip(State::all())
}

/// The timeouts of TCP in a service's nest.
fn parse_timeouts(bytes: &[u8], timeouts: &mut TimeoutUpdate) -> Result<(), DecodeError> {
    for attribute in received(bytes) {
        let attribute = attribute?;
        let named = tcp_states().find(|(kind, _)| *kind == attribute.kind());
        if let Some((_, state)) = named {
            timeouts.set(state, attribute.u32("service tcp timeout")?);
        }
    }
    Ok(())
}

/// A service as the kernel tells of it. What a kernel of another version does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Its id.
    pub id: ServiceId,
    /// Its scheduler.
    pub scheduler: Option<String>,
    /// Its settings, without the scheduler: one that this version does not know may have a name
    /// that is too long for them.
    pub settings: ServiceUpdate,
    /// Networks of clients that stay with a dest.
    pub templates: Option<u32>,
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
    /// An attribute that this version does not know.
    pub unknown: Option<u16>,
}

impl ServiceInfo {
    /// A service of which only the id is known.
    pub fn new(id: ServiceId) -> Self {
        Self {
            id,
            scheduler: None,
            settings: ServiceUpdate::default(),
            templates: None,
            dests: None,
            active: None,
            inactive: None,
            stats: None,
            rates: None,
            unknown: None,
        }
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = attributes(&self.id, &self.settings);
        let scheduler = self.scheduler.as_deref();
        attributes.extend(scheduler.map(|name| Attr::text(service::SCHEDULER, name)));
        attributes.extend(self.templates.map(|n| Attr::u32(service::TEMPLATES, n)));
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
        let (mut mark, mut version) = (None, None);
        let (mut scheduler, mut dests, mut active, mut inactive) = (None, None, None, None);
        let mut settings = ServiceUpdate::default();
        let (mut templates, mut stats, mut rates, mut unknown) = (None, None, None, None);
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
                    let bits = attribute.u32("service sched-flags")?;
                    settings.flags = SchedulerFlags::from_bits(bits);
                }
                service::MH_SIZE => settings.mh_size = Some(attribute.u32("service mh-size")?),
                service::SCHED_EXPIRATION => {
                    settings.expiration = Some(attribute.u32("service sched-expiration")?);
                }
                service::ONE_PACKET => {
                    settings.one_packet = Some(attribute.u8("service one-packet")? != 0);
                }
                service::RANDOM_START => {
                    settings.random_start = Some(attribute.u8("service random-start")? != 0);
                }
                service::PERSISTENCE => {
                    settings.persistence = Some(attribute.u32("service persistence")?);
                }
                service::PERSISTENCE_PREFIX => {
                    settings.prefix = Some(attribute.u8("service persistence-prefix")?);
                }
                service::PERSISTENCE_QUIESCED => {
                    settings.quiesced = Some(attribute.u8("service persistence-quiesced")? != 0);
                }
                service::PERSISTENCE_ENGINE => {
                    let engine = attribute.u8("service persistence-engine")?;
                    settings.engine = Engine::from_number(engine);
                }
                service::TCP_TIMEOUTS => {
                    parse_timeouts(attribute.bytes(), &mut settings.timeouts)?;
                }
                service::UDP_TIMEOUT => {
                    let seconds = attribute.u32("service udp-timeout")?;
                    settings.timeouts.set(State::Udp, seconds);
                }
                service::REMOVED => {
                    settings.removed = Removed::from_number(attribute.u32("service removed")?);
                }
                service::QUIESCED_FLOWS => {
                    let flows = attribute.u32("service quiesced-flows")?;
                    settings.quiesced_flows = Removed::from_number(flows);
                }
                service::SLOW_START => {
                    settings.slow_start = Some(attribute.u32("service slow-start")?);
                }
                service::TEMPLATES => templates = Some(attribute.u32("service templates")?),
                service::MARK => mark = Some(attribute.u32("service mark")?),
                service::IP_VERSION => version = Some(attribute.u8("service ip-version")?),
                service::ACCOUNT => {
                    settings.account = Some(attribute.u8("service account")? != 0);
                }
                service::HELPER => {
                    settings.helper = Helper::from_number(attribute.u8("service helper")?);
                }
                service::TOA => settings.toa = Some(attribute.u8("service toa")?),
                service::STATS => stats = Some(Stats::parse(attribute.bytes())?),
                service::RATES => rates = Some(Stats::parse(attribute.bytes())?),
                kind => unknown = Some(kind),
            }
        }
        let id = match mark {
            Some(mark) => ServiceId::Marked {
                mark,
                ipv6: required(version, "service ip-version")? == 6,
            },
            None => ServiceId::Virtual {
                protocol: required(protocol, "service protocol")?,
                address: required(address, "service address")?,
                port: required(port, "service port")?,
            },
        };
        Ok(Self {
            id,
            scheduler,
            settings,
            templates,
            dests,
            active,
            inactive,
            stats,
            rates,
            unknown,
        })
    }
}

/// The protocol with this number.
pub(crate) fn protocol_of(number: u8) -> Result<Protocol, DecodeError> {
    Protocol::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("protocol {number} is unknown to this version")))
}

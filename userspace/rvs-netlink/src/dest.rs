// SPDX-License-Identifier: GPL-2.0

//! A dest on the wire.

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::spec::{DestId, DestUpdate, Mode};
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};

use crate::attr::{received, required, Attr};
use crate::generated::dest;
use crate::Stats;

/// Attributes that name a dest within its service.
pub(crate) fn id_attributes(id: &DestId) -> [Attr; 2] {
    [
        Attr::address(dest::ADDRESS, id.address),
        Attr::u16_be(dest::PORT, id.port),
    ]
}

/// Attributes of a dest with the settings that are given.
pub(crate) fn attributes(id: &DestId, update: &DestUpdate) -> Vec<Attr> {
    let mut attributes = Vec::with_capacity(8);
    attributes.extend(id_attributes(id));
    let mode = update.mode;
    attributes.extend(mode.map(|mode| Attr::u32(dest::MODE, mode.number())));
    attributes.extend(update.weight.map(|n| Attr::u32(dest::WEIGHT, n)));
    attributes.extend(update.upper.map(|n| Attr::u32(dest::UPPER_THRESHOLD, n)));
    attributes.extend(update.lower.map(|n| Attr::u32(dest::LOWER_THRESHOLD, n)));
    attributes.extend(update.drain.map(|n| Attr::u32(dest::DRAIN, n)));
    if let Some(tunnel) = update.tunnel {
        attributes.extend([
            Attr::u32(dest::TUNNEL_KIND, tunnel.kind as u32),
            Attr::u16_be(dest::TUNNEL_PORT, tunnel.port),
            Attr::u32(dest::TUNNEL_CHECKSUM, tunnel.sum as u32),
        ]);
    }
    attributes
}

/// A dest as the kernel tells of it. What a kernel of another version does not tell is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestInfo {
    /// Its id.
    pub id: DestId,
    /// How packets travel to it.
    pub mode: Option<Mode>,
    /// Its share of new connections.
    pub weight: Option<u32>,
    /// Connections from which on it takes no more; 0 is no threshold.
    pub upper: Option<u32>,
    /// Connections below which it takes more again.
    pub lower: Option<u32>,
    /// Seconds that are left while it drains.
    pub drain: Option<u32>,
    /// Connections that the last draining ended.
    pub drain_ended: Option<u32>,
    /// What packets travel in; told of dests of mode tun only.
    pub tunnel: Option<Tunnel>,
    /// Connections refused as no local address had a port free toward it.
    pub no_port: Option<u64>,
    /// Connections that it has not answered.
    pub no_reply: Option<u64>,
    /// Active connections.
    pub active: Option<u32>,
    /// Inactive connections.
    pub inactive: Option<u32>,
    /// Networks of clients that stay with it.
    pub templates: Option<u32>,
    /// Its traffic.
    pub stats: Option<Stats>,
    /// Its traffic a second.
    pub rates: Option<Stats>,
    /// An attribute that this version does not know.
    pub unknown: Option<u16>,
}

impl DestInfo {
    /// A dest of which only the id is known.
    pub fn new(id: DestId) -> Self {
        Self {
            id,
            mode: None,
            weight: None,
            upper: None,
            lower: None,
            drain: None,
            drain_ended: None,
            tunnel: None,
            no_port: None,
            no_reply: None,
            active: None,
            inactive: None,
            templates: None,
            stats: None,
            rates: None,
            unknown: None,
        }
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let update = DestUpdate {
            mode: self.mode,
            weight: self.weight,
            upper: self.upper,
            lower: self.lower,
            drain: self.drain,
            tunnel: self.tunnel,
        };
        let mut attributes = attributes(&self.id, &update);
        let ended = self.drain_ended;
        attributes.extend(ended.map(|n| Attr::u32(dest::DRAIN_ENDED, n)));
        attributes.extend(self.no_port.map(|n| Attr::uint(dest::NO_PORT, n)));
        attributes.extend(self.no_reply.map(|n| Attr::uint(dest::NO_REPLY, n)));
        attributes.extend(self.active.map(|n| Attr::u32(dest::ACTIVE, n)));
        attributes.extend(self.inactive.map(|n| Attr::u32(dest::INACTIVE, n)));
        attributes.extend(self.templates.map(|n| Attr::u32(dest::TEMPLATES, n)));
        let stats = self.stats.as_ref();
        attributes.extend(stats.map(|s| Attr::nest(dest::STATS, s.attributes())));
        let rates = self.rates.as_ref();
        attributes.extend(rates.map(|r| Attr::nest(dest::RATES, r.attributes())));
        attributes
    }
}

impl Parseable<[u8]> for DestInfo {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut address, mut port, mut mode, mut weight) = (None, None, None, None);
        let (mut upper, mut lower) = (None, None);
        let (mut drain, mut drain_ended) = (None, None);
        let (mut kind, mut port_of_tunnel, mut sum) = (None, 0, 0);
        let (mut no_port, mut no_reply, mut unknown) = (None, None, None);
        let (mut active, mut inactive, mut templates) = (None, None, None);
        let (mut stats, mut rates) = (None, None);
        for attribute in received(bytes) {
            let attribute = attribute?;
            match attribute.kind() {
                dest::ADDRESS => address = Some(attribute.address("dest address")?),
                dest::PORT => port = Some(attribute.u16_be("dest port")?),
                dest::MODE => mode = Some(mode_of(attribute.u32("dest mode")?)?),
                dest::WEIGHT => weight = Some(attribute.u32("dest weight")?),
                dest::UPPER_THRESHOLD => upper = Some(attribute.u32("dest upper-threshold")?),
                dest::LOWER_THRESHOLD => lower = Some(attribute.u32("dest lower-threshold")?),
                dest::DRAIN => drain = Some(attribute.u32("dest drain")?),
                dest::DRAIN_ENDED => {
                    drain_ended = Some(attribute.u32("dest drain-ended")?);
                }
                dest::TUNNEL_KIND => kind = Some(attribute.u32("dest tunnel-kind")?),
                dest::TUNNEL_PORT => port_of_tunnel = attribute.u16_be("dest tunnel-port")?,
                dest::TUNNEL_CHECKSUM => sum = attribute.u32("dest tunnel-checksum")?,
                dest::NO_PORT => no_port = Some(attribute.uint("dest no-port")?),
                dest::NO_REPLY => no_reply = Some(attribute.uint("dest no-reply")?),
                dest::ACTIVE => active = Some(attribute.u32("dest active")?),
                dest::INACTIVE => inactive = Some(attribute.u32("dest inactive")?),
                dest::TEMPLATES => templates = Some(attribute.u32("dest templates")?),
                dest::STATS => stats = Some(Stats::parse(attribute.bytes())?),
                dest::RATES => rates = Some(Stats::parse(attribute.bytes())?),
                kind => unknown = Some(kind),
            }
        }
        Ok(Self {
            id: DestId {
                address: required(address, "dest address")?,
                port: required(port, "dest port")?,
            },
            mode,
            weight,
            upper,
            lower,
            drain,
            drain_ended,
            tunnel: kind
                .map(|kind| tunnel_of(kind, sum, port_of_tunnel))
                .transpose()?,
            no_port,
            no_reply,
            active,
            inactive,
            templates,
            stats,
            rates,
            unknown,
        })
    }
}

/// The tunnel with these numbers.
fn tunnel_of(kind: u32, sum: u32, port: u16) -> Result<Tunnel, DecodeError> {
    let unknown =
        |what, number| DecodeError::from(format!("{what} {number} is unknown to this version"));
    Ok(Tunnel {
        kind: TunnelKind::from_number(kind).ok_or_else(|| unknown("tunnel-kind", kind))?,
        sum: TunnelSum::from_number(sum).ok_or_else(|| unknown("tunnel-checksum", sum))?,
        port,
    })
}

/// The mode with this number.
pub(crate) fn mode_of(number: u32) -> Result<Mode, DecodeError> {
    Mode::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("mode {number} is unknown to this version")))
}

// SPDX-License-Identifier: GPL-2.0

//! A namespace's settings on the wire.

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::conntrack::Conntrack;
use rvs_engine::defence::When;
use rvs_engine::echo::Echo;
use rvs_engine::places::Places;
use rvs_engine::spec::ConnReuse;

use crate::attr::{received, Attr};
use crate::generated::{config, tcp_timeouts, Set};
use crate::names::attribute_name;

/// Number of TCP states that have a timeout.
const STATES: usize = tcp_timeouts::MAX as usize;

/// Settings; in a request, `None` keeps what is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Timeouts of TCP connections.
    pub tcp_timeouts: TcpTimeouts,
    /// Timeout of UDP flows, in seconds.
    pub udp_timeout: Option<u32>,
    /// Connections the namespace may hold; 0 is no limit but memory.
    pub conn_max: Option<u64>,
    /// The same of each other namespace, which the first one says; 0 is no limit.
    pub conn_max_others: Option<u64>,
    /// Whether connections of a removed dest end at their next packet.
    pub expire_nodest: Option<bool>,
    /// Whether UDP flows of a dest of weight 0 go elsewhere at their next packet.
    pub expire_quiesced: Option<bool>,
    /// Lowest port that local addresses are used with.
    pub local_port_min: Option<u16>,
    /// Highest port that local addresses are used with.
    pub local_port_max: Option<u16>,
    /// Kind of the option that tells a dest the client's address; 0 tells none.
    pub toa_kind: Option<u8>,
    /// Whether TCP packets of no connection begin one although they do not open it.
    pub sloppy_tcp: Option<bool>,
    /// When a SYN on a connection's ports opens another one.
    pub conn_reuse: Option<ConnReuse>,
    /// Whether clients of the IPVS dialect mean FullNAT when they say masquerading.
    pub nat_as_fullnat: Option<bool>,
    /// When connections that were not answered end early.
    pub drop_entry: Option<When>,
    /// When some new flows are dropped.
    pub drop_packet: Option<When>,
    /// Of how many new flows one is dropped.
    pub drop_rate: Option<u32>,
    /// MiB of memory below which it is short.
    pub memory_min: Option<u32>,
    /// Whether flows of services by mark that find no dest go where they are to.
    pub cache_bypass: Option<bool>,
    /// What becomes of ICMP echo requests to virtual addresses.
    pub echo: Option<Echo>,
    /// Where in the host's path packets are taken.
    pub places: Option<Places>,
    /// Whether the host tracks connections that begin.
    pub conntrack: Option<Conntrack>,
    /// An attribute of the kernel's that this version does not know.
    pub unknown: Option<u16>,
}

impl Config {
    /// Its attributes, as both sides send them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = Vec::new();
        if !self.tcp_timeouts.is_empty() {
            let timeouts = self.tcp_timeouts.attributes();
            attributes.push(Attr::nest(config::TCP_TIMEOUTS, timeouts));
        }
        attributes.extend(self.udp_timeout.map(|s| Attr::u32(config::UDP_TIMEOUT, s)));
        attributes.extend(self.conn_max.map(|n| Attr::uint(config::CONN_MAX, n)));
        let others = self.conn_max_others;
        attributes.extend(others.map(|n| Attr::uint(config::CONN_MAX_OTHERS, n)));
        let switches = [
            (config::EXPIRE_NODEST, self.expire_nodest),
            (config::EXPIRE_QUIESCED, self.expire_quiesced),
            (config::SLOPPY_TCP, self.sloppy_tcp),
            (config::NAT_AS_FULLNAT, self.nat_as_fullnat),
            (config::CACHE_BYPASS, self.cache_bypass),
        ];
        for (kind, switch) in switches {
            attributes.extend(switch.map(|on| Attr::u8(kind, on.into())));
        }
        let reuse = self.conn_reuse.map(ConnReuse::number);
        attributes.extend(reuse.map(|number| Attr::u8(config::CONN_REUSE, number)));
        let echo = self.echo.map(Echo::number);
        attributes.extend(echo.map(|number| Attr::u8(config::ECHO, number)));
        let places = self.places.map(Places::number);
        attributes.extend(places.map(|number| Attr::u8(config::PLACES, number)));
        let conntrack = self.conntrack.map(Conntrack::number);
        attributes.extend(conntrack.map(|number| Attr::u8(config::CONNTRACK, number)));
        attributes.extend(self.toa_kind.map(|kind| Attr::u8(config::TOA_KIND, kind)));
        let numbers = [
            (config::DROP_ENTRY, self.drop_entry.map(When::number)),
            (config::DROP_PACKET, self.drop_packet.map(When::number)),
            (config::DROP_RATE, self.drop_rate),
            (config::MEMORY_MIN, self.memory_min),
        ];
        for (kind, number) in numbers {
            attributes.extend(number.map(|number| Attr::u32(kind, number)));
        }
        let ports = [
            (config::LOCAL_PORT_MIN, self.local_port_min),
            (config::LOCAL_PORT_MAX, self.local_port_max),
        ];
        for (kind, port) in ports {
            attributes.extend(port.map(|port| Attr::u16_be(kind, port)));
        }
        attributes
    }

    /// Whether it sets nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Parseable<[u8]> for Config {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parsed = Self::default();
        for attribute in received(bytes) {
            let a = attribute?;
            match a.kind() {
                config::TCP_TIMEOUTS => parsed.tcp_timeouts = TcpTimeouts::parse(a.bytes())?,
                config::UDP_TIMEOUT => parsed.udp_timeout = Some(a.u32("udp timeout")?),
                config::CONN_MAX => parsed.conn_max = Some(a.uint("conn-max")?),
                config::CONN_MAX_OTHERS => {
                    parsed.conn_max_others = Some(a.uint("conn-max-others")?);
                }
                config::LOCAL_PORT_MIN => parsed.local_port_min = Some(a.u16_be("local port")?),
                config::LOCAL_PORT_MAX => parsed.local_port_max = Some(a.u16_be("local port")?),
                config::TOA_KIND => parsed.toa_kind = Some(a.u8("option kind")?),
                config::DROP_ENTRY => parsed.drop_entry = When::from_number(a.u32("drop-entry")?),
                config::DROP_PACKET => {
                    parsed.drop_packet = When::from_number(a.u32("drop-packet")?);
                }
                config::DROP_RATE => parsed.drop_rate = Some(a.u32("drop-rate")?),
                config::MEMORY_MIN => parsed.memory_min = Some(a.u32("memory-min")?),
                config::EXPIRE_NODEST => parsed.expire_nodest = Some(a.u8("expire-nodest")? != 0),
                config::EXPIRE_QUIESCED => {
                    parsed.expire_quiesced = Some(a.u8("expire-quiesced")? != 0);
                }
                config::SLOPPY_TCP => parsed.sloppy_tcp = Some(a.u8("sloppy-tcp")? != 0),
                config::NAT_AS_FULLNAT => {
                    parsed.nat_as_fullnat = Some(a.u8("nat-as-fullnat")? != 0)
                }
                config::CACHE_BYPASS => parsed.cache_bypass = Some(a.u8("cache-bypass")? != 0),
                config::CONN_REUSE => parsed.conn_reuse = Some(conn_reuse_of(a.u8("conn-reuse")?)?),
                config::ECHO => parsed.echo = Some(echo_of(a.u8("echo")?)?),
                config::PLACES => parsed.places = Some(places_of(a.u8("places")?)?),
                config::CONNTRACK => parsed.conntrack = Some(conntrack_of(a.u8("conntrack")?)?),
                kind => parsed.unknown = Some(kind),
            }
        }
        Ok(parsed)
    }
}

fn echo_of(number: u8) -> Result<Echo, DecodeError> {
    Echo::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("echo {number} is unknown to this version")))
}

fn places_of(number: u8) -> Result<Places, DecodeError> {
    Places::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("places {number} is unknown to this version")))
}

fn conntrack_of(number: u8) -> Result<Conntrack, DecodeError> {
    Conntrack::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("conntrack {number} is unknown to this version")))
}

fn conn_reuse_of(number: u8) -> Result<ConnReuse, DecodeError> {
    ConnReuse::from_number(number)
        .ok_or_else(|| DecodeError::from(format!("conn-reuse {number} is unknown to this version")))
}

/// Timeouts of TCP connections by state, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpTimeouts {
    /// By attribute number less one.
    seconds: [Option<u32>; STATES],
}

impl TcpTimeouts {
    /// Names of the states, in the spec's order.
    pub fn states() -> impl Iterator<Item = &'static str> {
        (1..=tcp_timeouts::MAX).map(|kind| attribute_name(Set::TcpTimeouts, kind))
    }

    /// Sets the timeout of the state with this name; `false` when there is no such state.
    #[must_use]
    pub fn set(&mut self, state: &str, seconds: u32) -> bool {
        let slot = Self::states()
            .zip(&mut self.seconds)
            .find(|(name, _)| *name == state);
        match slot {
            Some((_, slot)) => {
                *slot = Some(seconds);
                true
            }
            None => false,
        }
    }

    /// The timeouts that are set, with their state's name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        let named = Self::states().zip(&self.seconds);
        named.filter_map(|(name, seconds)| seconds.map(|seconds| (name, seconds)))
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn attributes(&self) -> Vec<Attr> {
        let numbered = (1..=tcp_timeouts::MAX).zip(&self.seconds);
        numbered
            .filter_map(|(kind, seconds)| seconds.map(|seconds| Attr::u32(kind, seconds)))
            .collect()
    }
}

impl Parseable<[u8]> for TcpTimeouts {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parsed = Self::default();
        for attribute in received(bytes) {
            let attribute = attribute?;
            let slot = usize::from(attribute.kind())
                .checked_sub(1)
                .and_then(|index| parsed.seconds.get_mut(index));
            if let Some(slot) = slot {
                *slot = Some(attribute.u32("tcp timeout")?);
            }
        }
        Ok(parsed)
    }
}

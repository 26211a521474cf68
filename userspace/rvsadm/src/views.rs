// SPDX-License-Identifier: GPL-2.0

//! What is printed as JSON; the shapes are stable, fields are only ever added.

use std::net::IpAddr;

use rvs_engine::sched::Options;
use rvs_engine::spec::{ConnReuse, ServiceId};
use rvs_netlink::{Config, Connection, Counters, DestInfo, ServiceInfo, Stats};
use serde::{Serialize, Serializer};

use crate::values;

/// Numbers with names, in order; `in-packets` is `in_packets` in JSON.
#[derive(Clone, Debug)]
pub struct Numbers(pub Vec<(&'static str, u64)>);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter();
        serializer.collect_map(entries.map(|(name, value)| (name.replace('-', "_"), value)))
    }
}

impl From<&Stats> for Numbers {
    fn from(stats: &Stats) -> Self {
        Self(stats.entries())
    }
}

impl From<&Counters> for Numbers {
    fn from(counters: &Counters) -> Self {
        Self(counters.entries())
    }
}

/// A service.
#[derive(Debug, Serialize)]
pub struct ServiceView {
    pub id: String,
    pub protocol: &'static str,
    pub address: String,
    pub port: u16,
    pub scheduler: Option<String>,
    pub flags: Option<Vec<&'static str>>,
    pub mh_size: Option<u32>,
    pub expiration: Option<u32>,
    pub one_packet: Option<bool>,
    pub toa: Option<String>,
    pub dests: Option<u32>,
    pub active: Option<u32>,
    pub inactive: Option<u32>,
    pub stats: Option<Numbers>,
    pub rates: Option<Numbers>,
}

impl From<&ServiceInfo> for ServiceView {
    fn from(service: &ServiceInfo) -> Self {
        Self {
            id: service.id.to_string(),
            protocol: service.id.protocol.name(),
            address: service.id.address.to_string(),
            port: service.id.port,
            scheduler: service.scheduler.clone(),
            flags: service.flags.map(|flags| {
                let scheduler = service.scheduler.as_deref().unwrap_or_default();
                values::flag_names(scheduler, flags)
            }),
            mh_size: service.mh_size,
            expiration: service.expiration,
            one_packet: service.one_packet,
            toa: service.toa.map(values::toa_text),
            dests: service.dests,
            active: service.active,
            inactive: service.inactive,
            stats: service.stats.as_ref().map(Numbers::from),
            rates: service.rates.as_ref().map(Numbers::from),
        }
    }
}

impl ServiceView {
    /// What of its settings is not as it is unless told otherwise, as `service add` takes it.
    pub fn options(&self) -> String {
        let mut options: Vec<String> = Vec::new();
        options.extend(self.flags.iter().flatten().map(|&name| name.to_owned()));
        let mh_size = self.mh_size.filter(|n| *n != Options::DEFAULT.mh_size);
        options.extend(mh_size.map(|n| format!("mh-size={n}")));
        let expiration = self.expiration;
        let expiration = expiration.filter(|n| *n != Options::DEFAULT.expiration);
        options.extend(expiration.map(|n| format!("sched-expiration={n}")));
        if self.one_packet == Some(true) {
            options.push("ops".to_owned());
        }
        let toa = self.toa.iter().filter(|text| *text != values::TOA_USUAL);
        options.extend(toa.map(|text| format!("toa={text}")));
        options.join(",")
    }
}

/// A dest.
#[derive(Debug, Serialize)]
pub struct DestView {
    pub service: String,
    pub id: String,
    pub address: String,
    pub port: u16,
    pub mode: Option<&'static str>,
    pub weight: Option<u32>,
    pub upper: Option<u32>,
    pub lower: Option<u32>,
    pub active: Option<u32>,
    pub inactive: Option<u32>,
    pub stats: Option<Numbers>,
    pub rates: Option<Numbers>,
}

impl DestView {
    /// A dest of `service`.
    pub fn new(service: &ServiceId, dest: &DestInfo) -> Self {
        Self {
            service: service.to_string(),
            id: dest.id.to_string(),
            address: dest.id.address.to_string(),
            port: dest.id.port,
            mode: dest.mode.map(|mode| mode.name()),
            weight: dest.weight,
            upper: dest.upper,
            lower: dest.lower,
            active: dest.active,
            inactive: dest.inactive,
            stats: dest.stats.as_ref().map(Numbers::from),
            rates: dest.rates.as_ref().map(Numbers::from),
        }
    }
}

/// A local address.
#[derive(Debug, Serialize)]
pub struct LocalView {
    pub service: Option<String>,
    pub address: String,
}

impl LocalView {
    /// A local address of a service, or of all that have none.
    pub fn new(service: Option<ServiceId>, address: IpAddr) -> Self {
        Self {
            service: service.map(|id| id.to_string()),
            address: address.to_string(),
        }
    }
}

/// A service with its dests.
#[derive(Debug, Serialize)]
pub struct ServiceWithDests {
    pub service: ServiceView,
    pub dests: Vec<DestView>,
}

/// A connection.
#[derive(Debug, Serialize)]
pub struct ConnectionView {
    pub protocol: &'static str,
    pub client: String,
    pub service: String,
    pub dest: String,
    pub mode: Option<&'static str>,
    pub state: &'static str,
    pub expires_ms: Option<u32>,
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        let service = ServiceId {
            protocol: connection.protocol,
            address: connection.service.ip(),
            port: connection.service.port(),
        };
        Self {
            protocol: connection.protocol.name(),
            client: connection.client.to_string(),
            service: service.to_string(),
            dest: connection.dest.to_string(),
            mode: connection.mode.map(|mode| mode.name()),
            state: connection.state_name(),
            expires_ms: connection.expires_ms,
        }
    }
}

/// Settings.
#[derive(Debug, Serialize)]
pub struct ConfigView {
    pub tcp_timeouts: Numbers,
    pub udp_timeout: Option<u32>,
    pub conn_max: Option<u64>,
    pub expire_nodest: Option<bool>,
    pub local_port_min: Option<u16>,
    pub local_port_max: Option<u16>,
    pub toa_kind: Option<u8>,
    pub sloppy_tcp: Option<bool>,
    pub conn_reuse: Option<&'static str>,
    pub nat_as_fullnat: Option<bool>,
}

impl From<&Config> for ConfigView {
    fn from(config: &Config) -> Self {
        let timeouts = config.tcp_timeouts.iter();
        Self {
            tcp_timeouts: Numbers(timeouts.map(|(state, s)| (state, s.into())).collect()),
            udp_timeout: config.udp_timeout,
            conn_max: config.conn_max,
            expire_nodest: config.expire_nodest,
            local_port_min: config.local_port_min,
            local_port_max: config.local_port_max,
            toa_kind: config.toa_kind,
            sloppy_tcp: config.sloppy_tcp,
            conn_reuse: config.conn_reuse.map(ConnReuse::name),
            nat_as_fullnat: config.nat_as_fullnat,
        }
    }
}

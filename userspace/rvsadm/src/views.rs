// SPDX-License-Identifier: GPL-2.0

//! What is printed as JSON; the shapes are stable, fields are only ever added.

use std::net::IpAddr;

use rvs_engine::conntrack::Conntrack;
use rvs_engine::defence::When;
use rvs_engine::echo::Echo;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::places::Places;
use rvs_engine::proto::State;
use rvs_engine::sched::Options;
use rvs_engine::service::Removed;
use rvs_engine::spec::{ConnReuse, Protocol, ServiceId};
use rvs_engine::tunnel::Tunnel;
use rvs_netlink::{Account, Config, Connection, Counters, DestInfo, ServiceInfo, States, Stats};
use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
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

impl JsonSchema for Numbers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Numbers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Numbers with names: of counters and states, with _ in place of -.",
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": 0 },
        })
    }
}

impl From<&Stats> for Numbers {
    fn from(stats: &Stats) -> Self {
        Self(stats.entries())
    }
}

impl From<&States> for Numbers {
    fn from(states: &States) -> Self {
        Self(states.entries())
    }
}

impl From<&Counters> for Numbers {
    fn from(counters: &Counters) -> Self {
        Self(counters.entries())
    }
}

/// A service.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Service")]
pub struct ServiceView {
    pub id: String,
    pub protocol: Option<&'static str>,
    pub address: Option<String>,
    pub port: Option<u16>,
    pub mark: Option<u32>,
    pub scheduler: Option<String>,
    pub flags: Option<Vec<&'static str>>,
    pub mh_size: Option<u32>,
    pub expiration: Option<u32>,
    pub one_packet: Option<bool>,
    pub random_start: Option<bool>,
    pub slow_start: Option<u32>,
    pub persistence: Option<u32>,
    pub persistence_prefix: Option<u8>,
    pub persistence_quiesced: Option<bool>,
    pub persistence_engine: Option<&'static str>,
    pub templates: Option<u32>,
    pub tcp_timeouts: Numbers,
    pub udp_timeout: Option<u32>,
    pub expire_nodest: Option<&'static str>,
    pub expire_quiesced: Option<&'static str>,
    pub toa: Option<String>,
    pub account: Option<bool>,
    pub helper: Option<&'static str>,
    pub dests: Option<u32>,
    pub active: Option<u32>,
    pub inactive: Option<u32>,
    pub stats: Option<Numbers>,
    pub rates: Option<Numbers>,
}

impl From<&ServiceInfo> for ServiceView {
    fn from(service: &ServiceInfo) -> Self {
        let settings = &service.settings;
        // Those that are the namespace's are left out.
        let (udp, tcp): (Vec<_>, Vec<_>) = settings
            .timeouts
            .iter()
            .filter(|(_, seconds)| *seconds != 0)
            .partition(|(state, _)| *state == State::Udp);
        let tcp = tcp.into_iter().map(|(state, n)| (state.name(), n.into()));
        Self {
            id: service.id.to_string(),
            protocol: service.id.protocol().map(Protocol::name),
            address: service.id.address().map(|address| address.to_string()),
            port: service.id.address().map(|_| service.id.port()),
            mark: match service.id {
                ServiceId::Marked { mark, .. } => Some(mark),
                ServiceId::Virtual { .. } => None,
            },
            scheduler: service.scheduler.clone(),
            flags: service.settings.flags.map(|flags| {
                let scheduler = service.scheduler.as_deref().unwrap_or_default();
                values::flag_names(scheduler, flags)
            }),
            mh_size: settings.mh_size,
            expiration: settings.expiration,
            one_packet: settings.one_packet,
            random_start: settings.random_start,
            slow_start: settings.slow_start,
            persistence: settings.persistence,
            persistence_prefix: settings.prefix,
            persistence_quiesced: settings.quiesced,
            persistence_engine: settings.engine.map(Engine::name),
            templates: service.templates,
            tcp_timeouts: Numbers(tcp.collect()),
            udp_timeout: udp.first().map(|(_, n)| *n),
            expire_nodest: settings.removed.map(Removed::name),
            expire_quiesced: settings.quiesced_flows.map(Removed::name),
            toa: settings.toa.map(values::toa_text),
            account: settings.account,
            helper: settings.helper.map(Helper::name),
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
        let switches = [
            ("ops", self.one_packet),
            ("random-start", self.random_start),
            ("persistence-quiesced", self.persistence_quiesced),
            ("account", self.account),
        ];
        let on = switches.iter().filter(|(_, on)| *on == Some(true));
        options.extend(on.map(|(name, _)| (*name).to_owned()));
        let helper = self.helper.filter(|name| *name != Helper::Off.name());
        options.extend(helper.map(|name| format!("helper={name}")));
        let engine = self.persistence_engine;
        let engine = engine.filter(|name| *name != Engine::Off.name());
        options.extend(engine.map(|name| format!("pe={name}")));
        let slow_start = self.slow_start.filter(|n| *n != 0);
        options.extend(slow_start.map(|n| format!("slow-start={n}")));
        let persistence = self.persistence.filter(|n| *n != 0);
        options.extend(persistence.map(|n| format!("persistence={n}")));
        let prefix = self.persistence_prefix.filter(|n| *n != 0);
        options.extend(prefix.map(|n| format!("persistence-prefix={n}")));
        let timeouts = self.tcp_timeouts.0.iter();
        options.extend(timeouts.map(|(state, n)| format!("tcp-timeout {state}={n}")));
        options.extend(self.udp_timeout.map(|n| format!("udp-timeout={n}")));
        for (name, expire) in [
            ("expire-nodest", self.expire_nodest),
            ("expire-quiesced", self.expire_quiesced),
        ] {
            let expire = expire.filter(|expire| *expire != Removed::Default.name());
            options.extend(expire.map(|expire| format!("{name}={expire}")));
        }
        let toa = self.toa.iter().filter(|text| *text != values::TOA_USUAL);
        options.extend(toa.map(|text| format!("toa={text}")));
        options.join(",")
    }
}

/// What packets travel in to a dest.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Tunnel")]
pub struct TunnelView {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub port: Option<u16>,
    pub checksum: &'static str,
}

impl From<Tunnel> for TunnelView {
    fn from(tunnel: Tunnel) -> Self {
        Self {
            kind: tunnel.kind.name(),
            port: (tunnel.port != 0).then_some(tunnel.port),
            checksum: tunnel.sum.name(),
        }
    }
}

/// A dest.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Dest")]
pub struct DestView {
    pub service: String,
    pub id: String,
    pub address: String,
    pub port: u16,
    pub mode: Option<&'static str>,
    pub weight: Option<u32>,
    pub upper: Option<u32>,
    pub lower: Option<u32>,
    pub drain: Option<u32>,
    pub drain_ended: Option<u32>,
    pub tunnel: Option<TunnelView>,
    pub no_port: Option<u64>,
    pub no_reply: Option<u64>,
    pub active: Option<u32>,
    pub inactive: Option<u32>,
    pub templates: Option<u32>,
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
            drain: dest.drain,
            drain_ended: dest.drain_ended,
            tunnel: dest.tunnel.map(TunnelView::from),
            no_port: dest.no_port,
            no_reply: dest.no_reply,
            active: dest.active,
            inactive: dest.inactive,
            templates: dest.templates,
            stats: dest.stats.as_ref().map(Numbers::from),
            rates: dest.rates.as_ref().map(Numbers::from),
        }
    }
}

/// A local address.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "LocalAddress")]
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
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ServiceShown")]
pub struct ServiceWithDests {
    pub service: ServiceView,
    pub dests: Vec<DestView>,
    /// What keeps it from working.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A connection.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Connection")]
pub struct ConnectionView {
    pub protocol: &'static str,
    pub client: String,
    pub service: String,
    pub scheduled_by: String,
    pub dest: String,
    pub mode: Option<&'static str>,
    pub state: &'static str,
    pub expires_ms: Option<u32>,
    pub idle_ms: Option<u32>,
    pub local: Option<String>,
    /// Of services that keep accounts.
    pub account: Option<AccountView>,
}

/// What a connection carried.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Account")]
pub struct AccountView {
    /// Seconds since it began.
    pub age: u32,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        let Account {
            age,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        } = *account;
        Self {
            age,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        }
    }
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        let service = connection.virtual_end();
        Self {
            protocol: connection.protocol.name(),
            client: connection.client.to_string(),
            service: service.to_string(),
            scheduled_by: connection.scheduled_by().to_string(),
            dest: connection.dest.to_string(),
            mode: connection.mode.map(|mode| mode.name()),
            state: connection.state_name(),
            expires_ms: connection.expires_ms,
            idle_ms: connection.silent_ms,
            local: connection.local.map(|local| local.to_string()),
            account: connection.account.as_ref().map(AccountView::from),
        }
    }
}

/// Settings.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Settings")]
pub struct ConfigView {
    pub tcp_timeouts: Numbers,
    pub udp_timeout: Option<u32>,
    pub conn_max: Option<u64>,
    pub conn_max_others: Option<u64>,
    pub expire_nodest: Option<&'static str>,
    pub expire_quiesced: Option<&'static str>,
    pub local_port_min: Option<u16>,
    pub local_port_max: Option<u16>,
    pub toa: Option<String>,
    pub sloppy_tcp: Option<bool>,
    pub conn_reuse: Option<&'static str>,
    pub nat_as_fullnat: Option<bool>,
    pub drop_entry: Option<&'static str>,
    pub drop_packet: Option<&'static str>,
    pub drop_rate: Option<u32>,
    pub memory_min: Option<u32>,
    pub cache_bypass: Option<bool>,
    pub echo: Option<&'static str>,
    pub places: Option<&'static str>,
    pub conntrack: Option<&'static str>,
}

/// As services say it, which may also leave it to the namespace.
fn switch(on: bool) -> &'static str {
    if on {
        Removed::Expire.name()
    } else {
        Removed::GoOn.name()
    }
}

impl From<&Config> for ConfigView {
    fn from(config: &Config) -> Self {
        let timeouts = config.tcp_timeouts.iter();
        Self {
            tcp_timeouts: Numbers(timeouts.map(|(state, s)| (state, s.into())).collect()),
            udp_timeout: config.udp_timeout,
            conn_max: config.conn_max,
            conn_max_others: config.conn_max_others,
            expire_nodest: config.expire_nodest.map(switch),
            expire_quiesced: config.expire_quiesced.map(switch),
            local_port_min: config.local_port_min,
            local_port_max: config.local_port_max,
            toa: config.toa_kind.map(values::toa_text),
            sloppy_tcp: config.sloppy_tcp,
            conn_reuse: config.conn_reuse.map(ConnReuse::name),
            nat_as_fullnat: config.nat_as_fullnat,
            drop_entry: config.drop_entry.map(When::name),
            drop_packet: config.drop_packet.map(When::name),
            drop_rate: config.drop_rate,
            memory_min: config.memory_min,
            cache_bypass: config.cache_bypass,
            echo: config.echo.map(Echo::name),
            places: config.places.map(Places::name),
            conntrack: config.conntrack.map(Conntrack::name),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What `rvsadm save -j` prints, read again: it becomes the lines that `rvsadm save` prints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{DestSpec, ServiceId};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::{Tunnel, TunnelSum};
use rvs_netlink::Role;
use serde::de::IgnoredAny;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::envelope::VERSION;
use crate::lines::{
    default_local_line, dest_line, local_line, service_lines, sync_line, BEGIN, END, SETTINGS,
};
use crate::values;

/// All of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    services: Vec<Service>,
    #[serde(default)]
    laddrs: Vec<IpAddr>,
    config: Option<Map<String, Value>>,
    #[serde(default)]
    sync: Vec<Daemon>,
}

/// A daemon of sync.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Daemon {
    role: String,
    device: String,
    id: Option<u8>,
    max_len: Option<u32>,
    group: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
    key_file: Option<String>,
}

/// A service with what it has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    service: Settings,
    #[serde(default)]
    dests: Vec<Dest>,
    #[serde(default)]
    laddrs: Vec<IpAddr>,
    #[serde(rename = "warnings")]
    _warnings: Option<IgnoredAny>,
}

/// What a service is set to. What only tells how it does, or says again what its id says, is passed
/// over; what is not known is refused, as it would get lost.
#[derive(Deserialize)]
struct Settings {
    id: String,
    scheduler: String,
    flags: Option<Vec<String>>,
    mh_size: Option<u32>,
    expiration: Option<u32>,
    one_packet: Option<bool>,
    random_start: Option<bool>,
    slow_start: Option<u32>,
    persistence: Option<u32>,
    persistence_prefix: Option<u8>,
    persistence_quiesced: Option<bool>,
    persistence_engine: Option<String>,
    #[serde(default)]
    tcp_timeouts: BTreeMap<String, u32>,
    udp_timeout: Option<u32>,
    expire_nodest: Option<String>,
    expire_quiesced: Option<String>,
    toa: Option<String>,
    account: Option<bool>,
    helper: Option<String>,
    #[serde(flatten)]
    told: Told,
}

/// What a dest is set to.
#[derive(Deserialize)]
struct Dest {
    id: String,
    mode: String,
    weight: u32,
    #[serde(default)]
    upper: Option<u32>,
    #[serde(default)]
    lower: Option<u32>,
    tunnel: Option<TunnelIn>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TunnelIn {
    #[serde(rename = "type")]
    kind: String,
    port: Option<u16>,
    checksum: Option<String>,
}

/// What is not set by anybody.
type Told = BTreeMap<String, IgnoredAny>;

/// Fields of services and dests that only tell.
const TOLD: [&str; 15] = [
    "service",
    "protocol",
    "address",
    "port",
    "mark",
    "templates",
    "dests",
    "active",
    "inactive",
    "stats",
    "rates",
    "drain",
    "drain_ended",
    "no_port",
    "no_reply",
];

/// Whether a text is such a document.
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The lines of a document, with the first and the last one.
pub fn lines(text: &str) -> Result<String, String> {
    let saved: Saved = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if saved.version != VERSION {
        return Err(format!(
            "its version is {}, this rvsadm reads {VERSION}",
            saved.version
        ));
    }
    let mut lines = vec![BEGIN.to_owned()];
    for service in &saved.services {
        let id = values::service_id(&service.service.id)?;
        let at = |error| format!("{id}: {error}");
        lines.extend(service_lines(&id, &service.service.spec().map_err(at)?));
        for dest in &service.dests {
            let at = |error| format!("{id} {}: {error}", dest.id);
            lines.push(dest.line(&id).map_err(at)?);
        }
        lines.extend(
            service
                .laddrs
                .iter()
                .map(|address| local_line(&id, *address)),
        );
    }
    lines.extend(saved.laddrs.iter().copied().map(default_local_line));
    if let Some(config) = &saved.config {
        let options = options(config).map_err(|error| format!("config: {error}"))?;
        if !options.is_empty() {
            lines.push(format!("{SETTINGS}{options}"));
        }
    }
    for daemon in &saved.sync {
        lines.push(daemon.line().map_err(|error| format!("sync: {error}"))?);
    }
    lines.push(END.to_owned());
    Ok(lines.join("\n"))
}

/// Refuses a field that this version does not know.
fn only_told(told: &Told) -> Result<(), String> {
    match told.keys().find(|name| !TOLD.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("no field is called {name:?}")),
    }
}

impl Settings {
    fn spec(&self) -> Result<ServiceSpec, String> {
        only_told(&self.told)?;
        let mut timeouts = TimeoutUpdate::default();
        for (state, seconds) in &self.tcp_timeouts {
            let (state, seconds) = values::timeout(&timeout(state, seconds))?;
            timeouts.set(state, seconds);
        }
        if let Some(seconds) = self.udp_timeout {
            timeouts.set(State::Udp, seconds);
        }
        let flags = self.flags.as_ref().filter(|flags| !flags.is_empty());
        let read = |text: &Option<String>| text.as_deref().map(values::removed).transpose();
        let update = ServiceUpdate {
            scheduler: None,
            flags: flags
                .map(|flags| values::flags(&flags.join(",")))
                .transpose()?,
            mh_size: self.mh_size,
            expiration: self.expiration,
            one_packet: self.one_packet,
            random_start: self.random_start,
            slow_start: self.slow_start,
            persistence: self.persistence,
            prefix: self.persistence_prefix,
            quiesced: self.persistence_quiesced,
            engine: self
                .persistence_engine
                .as_deref()
                .map(values::engine)
                .transpose()?,
            timeouts,
            removed: read(&self.expire_nodest)?,
            quiesced_flows: read(&self.expire_quiesced)?,
            toa: self.toa.as_deref().map(values::toa).transpose()?,
            account: self.account,
            helper: self.helper.as_deref().map(values::helper).transpose()?,
        };
        let scheduler = word(&self.scheduler).and_then(values::scheduler)?;
        Ok(update.of(&ServiceSpec::new(scheduler)))
    }
}

impl Dest {
    fn line(&self, service: &ServiceId) -> Result<String, String> {
        only_told(&self.told)?;
        let tunnel = match &self.tunnel {
            None => Tunnel::IPIP,
            Some(told) => told.tunnel()?,
        };
        let spec = DestSpec {
            mode: values::mode(&self.mode)?,
            weight: self.weight,
            thresholds: Thresholds {
                upper: self.upper.unwrap_or(0),
                lower: self.lower.unwrap_or(0),
            },
            tunnel,
        };
        Ok(dest_line(service, &values::dest_id(&self.id)?, &spec))
    }
}

impl Daemon {
    fn line(&self) -> Result<String, String> {
        let mut roles = [Role::Master, Role::Backup].into_iter();
        let role = roles.find(|role| role.name() == self.role);
        let role = role.ok_or_else(|| format!("{:?} is no role", self.role))?;
        let file = self.key_file.as_deref().map(word).transpose()?;
        Ok(sync_line(&rvs_netlink::Daemon {
            device: Some(word(&self.device)?.to_owned()),
            id: self.id,
            max_len: self.max_len,
            group: self.group,
            port: self.port,
            ttl: self.ttl,
            key_file: file.map(str::to_owned),
            ..rvs_netlink::Daemon::of(role)
        }))
    }
}

impl TunnelIn {
    fn tunnel(&self) -> Result<Tunnel, String> {
        let named = self.checksum.as_deref().unwrap_or(TunnelSum::None.name());
        let mut sums = TunnelSum::ALL.into_iter();
        let sum = sums.find(|sum| sum.name() == named);
        Ok(Tunnel {
            kind: values::tunnel_kind(&self.kind)?,
            sum: sum.ok_or_else(|| format!("no checksum of a tunnel is called {named:?}"))?,
            port: self.port.unwrap_or(0),
        })
    }
}

/// A text that is one word, and so cannot begin another line.
fn word(text: &str) -> Result<&str, String> {
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_word
        .then_some(text)
        .ok_or_else(|| format!("{text:?} is no word"))
}

/// A timeout as an argument; states have _ in place of - in JSON.
fn timeout(state: &str, seconds: impl std::fmt::Display) -> String {
    format!("{}={seconds}", state.replace('_', "-"))
}

/// The options of `config set` that make these settings; that knows which there are.
fn options(config: &Map<String, Value>) -> Result<String, String> {
    let mut options = Vec::new();
    for (name, value) in config {
        let text = match value {
            Value::Null => continue,
            Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => word(text)?.to_owned(),
            Value::Object(timeouts) => {
                let each = timeouts
                    .iter()
                    .map(|(state, seconds)| timeout(state, seconds));
                each.collect::<Vec<_>>().join(",")
            }
            Value::Array(_) => return Err(format!("{name} is a list")),
        };
        let option = match name.as_str() {
            "tcp_timeouts" if text.is_empty() => continue,
            "tcp_timeouts" => "tcp-timeout".to_owned(),
            // Both are one option.
            "local_port_max" => continue,
            "local_port_min" => {
                let max = config.get("local_port_max").unwrap_or(&Value::Null);
                options.push(format!("--local-ports {text}-{max}"));
                continue;
            }
            name => word(name)?.replace('_', "-"),
        };
        options.push(format!("--{option} {text}"));
    }
    Ok(options.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeKernel;

    fn refused(text: &str) -> String {
        lines(text).unwrap_err()
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let service = |rest: &str| {
            format!(
                "{{\"version\":1,\"services\":[{{\"service\":{{\"id\":\"tcp/203.0.113.10:80\",{rest}}}}}]}}"
            )
        };
        for (text, reason) in [
            ("{", "EOF"),
            ("{\"services\":[]}", "`version`"),
            ("{\"version\":2,\"services\":[]}", "version is 2"),
            ("{\"version\":1,\"services\":[],\"vips\":[]}", "`vips`"),
            (&service("\"schedule\":\"rr\""), "`scheduler`"),
            (&service("\"scheduler\":\"rr\\n-A\""), "is no word"),
            (&service("\"scheduler\":\"rr\",\"weight\":1"), "\"weight\""),
            (
                &service("\"scheduler\":\"rr\",\"toa\":\"x\""),
                "\"x\" is not on",
            ),
        ] {
            let said = refused(text);
            assert!(said.contains(reason), "{text}: {said}");
        }
        let config = "{\"version\":1,\"services\":[],\"config\":{\"conn_max\":\"1 --echo host\"}}";
        assert!(refused(config).contains("is no word"));
        for (daemon, reason) in [
            ("\"role\":\"both\",\"device\":\"e\"", "\"both\" is no role"),
            ("\"role\":\"master\",\"device\":\"e --ttl 9\"", "is no word"),
            ("\"role\":\"master\"", "`device`"),
        ] {
            let said = refused(&format!(
                "{{\"version\":1,\"services\":[],\"sync\":[{{{daemon}}}]}}"
            ));
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn the_least_there_can_be() {
        let text = "{\"version\":1,\"services\":[{\"service\":{\"id\":\"fwmark/7\",\"scheduler\":\"wrr\"},\
                    \"dests\":[{\"id\":\"192.0.2.1:80\",\"mode\":\"nat\",\"weight\":2}]}],\
                    \"config\":{\"udp_timeout\":60,\"local_port_min\":6000,\"local_port_max\":6999,\
                    \"sloppy_tcp\":true,\"tcp_timeouts\":{\"close_wait\":9}}}";
        let expected =
            "#rvsadm begin\n-A -f 7 -s wrr\n-a -f 7 -r 192.0.2.1:80 -m -w 2\n#rvsadm config \
                        --local-ports 6000-6999 --sloppy-tcp on --tcp-timeout close-wait=9 \
                        --udp-timeout 60\n#rvsadm end";
        assert_eq!(lines(text).unwrap(), expected);
    }

    fn saved(kernel: &mut FakeKernel, json: bool) -> String {
        let arguments = crate::save::Arguments {
            settings: true,
            ..Default::default()
        };
        kernel
            .run(json, |context| crate::save::run(&arguments, context))
            .unwrap()
    }

    #[test]
    fn what_is_saved_as_json_is_restored() {
        let text = "\
-A -t 203.0.113.10:80 -s mh -b mh-fallback,mh-port -p 300 -M 255.255.255.0
#rvsadm service tcp/203.0.113.10:80 --mh-size 65537 --expire-nodest on --tcp-timeout established=60
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 3 -x 10 -y 5
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -i -w 1 --tun-type gue --tun-port 6000 --tun-nocsum
-a -t 203.0.113.10:80 -r 192.0.2.3:8080 --fullnat -w 1
-P -t 203.0.113.10:80 -z 192.0.2.200
-A -f 7 -6 -s rr
#rvsadm laddr 192.0.2.201
#rvsadm sync master --device eth1 --id 7 --group 224.0.0.81 --port 8848 --ttl 1 --key-file /etc/rvs.key
#rvsadm sync backup --device eth1 --id 0 --max-len 9000
";
        let mut kernel = FakeKernel::with(text);
        let plain = saved(&mut kernel, false);
        let json = saved(&mut kernel, true);
        assert!(plain.contains("--mh-size 65537"), "{plain}");
        assert!(plain.contains("#rvsadm sync backup --device eth1 --id 0 --max-len 9000\n"));
        assert!(
            plain.contains("--ttl 1 --key-file /etc/rvs.key\n"),
            "{plain}"
        );
        let again = lines(&json).unwrap();
        let mut restored = FakeKernel::with(&again);
        assert_eq!(saved(&mut restored, false), plain);
        // Nothing differs from what there is.
        let document = crate::document::Document::parse(&again, &Default::default()).unwrap();
        let running = crate::snapshot::Snapshot::read(&mut kernel).unwrap();
        assert_eq!(crate::diff::Plan::new(&document, &running).steps, []);
    }
}

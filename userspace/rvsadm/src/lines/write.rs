// SPDX-License-Identifier: GPL-2.0

//! Lines as they are saved.

use std::net::{IpAddr, Ipv4Addr};

use rvs_engine::persistence::Engine;
use rvs_engine::service::ServiceSpec;
use rvs_engine::spec::{DestId, DestSpec, Mode, Protocol, ServiceId};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::{Tunnel, TunnelKind};
use rvs_netlink::{Config, Daemon};

use super::words::{DEFAULT_LOCAL, SERVICE, SETTINGS, SYNC};
use crate::{config, service, sync, values};

/// The line of a service, and another where ipvsadm has no options for some settings.
pub fn service_lines(id: &ServiceId, spec: &ServiceSpec) -> Vec<String> {
    let scheduler = spec.scheduler.as_str();
    let mut line = format!("-A {} -s {scheduler}", service_option(id));
    let flags = values::flag_names(scheduler, spec.flags);
    if !flags.is_empty() {
        line = format!("{line} -b {}", flags.join(","));
    }
    if spec.one_packet {
        line.push_str(" -o");
    }
    let rule = &spec.persistence;
    if rule.seconds != 0 {
        line = format!("{line} -p {}", rule.seconds);
    }
    let mut since = spec.since(&ServiceSpec::new(spec.scheduler));
    if rule.seconds != 0 && rule.prefix != 0 {
        line = format!("{line} -M {}", mask(id.is_ipv6(), rule.prefix));
    }
    if rule.engine != Engine::Off {
        line = format!("{line} --pe {}", rule.engine.name());
    }
    // Of no use without persistence, but a setting all the same.
    let alone = since.prefix.filter(|_| rule.seconds == 0);
    (since.flags, since.one_packet) = (None, None);
    (since.persistence, since.engine) = (None, None);
    let mut more = service::line_of(&since);
    if let Some(prefix) = alone {
        more = format!("--persistence-prefix {prefix} {more}");
    }
    if more.is_empty() {
        return vec![line];
    }
    vec![line, format!("{SERVICE}{id} {}", more.trim_end())]
}

/// A prefix as ipvsadm has it: a netmask for IPv4, else its length.
fn mask(ipv6: bool, prefix: u8) -> String {
    if ipv6 {
        return prefix.to_string();
    }
    let host = 32_u32.saturating_sub(prefix.into());
    Ipv4Addr::from_bits(u32::MAX.checked_shl(host).unwrap_or(0)).to_string()
}

/// The line of a dest.
pub fn dest_line(service: &ServiceId, id: &DestId, spec: &DestSpec) -> String {
    let flag = match spec.mode {
        Mode::Dr => "-g",
        Mode::Nat => "-m",
        Mode::Tun => "-i",
        // As the ipvsadm of DPVS has it; -b is something else in the others.
        Mode::FullNat => "--fullnat",
        // No other tool has a word for it.
        Mode::Local => "--local",
    };
    let service = service_option(service);
    let mut line = format!("-a {service} -r {id} {flag} -w {}", spec.weight);
    let Thresholds { upper, lower } = spec.thresholds;
    if upper != 0 {
        line = format!("{line} -x {upper} -y {lower}");
    }
    if spec.tunnel != Tunnel::IPIP {
        line = format!("{line} {}", tunnel_options(spec.tunnel));
    }
    line
}

/// The options of a tunnel, as ipvsadm has them.
pub fn tunnel_options(tunnel: Tunnel) -> String {
    let mut options = format!("--tun-type {}", tunnel.kind.name());
    if tunnel.port != 0 {
        options = format!("{options} --tun-port {}", tunnel.port);
    }
    if tunnel.kind != TunnelKind::Ipip {
        options = format!("{options} --tun-{}", tunnel.sum.name());
    }
    options
}

/// The line of a service's local address, as the ipvsadm of DPVS saves it.
pub fn local_line(service: &ServiceId, address: IpAddr) -> String {
    format!("-P {} -z {address}", service_option(service))
}

/// The line of a local address for services that have none.
pub fn default_local_line(address: IpAddr) -> String {
    format!("{DEFAULT_LOCAL}{address}")
}

/// The line of a daemon of sync.
pub fn sync_line(daemon: &Daemon) -> String {
    format!("{SYNC}{}", sync::line_of(daemon))
}

/// The line of settings.
pub fn settings_line(settings: &Config) -> String {
    format!("{SETTINGS}{}", config::line_of(settings))
}

fn service_option(id: &ServiceId) -> String {
    match *id {
        ServiceId::Virtual {
            protocol,
            address,
            port,
        } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            format!("{option} {}", DestId { address, port })
        }
        ServiceId::Marked { mark, ipv6: false } => format!("-f {mark}"),
        ServiceId::Marked { mark, ipv6: true } => format!("-f {mark} -6"),
    }
}

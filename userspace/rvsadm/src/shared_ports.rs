// SPDX-License-Identifier: GPL-2.0

//! A warning about local addresses whose ports the host's own connections may take too.

use std::fs::read_to_string;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::ops::RangeInclusive;

use rvs_netlink::{Lists, Request, Transport};

use crate::output::say;

/// Ports, from the lowest to the highest.
type Ports = RangeInclusive<u16>;

/// Warns, after local addresses were added, of those that the host's own connections come from, where
/// both may have the same ports. Nothing is wrong with the change, so nothing that fails here is told.
pub fn warn(kernel: &mut dyn Transport, addresses: &[IpAddr]) {
    let own: Vec<_> = addresses.iter().filter(|a| is_own_source(**a)).collect();
    if own.is_empty() {
        return;
    }
    let config = kernel.one(&Request::ConfigGet).ok().and_then(|r| r.config);
    let local = config.and_then(|c| Some(c.local_port_min?..=c.local_port_max?));
    let (Some(local), Some(host)) = (local, of_host("ip_local_port_range")) else {
        return;
    };
    let reserved = read_to_string(path("ip_local_reserved_ports")).unwrap_or_default();
    let Some(shared) = shared(&local, &host, &reserved) else {
        return;
    };
    for address in own {
        say(format_args!(
            "rvsadm: warning: this host's own connections come from {address} too, and both may have \
             ports {}-{}: answers to such a connection can go to a client's",
            shared.start(),
            shared.end()
        ));
    }
    say(format_args!("hint: {}", remedy(&local, &host, &shared)));
}

/// Whether the host takes an address for connections of its own: to others of its network.
fn is_own_source(address: IpAddr) -> bool {
    let neighbour = match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() ^ 1)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() ^ 1)),
    };
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent.
    let socket = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((neighbour, 9))?;
        socket.local_addr()
    });
    socket.is_ok_and(|source| source.ip() == address)
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/ipv4/{name}")
}

/// A range of ports that a file of the kernel has.
fn of_host(name: &str) -> Option<Ports> {
    let text = read_to_string(path(name)).ok()?;
    let mut ports = text.split_whitespace().map(str::parse);
    Some(ports.next()?.ok()?..=ports.next()?.ok()?)
}

/// The ports that both have, from the first to the last that is not `reserved`; none if all are.
fn shared(local: &Ports, host: &Ports, reserved: &str) -> Option<Ports> {
    let reserved: Vec<Ports> = reserved.trim().split(',').filter_map(range).collect();
    let first = *local.start().max(host.start());
    let last = *local.end().min(host.end());
    let is_free = |port: &u16| !reserved.iter().any(|range| range.contains(port));
    let start = (first..=last).find(is_free)?;
    let end = (first..=last).rev().find(is_free)?;
    Some(start..=end)
}

/// 7 or 7-9.
fn range(text: &str) -> Option<Ports> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// What to do: the larger part of the ports that the host does not take may be enough.
fn remedy(local: &Ports, host: &Ports, shared: &Ports) -> String {
    let mut parts = Vec::new();
    if local.start() < host.start() {
        parts.push(*local.start()..=host.start().saturating_sub(1).min(*local.end()));
    }
    if local.end() > host.end() {
        parts.push(host.end().saturating_add(1).max(*local.start())..=*local.end());
    }
    let largest = parts.into_iter().max_by_key(ExactSizeIterator::len);
    let ports = match largest {
        Some(ports) => format!(
            "or ports of its own (rvsadm config set --local-ports {}-{}), ",
            ports.start(),
            ports.end()
        ),
        None => String::new(),
    };
    format!(
        "give fullnat another address (ip addr add ADDRESS/32 dev lo), {ports}or keep the host from \
         some of {}-{} (sysctl net.ipv4.ip_local_reserved_ports)",
        shared.start(),
        shared.end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_both_have() {
        let (local, host) = (5_000..=65_535, 32_768..=60_999);
        assert_eq!(shared(&local, &host, "\n"), Some(32_768..=60_999));
        assert_eq!(
            shared(&local, &host, "32768-40000,60999"),
            Some(40_001..=60_998)
        );
        assert_eq!(shared(&local, &host, "32768-60999\n"), None);
        assert_eq!(shared(&(5_000..=32_767), &host, ""), None);
        assert_eq!(shared(&(61_000..=65_535), &host, ""), None);
        assert_eq!(
            shared(&(60_000..=65_535), &host, "1"),
            Some(60_000..=60_999)
        );
    }

    #[test]
    fn the_larger_part_is_named() {
        let host = 32_768..=60_999;
        for (local, wanted) in [
            (5_000..=65_535, "--local-ports 5000-32767"),
            (32_000..=65_535, "--local-ports 61000-65535"),
            (40_000..=60_000, "dev lo), or keep"),
        ] {
            let said = remedy(&local, &host, &(40_000..=40_001));
            assert!(said.contains(wanted), "{said}");
            assert!(said.contains("some of 40000-40001"), "{said}");
        }
    }

    #[test]
    fn addresses_that_nothing_comes_from() {
        assert!(!is_own_source("192.0.2.77".parse().unwrap()));
        assert!(!is_own_source("2001:db8::77".parse().unwrap()));
    }
}

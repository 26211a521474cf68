// SPDX-License-Identifier: GPL-2.0

//! Whether addresses are where they are said to be.

use std::collections::HashSet;
use std::net::IpAddr;

use rvs_engine::spec::Mode;

use super::facts::Facts;
use super::finding::Findings;
use crate::routing::Way;

/// An address to look at, with what it is for.
struct Place {
    address: IpAddr,
    service: String,
    /// Bytes that are put in front of packets.
    overhead: u32,
}

pub fn check(facts: &mut Facts, findings: &mut Findings) {
    for address in facts.virtual_addresses() {
        if let Some(way) = facts.way(address) {
            virtual_address(address, way.ok(), findings);
        }
    }
    for address in local_addresses(facts) {
        match facts.way(address) {
            Some(Ok(way)) if !way.is_local => findings.error(
                "laddr",
                format!("the local address {address} is not on this host"),
                "real servers' answers to it do not come here: connections of mode fullnat hang",
                format!("ip addr add {address}/{} dev lo", bits(address)),
            ),
            _ => {}
        }
    }
    let client_mtu = facts.devices.iter().filter(|d| d.is_up && !d.is_loopback);
    let client_mtu = client_mtu.map(|device| device.mtu).max().unwrap_or(0);
    for place in dests(facts) {
        let Some(way) = facts.way(place.address) else {
            break;
        };
        dest(&place, way, client_mtu, findings);
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() {
        32
    } else {
        128
    }
}

fn virtual_address(address: IpAddr, way: Option<Way>, findings: &mut Findings) {
    if way.as_ref().is_some_and(|way| way.is_local) {
        return;
    }
    // Behind a router it may be routed to this host, as with a transparent director.
    if let Some(way) = way.filter(|way| way.via.is_none()) {
        findings.error(
            "vip",
            format!(
                "the virtual address {address} is of a network of {}, and not on this host",
                way.device
            ),
            "nobody answers when clients' routers ask for it by ARP or neighbour discovery",
            format!("ip addr add {address}/{} dev {}", bits(address), way.device),
        );
    } else {
        findings.warning(
            "vip",
            format!("the virtual address {address} is not on this host"),
            "its packets come only if a router sends them here, and programs of this host do not reach it",
            format!("ip addr add {address}/{} dev lo", bits(address)),
        );
    }
}

fn local_addresses(facts: &Facts) -> Vec<IpAddr> {
    let snapshots = facts.director.iter().map(|director| &director.snapshot);
    let all = snapshots.flat_map(|snapshot| {
        let own = snapshot.services.iter().flat_map(|running| &running.locals);
        snapshot.locals.iter().chain(own)
    });
    let mut addresses: Vec<_> = all.copied().collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// The dests of all services, each address once.
fn dests(facts: &Facts) -> Vec<Place> {
    let mut seen = HashSet::new();
    let services = facts.director.iter().flat_map(|d| &d.snapshot.services);
    let dests = services.flat_map(|running| running.dests.iter().map(move |dest| (running, dest)));
    let places = dests.filter_map(|(running, dest)| {
        let tunnel = dest.tunnel.filter(|_| dest.mode == Some(Mode::Tun));
        seen.insert((dest.id.address, dest.mode)).then(|| Place {
            address: dest.id.address,
            service: running.service.id.to_string(),
            overhead: tunnel.map_or(0, |tunnel| {
                // Beside an IPv4 header that of IPv6 has 20 bytes more.
                let more = if dest.id.address.is_ipv6() { 20 } else { 0 };
                tunnel.overhead(false) + more
            }),
        })
    });
    places.collect()
}

fn dest(place: &Place, way: Result<Way, String>, client_mtu: u32, findings: &mut Findings) {
    let address = place.address;
    let way = match way {
        Ok(way) => way,
        Err(error) => {
            return findings.error(
                "dest-route",
                format!(
                    "there is no route to the dest {address} of {}: {error}",
                    place.service
                ),
                "clients that are sent to it are refused",
                format!("ip route get {address}"),
            )
        }
    };
    if way.neighbour.as_ref().is_some_and(|n| n.is_silent()) {
        let asked = way.via.unwrap_or(address);
        findings.error(
            "dest-neighbour",
            format!(
                "{asked}, by which {address} of {} is reached, does not answer on {}",
                place.service, way.device
            ),
            "it is down, or on another network: its connections hang",
            format!(
                "ip neigh show {asked}; rvsadm dest drain {} {address}:PORT",
                place.service
            ),
        );
    }
    if !way.is_local && place.overhead > 0 && way.mtu < client_mtu.saturating_add(place.overhead) {
        findings.warning(
            "mtu",
            format!("the MTU toward {address} is {}, and its tunnel takes {} bytes of it", way.mtu, place.overhead),
            format!("clients' packets of {client_mtu} bytes do not fit: they are told to send less, if they hear it"),
            format!("ip link set {} mtu {}", way.device, client_mtu.saturating_add(place.overhead)),
        );
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What concerns a real server.

use std::net::IpAddr;

use super::facts::Facts;
use super::finding::Findings;

/// Beginnings of the names of devices that tunnels end at.
const TUNNELS: [&str; 6] = ["tunl", "gre", "ip6tnl", "sit", "ip6gre", "rvs"];

pub fn check(facts: &Facts, findings: &mut Findings) {
    trust(facts, findings);
    let vips: Vec<_> = match facts.vips.as_slice() {
        [] if facts.is_director() => Vec::new(),
        [] => facts.on_loopback.clone(),
        vips => vips.to_vec(),
    };
    for vip in &vips {
        virtual_address(*vip, facts, findings);
    }
    if vips.iter().any(IpAddr::is_ipv4) {
        arp(&vips, facts, findings);
        tunnels(facts, findings);
    }
}

fn trust(facts: &Facts, findings: &mut Findings) {
    let Some(receiver) = &facts.receiver else {
        return;
    };
    if receiver.trusted == 0 {
        findings.error(
            "toa-trust",
            "toa.ko trusts no director",
            "programs see the director's local address instead of the client's",
            "rvsadm toa trust add NETWORK-OF-THE-LOCAL-ADDRESSES",
        );
    } else if receiver.untrusted > 0 {
        findings.warning(
            "toa-trust",
            format!("{} connections had the option and came from nobody who is trusted", receiver.untrusted),
            "a director's local address may be missing from the trusted networks; or clients forge the option",
            "rvsadm toa trust list; rvsadm toa trust add NETWORK",
        );
    }
    if receiver.kinds == 0 {
        findings.error(
            "toa-kind",
            "toa.ko takes addresses from options of no kind",
            "programs see the director's local address instead of the client's",
            "rvsadm toa kind add 254, or what the director's toa-kind is",
        );
    }
}

fn virtual_address(vip: IpAddr, facts: &Facts, findings: &mut Findings) {
    if !facts.on_loopback.contains(&vip) {
        findings.error(
            "vip",
            format!("the virtual address {vip} is not on lo"),
            "packets of mode dr or tun are to it, and this host takes them for another's",
            format!("rvsadm rs setup --mode dr --vip {vip}"),
        );
    }
}

/// Whether the virtual addresses on lo are announced on other devices.
fn arp(vips: &[IpAddr], facts: &Facts, findings: &mut Findings) {
    let devices = facts.devices.iter().filter(|d| d.is_up && !d.is_loopback);
    for device in devices {
        let answers = facts.setting(&device.name, "arp_ignore") == 0;
        let announces = facts.setting(&device.name, "arp_announce") < 2;
        let how = match (answers, announces) {
            (true, _) => "answers ARP requests for it (arp_ignore)",
            (false, true) => "sends ARP requests in its name (arp_announce)",
            (false, false) => continue,
        };
        let Some(vip) = vips.iter().find(|vip| vip.is_ipv4()) else {
            return;
        };
        findings.error(
            "arp",
            format!("{} {how}: {vip}", device.name),
            "clients or their router send to this host and pass the director by",
            format!("rvsadm rs setup --mode dr --vip {vip}"),
        );
    }
}

/// Whether packets out of tunnels are taken for forged.
fn tunnels(facts: &Facts, findings: &mut Findings) {
    for device in &facts.devices {
        let is_tunnel = TUNNELS.iter().any(|name| device.name.starts_with(name));
        if is_tunnel && device.is_up && facts.setting(&device.name, "rp_filter") == 1 {
            findings.error(
                "rp-filter",
                format!("rp_filter is strict on {}", device.name),
                "clients' packets come out of the tunnel and would be answered by another device: they are dropped",
                format!("sysctl net.ipv4.conf.{0}.rp_filter=0 net.ipv4.conf.all.rp_filter=0", device.name),
            );
        }
    }
}

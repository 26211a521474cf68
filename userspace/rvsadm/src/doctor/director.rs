// SPDX-License-Identifier: GPL-2.0

//! What concerns a director's configuration and counters.

use rvs_engine::spec::Mode;
use rvs_netlink::DestInfo;

use super::facts::{Director, Facts};
use super::finding::Findings;
use crate::snapshot::Running;

/// Bytes that a connection takes at most, with its share of the table.
const CONNECTION_BYTES: u64 = 256;

pub fn check(facts: &Facts, findings: &mut Findings) {
    let Some(director) = &facts.director else {
        return;
    };
    for running in &director.snapshot.services {
        dests(running, findings);
    }
    local_addresses(director, findings);
    counters(facts, director, findings);
    memory(facts, director, findings);
    forwarding(facts, director, findings);
}

fn dests(running: &Running, findings: &mut Findings) {
    let id = running.service.id;
    if running.dests.is_empty() {
        findings.error(
            "no-dest",
            format!("{id} has no dest"),
            "its clients are refused",
            format!("rvsadm dest add {id} ADDRESS:PORT --mode MODE"),
        );
    } else if running.dests.iter().all(|dest| dest.weight == Some(0)) {
        let dest = running.dests.first().map(|dest| dest.id.to_string());
        findings.error(
            "no-dest",
            format!("all dests of {id} have weight 0"),
            "its clients are refused",
            format!(
                "rvsadm dest set {id} {} --weight 1",
                dest.unwrap_or_default()
            ),
        );
    }
    for dest in running.dests.iter().filter(|dest| is_mute(dest)) {
        findings.error(
            "no-answer",
            format!("{} of {id} has answered none of {} connections", dest.id, scheduled(dest)),
            "it is down, does not have the virtual address (dr, tun), or its answers take another way",
            format!("look at the real server: rvsadm doctor; here: rvsadm dest drain {id} {}", dest.id),
        );
    }
}

fn scheduled(dest: &DestInfo) -> u64 {
    dest.stats.as_ref().map_or(0, |stats| stats.connections)
}

/// Whether none of the connections that it got was answered, and some have ended for it.
fn is_mute(dest: &DestInfo) -> bool {
    let without = dest.no_reply.unwrap_or(0);
    without > 0 && without >= scheduled(dest)
}

fn local_addresses(director: &Director, findings: &mut Findings) {
    let shared = !director.snapshot.locals.is_empty();
    for running in &director.snapshot.services {
        let uses = |dest: &DestInfo| dest.mode == Some(Mode::FullNat);
        if !shared && running.locals.is_empty() && running.dests.iter().any(uses) {
            findings.error(
                "no-laddr",
                format!(
                    "{} has dests of mode fullnat and no local address",
                    running.service.id
                ),
                "there is nothing to put in the client's place: its clients are refused",
                format!("rvsadm laddr add {} ADDRESS", running.service.id),
            );
        }
        for dest in running
            .dests
            .iter()
            .filter(|dest| dest.no_port.unwrap_or(0) > 0)
        {
            findings.warning(
                "ports",
                format!(
                    "{} connections to {} of {} found no local port",
                    dest.no_port.unwrap_or(0),
                    dest.id,
                    running.service.id
                ),
                "each local address has a limited number of ports toward a dest",
                format!("rvsadm laddr add {} ANOTHER-ADDRESS", running.service.id),
            );
        }
    }
}

fn counters(facts: &Facts, director: &Director, findings: &mut Findings) {
    let counters = &director.counters;
    if counters.input_rules > 0 {
        findings.warning(
            "input-rules",
            "there are rules in INPUT",
            "packets to services do not meet them: they are taken ahead of routing",
            "filter at ingress or in prerouting below -350, or: rvsadm config set --places ip_vs",
        );
    }
    let strict = facts
        .devices
        .iter()
        .filter(|d| facts.setting(&d.name, "rp_filter") == 1);
    let strict: Vec<_> = strict.map(|device| device.name.as_str()).collect();
    if counters.drop_martian > 0 && !strict.is_empty() {
        findings.warning(
            "rp-filter",
            format!(
                "{} packets were dropped for where they came from",
                counters.drop_martian
            ),
            format!(
                "rp_filter is strict on {}: answers to them would leave by another device",
                strict.join(", ")
            ),
            format!(
                "sysctl net.ipv4.conf.{}.rp_filter=2",
                strict.first().unwrap_or(&"all")
            ),
        );
    }
    if counters.drop_conn_max > 0 {
        findings.warning(
            "conn-max",
            format!(
                "{} packets of new flows came when conn-max was reached",
                counters.drop_conn_max
            ),
            "clients beyond it are not served",
            "rvsadm config set --conn-max MORE, or shorter timeouts",
        );
    }
    if counters.drop_output > 0 {
        findings.warning(
            "output-rules",
            format!(
                "rules or devices have dropped {} packets on their way out",
                counters.drop_output
            ),
            "rules of OUTPUT and POSTROUTING, and IPsec policies, see packets to dests and clients",
            "nft list ruleset; ip xfrm policy",
        );
    }
}

fn memory(facts: &Facts, director: &Director, findings: &mut Findings) {
    let max = director.settings.conn_max.unwrap_or(0);
    let held = director.counters.conns_now;
    let needed = max.saturating_sub(held).saturating_mul(CONNECTION_BYTES);
    if needed > facts.memory {
        findings.warning(
            "memory",
            format!("conn-max is {max}, and there is no memory for so many connections"),
            format!(
                "{} MiB more may be needed, {} MiB are there: a flood takes what the host needs",
                needed >> 20,
                facts.memory >> 20
            ),
            format!(
                "rvsadm config set --conn-max {}",
                held.saturating_add(facts.memory / 2 / CONNECTION_BYTES)
            ),
        );
    }
}

/// What real servers of mode nat send besides answers is forwarded by the host, or not at all.
fn forwarding(facts: &Facts, director: &Director, findings: &mut Findings) {
    let mut dests = director
        .snapshot
        .services
        .iter()
        .flat_map(|running| &running.dests);
    let has_nat = dests.any(|dest| dest.mode == Some(Mode::Nat) && dest.id.address.is_ipv4());
    let all = facts.settings.get(&("all".to_owned(), "forwarding"));
    if has_nat && all == Some(&0) {
        findings.warning(
            "forwarding",
            "there are dests of mode nat, and this host does not forward",
            "answers to clients pass, but nothing else that real servers send: their updates, name look-ups, pings",
            "sysctl net.ipv4.ip_forward=1",
        );
    }
}

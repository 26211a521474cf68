// SPDX-License-Identifier: GPL-2.0

//! Each check, of facts that are made up.

use std::collections::{BTreeMap, HashMap};

use rvs_netlink::{Config, Counters, Stats};

use super::facts::{Director, Receiver, Ways};
use super::*;
use crate::fake::FakeKernel;
use crate::routing::{Device, Neighbour, Way};
use crate::snapshot::Snapshot;

/// Ways that are made up; there is none to what is not in it.
struct Map(HashMap<IpAddr, Way>);

impl Ways for Map {
    fn way(&mut self, address: IpAddr) -> Result<Way, String> {
        let way = self.0.get(&address).cloned();
        way.ok_or_else(|| "Network is unreachable".to_owned())
    }
}

fn way(is_local: bool, via: Option<&str>, state: &'static str) -> Way {
    Way {
        is_local,
        device: "eth0".to_owned(),
        via: via.map(|text| text.parse().unwrap()),
        mtu: 1500,
        neighbour: Some(Neighbour {
            state,
            address: None,
        }),
    }
}

fn device(name: &str) -> Device {
    Device {
        name: name.to_owned(),
        mtu: 1500,
        is_up: true,
        is_loopback: name == "lo",
    }
}

/// A host with nothing wrong.
fn facts(ways: &[(&str, Way)]) -> Facts {
    let ways = ways
        .iter()
        .map(|(text, way)| (text.parse().unwrap(), way.clone()));
    Facts {
        director: None,
        receiver: None,
        vips: Vec::new(),
        on_loopback: Vec::new(),
        settings: BTreeMap::new(),
        devices: vec![device("eth0"), device("lo")],
        with_lro: Vec::new(),
        has_ipvs: false,
        memory: 1 << 30,
        ways: Box::new(Map(ways.collect())),
        ways_left: 100,
    }
}

fn director(lines: &str) -> Director {
    let mut kernel = FakeKernel::with(lines);
    Director {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        snapshot: Snapshot::read(&mut kernel).unwrap(),
        settings: Config::default(),
        counters: Counters::default(),
    }
}

/// Names of the checks that found something, in their order.
fn found(facts: &mut Facts) -> Vec<&'static str> {
    let mut findings = Findings::default();
    host::check(facts, &mut findings);
    if facts.is_director() {
        director::check(facts, &mut findings);
        routes::check(facts, &mut findings);
    }
    if facts.is_real_server() {
        receiver::check(facts, &mut findings);
    }
    let findings = findings.all();
    for Finding {
        what, why, mend, ..
    } in &findings
    {
        assert!(!what.is_empty() && !why.is_empty() && !mend.is_empty());
    }
    findings.iter().map(|finding| finding.check).collect()
}

const WEB: &str = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1\n";

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let ways = [
        ("203.0.113.10", way(true, None, "none")),
        ("192.0.2.1", way(false, None, "reachable")),
    ];
    let mut facts = facts(&ways);
    facts.director = Some(director(WEB));
    assert_eq!(facts.roles(), ["director"]);
    assert_eq!(found(&mut facts), [""; 0]);
}

#[test]
fn nothing_loaded() {
    assert_eq!(found(&mut facts(&[])), ["module"]);
}

#[test]
fn another_version_and_ip_vs_and_lro() {
    let ways = [
        ("203.0.113.10", way(true, None, "none")),
        ("192.0.2.1", way(false, None, "reachable")),
    ];
    let mut facts = facts(&ways);
    facts.director = Some(Director {
        version: Some("9.9.9".to_owned()),
        ..director(WEB)
    });
    facts.has_ipvs = true;
    facts.with_lro = vec!["eth0".to_owned()];
    assert_eq!(found(&mut facts), ["version", "ip-vs", "lro"]);
}

#[test]
fn addresses_that_are_not_where_they_are_said_to_be() {
    let lines = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.1:80 --fullnat\n\
                 -a -t 203.0.113.10:80 -r 192.0.2.2:80 -g\n-P -t 203.0.113.10:80 -z 192.0.2.200\n";
    let ways = [
        ("203.0.113.10", way(false, None, "none")),
        ("192.0.2.1", way(false, None, "failed")),
        ("192.0.2.200", way(false, None, "none")),
    ];
    let mut facts = facts(&ways);
    facts.director = Some(director(lines));
    assert_eq!(
        found(&mut facts),
        ["vip", "laddr", "dest-neighbour", "dest-route"]
    );
    facts.ways_left = 0;
    assert_eq!(found(&mut facts), [""; 0], "it is bounded");
}

#[test]
fn services_without_anybody_who_answers() {
    let lines = "-A -t 203.0.113.10:80 -s rr\n-A -u 203.0.113.10:53 -s rr\n\
                 -a -u 203.0.113.10:53 -r 192.0.2.1:53 -g -w 0\n-A -t 203.0.113.10:81 -s rr\n\
                 -a -t 203.0.113.10:81 -r 192.0.2.1:81 --fullnat\n";
    let ways = [
        ("203.0.113.10", way(true, None, "none")),
        ("192.0.2.1", way(false, None, "stale")),
    ];
    let mut facts = facts(&ways);
    let mut director = director(lines);
    let dest = &mut director.snapshot.services[2].dests[0];
    (dest.no_reply, dest.no_port) = (Some(3), Some(1));
    dest.stats = Some(Stats {
        connections: 3,
        ..Stats::default()
    });
    facts.director = Some(director);
    let names = ["no-dest", "no-dest", "no-answer", "no-laddr", "ports"];
    assert_eq!(found(&mut facts), names);
}

#[test]
fn what_counters_and_settings_say() {
    let lines = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.1:80 -m\n";
    let ways = [
        ("203.0.113.10", way(true, None, "none")),
        ("192.0.2.1", way(false, None, "reachable")),
    ];
    let mut facts = facts(&ways);
    let mut director = director(lines);
    director.counters = Counters {
        input_rules: 1,
        drop_martian: 5,
        drop_conn_max: 7,
        drop_output: 9,
        ..Counters::default()
    };
    director.settings.conn_max = Some(1 << 30);
    facts.director = Some(director);
    for (name, value) in [("rp_filter", 1), ("forwarding", 0)] {
        facts.settings.insert(("all".to_owned(), name), value);
    }
    let names = [
        "input-rules",
        "rp-filter",
        "conn-max",
        "output-rules",
        "memory",
        "forwarding",
    ];
    assert_eq!(found(&mut facts), names);
}

#[test]
fn a_tunnel_in_the_way_of_full_packets() {
    let lines = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 192.0.2.1:80 -i\n";
    let ways = [
        ("203.0.113.10", way(false, Some("198.51.100.1"), "none")),
        ("192.0.2.1", way(false, None, "reachable")),
    ];
    let mut facts = facts(&ways);
    facts.director = Some(director(lines));
    assert_eq!(found(&mut facts), ["vip", "mtu"]);
}

#[test]
fn a_real_server() {
    let mut facts = facts(&[]);
    facts.vips = vec!["203.0.113.10".parse().unwrap()];
    facts.devices.push(device("tunl0"));
    facts.settings.insert(("tunl0".to_owned(), "rp_filter"), 1);
    facts.receiver = Some(Receiver::default());
    assert_eq!(facts.roles(), ["real-server"]);
    let names = ["toa-trust", "toa-kind", "vip", "arp", "arp", "rp-filter"];
    assert_eq!(found(&mut facts), names);

    facts.on_loopback = facts.vips.clone();
    facts.devices.pop();
    for (name, value) in [("arp_ignore", 1), ("arp_announce", 2)] {
        facts.settings.insert(("all".to_owned(), name), value);
    }
    facts.receiver = Some(Receiver {
        version: None,
        trusted: 1,
        kinds: 1,
        untrusted: 2,
    });
    assert_eq!(found(&mut facts), ["toa-trust"]);
}

// SPDX-License-Identifier: GPL-2.0

//! Rules at a device's ingress, which do not see frames that leave there.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::links::Link;
use crate::input_rules;

/// Those of a device, as they are to be named; what cannot be asked for has none.
pub fn rules(link: &Link) -> Vec<String> {
    let filters = filters(&link.name).map(|filters| named_filters(&filters));
    let mut found = filters.unwrap_or_default();
    if rvs_xdp::device::ingress_programs(link.index).is_ok_and(|count| count > 0) {
        found.push("programs of tcx (bpftool net)".to_owned());
    }
    let ruleset = input_rules::ruleset();
    found.extend(ruleset.iter().flat_map(|all| named_chains(all, &link.name)));
    found
}

/// Filters of tc.
fn filters(device: &str) -> Option<Value> {
    let mut tc = Command::new("tc");
    tc.args(["-j", "filter", "show", "dev", device, "ingress"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = tc.output().ok().filter(|output| output.status.success())?;
    serde_json::from_slice(&output.stdout).ok()
}

/// Each filter once: "tc filter matchall, pref 49152".
fn named_filters(filters: &Value) -> Vec<String> {
    let all = filters.as_array().map_or(&[][..], Vec::as_slice);
    let mut named: Vec<_> = all
        .iter()
        .filter_map(|filter| {
            let (kind, pref) = (filter["kind"].as_str()?, filter["pref"].as_u64()?);
            Some(format!("tc filter {kind}, pref {pref}"))
        })
        .collect();
    named.dedup();
    named
}

/// Chains of nftables at the ingress of a device: "chain early of netdev filter".
fn named_chains(ruleset: &Value, device: &str) -> Vec<String> {
    let objects = ruleset["nftables"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let is_of = |dev: &Value| match dev {
        Value::Array(devices) => devices.iter().any(|one| one == device),
        one => one == device,
    };
    let chains = objects.iter().map(|object| &object["chain"]);
    chains
        .filter(|chain| chain["hook"] == "ingress" && is_of(&chain["dev"]))
        .map(|chain| {
            let [name, family, table] =
                ["name", "family", "table"].map(|key| chain[key].as_str().unwrap_or_default());
            format!("chain {name} of {family} {table}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_of_tc_are_named_once() {
        let filters = json!([
            {"protocol": "all", "pref": 49152, "kind": "matchall", "chain": 0},
            {"protocol": "all", "pref": 49152, "kind": "matchall", "chain": 0, "options": {}},
            {"protocol": "ip", "pref": 7, "kind": "flower", "chain": 0},
            {"odd": true},
        ]);
        let named = ["tc filter matchall, pref 49152", "tc filter flower, pref 7"];
        assert_eq!(named_filters(&filters), named);
        assert!(named_filters(&json!({})).is_empty());
    }

    #[test]
    fn chains_of_a_devices_ingress_are_named() {
        let chain = |name: &str, hook: &str, dev: Value| json!({"chain": {"family": "netdev", "table": "t", "name": name, "hook": hook, "dev": dev}});
        let ruleset = json!({"nftables": [
            {"metainfo": {}},
            chain("one", "ingress", json!("eth0")),
            chain("two", "ingress", json!(["eth1", "eth0"])),
            chain("other", "ingress", json!("eth1")),
            chain("out", "egress", json!("eth0")),
            {"chain": {"family": "inet", "table": "f", "name": "early", "hook": "ingress", "dev": "eth0"}},
        ]});
        let named = [
            "chain one of netdev t",
            "chain two of netdev t",
            "chain early of inet f",
        ];
        assert_eq!(named_chains(&ruleset, "eth0"), named);
    }
}

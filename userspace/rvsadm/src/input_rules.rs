// SPDX-License-Identifier: GPL-2.0

//! A warning about rules of INPUT, which do not see what goes to services.

use std::process::{Command, Stdio};

use rvs_netlink::{Lists, Request, Transport};
use serde_json::Value;

/// Warns, after a service was added, if it is the namespace's first and there are rules in INPUT
/// that do not see what goes to it. Nothing is wrong with the change, so nothing that fails here is
/// told.
pub fn warn_once(kernel: &mut dyn Transport) {
    if !are_there(kernel) {
        return;
    }
    let services = kernel.collect(&Request::ServiceList).unwrap_or_default();
    if services
        .iter()
        .filter(|reply| reply.service.is_some())
        .count()
        == 1
    {
        say();
    }
}

/// The same after the namespace got all of its services.
pub fn warn(kernel: &mut dyn Transport) {
    if are_there(kernel) {
        say();
    }
}

fn are_there(kernel: &mut dyn Transport) -> bool {
    let stats = kernel.one(&Request::StatsGet);
    let counters = stats.ok().and_then(|reply| reply.counters);
    counters.is_some_and(|counters| counters.input_rules > 0)
}

fn say() {
    let chains = ruleset().map(|ruleset| chains(&ruleset));
    // Without rules they are no concern; those of the old iptables are not in the list.
    if chains.as_ref().is_some_and(Vec::is_empty) && !has_old_tables() {
        return;
    }
    let chains = match chains.unwrap_or_default() {
        none if none.is_empty() => String::new(),
        chains => format!(": {}", chains.join(", ")),
    };
    eprintln!(
        "rvsadm: warning: rules of INPUT do not see what goes to services{chains}\n\
         hint: filter at ingress (netdev) or in a prerouting chain of a priority below -350, or have \
         them here: rvsadm config set --places ip_vs"
    );
}

/// The rules of nftables, without the elements of sets.
pub fn ruleset() -> Option<Value> {
    let mut nft = Command::new("nft");
    nft.args(["-j", "-t", "list", "ruleset"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = nft.output().ok().filter(|output| output.status.success())?;
    serde_json::from_slice(&output.stdout).ok()
}

/// Whether there are tables of the iptables that is not nftables.
fn has_old_tables() -> bool {
    ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]
        .iter()
        .any(|path| std::fs::read_to_string(path).is_ok_and(|names| !names.is_empty()))
}

/// Chains of INPUT that have a rule, or drop what no rule takes: "input of inet filter".
fn chains(ruleset: &Value) -> Vec<String> {
    let objects = ruleset["nftables"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let rules: Vec<&Value> = objects.iter().map(|object| &object["rule"]).collect();
    let is_of = |rule: &Value, chain: &Value| {
        rule["chain"] == chain["name"]
            && ["family", "table"]
                .iter()
                .all(|key| rule[*key] == chain[*key])
    };
    let matters = |chain: &&Value| {
        chain["hook"] == "input"
            && ["ip", "ip6", "inet"]
                .iter()
                .any(|family| chain["family"] == *family)
            && (chain["policy"] == "drop" || rules.iter().any(|rule| is_of(rule, chain)))
    };
    let chains = objects
        .iter()
        .map(|object| &object["chain"])
        .filter(matters);
    let text = |chain: &Value, key: &str| chain[key].as_str().unwrap_or_default().to_owned();
    chains
        .map(|chain| {
            let [name, family, table] = ["name", "family", "table"].map(|key| text(chain, key));
            format!("{name} of {family} {table}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(family: &str, table: &str, name: &str, hook: &str, policy: &str) -> Value {
        json!({"chain": {"family": family, "table": table, "name": name, "handle": 1,
            "type": "filter", "hook": hook, "prio": 0, "policy": policy}})
    }

    #[test]
    fn chains_of_input_with_rules_or_a_policy_are_named() {
        let ruleset = json!({"nftables": [
            {"metainfo": {"version": "1.1.3"}},
            {"table": {"family": "inet", "name": "filter", "handle": 1}},
            chain("inet", "filter", "in", "input", "accept"),
            chain("inet", "filter", "out", "output", "drop"),
            chain("ip", "filter", "INPUT", "input", "drop"),
            chain("ip", "empty", "INPUT", "input", "accept"),
            chain("bridge", "filter", "in", "input", "drop"),
            {"chain": {"family": "ip", "table": "filter", "name": "called", "handle": 2}},
            {"rule": {"family": "inet", "table": "filter", "chain": "in", "expr": []}},
            {"rule": {"family": "ip", "table": "filter", "chain": "called", "expr": []}},
        ]});
        assert_eq!(
            chains(&ruleset),
            ["in of inet filter", "INPUT of ip filter"]
        );
        assert_eq!(chains(&json!({"nftables": []})), [""; 0]);
        assert_eq!(chains(&json!(null)), [""; 0]);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Names of attributes, to say which one the kernel blames.

use crate::generated::Set;

/// Names of each set's attributes by number, from 1 on, as the spec spells them.
const fn names(set: Set) -> &'static [&'static str] {
    match set {
        Set::Main => &[
            "service",
            "dest",
            "conn",
            "stats",
            "counters",
            "config",
            "generation",
            "change",
            "laddr",
            "rates",
            "template",
            "selection",
            "ended",
            "question",
            "explanation",
            "states",
            "sync",
            "sync-counters",
            "record",
            "restored",
            "parameters",
        ],
        Set::Sync => &[
            "role", "device", "id", "max-len", "group", "port", "ttl", "key", "key-file",
        ],
        Set::SyncCounters => &[
            "told",
            "postponed",
            "sent",
            "not-sent",
            "received",
            "learned",
            "updated",
            "known",
            "full",
            "misfit",
            "lost",
            "late",
            "unproven",
            "asked",
            "told-again",
            "rounds",
            "stale",
            "bad-version",
            "bad-length",
            "bad-id",
            "bad-entry",
            "bad-option",
            "bad-tail",
            "unknown-option",
            "bad-flags",
            "bad-protocol",
            "bad-state",
            "bad-address",
            "bad-mode",
            "unsigned",
            "bad-key",
        ],
        Set::Service => &[
            "protocol",
            "address",
            "port",
            "scheduler",
            "dests",
            "active",
            "inactive",
            "stats",
            "sched-flags",
            "mh-size",
            "sched-expiration",
            "one-packet",
            "rates",
            "random-start",
            "persistence",
            "persistence-prefix",
            "persistence-quiesced",
            "tcp-timeouts",
            "udp-timeout",
            "removed",
            "templates",
            "slow-start",
            "toa",
            "mark",
            "ip-version",
            "quiesced-flows",
            "account",
            "helper",
        ],
        Set::Dest => &[
            "address",
            "port",
            "mode",
            "weight",
            "active",
            "inactive",
            "stats",
            "upper-threshold",
            "lower-threshold",
            "rates",
            "drain",
            "drain-ended",
            "templates",
            "tunnel-kind",
            "tunnel-port",
            "tunnel-checksum",
            "no-port",
            "no-reply",
        ],
        Set::Conn => &[
            "protocol",
            "client-address",
            "client-port",
            "virtual-address",
            "virtual-port",
            "dest-address",
            "dest-port",
            "mode",
            "state",
            "expires",
            "silent",
            "local-address",
            "local-port",
            "account",
        ],
        Set::Account => &["age", "in-packets", "out-packets", "in-bytes", "out-bytes"],
        Set::Stats | Set::Rates => &[
            "connections",
            "in-packets",
            "out-packets",
            "in-bytes",
            "out-bytes",
            "drops",
            "no-reply",
        ],
        Set::States => &[
            "none",
            "established",
            "syn-sent",
            "syn-recv",
            "fin-wait",
            "time-wait",
            "close",
            "close-wait",
            "last-ack",
            "listen",
            "synack",
            "udp",
            "sctp-none",
            "sctp-init1",
            "sctp-init",
            "sctp-cookie-sent",
            "sctp-cookie-replied",
            "sctp-cookie-wait",
            "sctp-cookie",
            "sctp-cookie-echoed",
            "sctp-established",
            "sctp-shutdown-sent",
            "sctp-shutdown-received",
            "sctp-shutdown-ack-sent",
            "sctp-rejected",
            "sctp-closed",
        ],
        Set::Counters => &[
            "conns-now",
            "conns-expired",
            "table-buckets",
            "table-resizes",
            "drop-malformed",
            "drop-no-dest",
            "drop-no-memory",
            "drop-conn-max",
            "drop-no-route",
            "drop-dest-gone",
            "drop-too-big",
            "not-syn",
            "slow-xmit",
            "route-refreshes",
            "drop-no-port",
            "drop-overload",
            "conns-dropped",
            "drop-output",
            "no-reply",
            "templates-now",
            "templates-dropped",
            "drop-martian",
            "input-rules",
            "xdp-taken",
            "xdp-pass-new",
            "xdp-pass-odd",
            "xdp-pass-care",
            "xdp-pass-mode",
            "xdp-pass-way",
            "xdp-pass-size",
            "xdp-pass-device",
        ],
        Set::Config => &[
            "tcp-timeouts",
            "udp-timeout",
            "conn-max",
            "expire-nodest",
            "local-port-min",
            "local-port-max",
            "toa-kind",
            "sloppy-tcp",
            "conn-reuse",
            "nat-as-fullnat",
            "drop-entry",
            "drop-packet",
            "drop-rate",
            "memory-min",
            "cache-bypass",
            "echo",
            "expire-quiesced",
            "conn-max-others",
            "places",
            "conntrack",
        ],
        Set::TcpTimeouts => &[
            "none",
            "established",
            "syn-sent",
            "syn-recv",
            "fin-wait",
            "time-wait",
            "close",
            "close-wait",
            "last-ack",
            "listen",
            "synack",
        ],
        Set::Change => &["op", "service", "dest", "laddr"],
        Set::Laddr => &["address"],
        Set::Template => &[
            "network",
            "prefix",
            "dest-address",
            "dest-port",
            "mode",
            "expires",
        ],
        Set::Selection => &[
            "protocol",
            "client-address",
            "client-prefix",
            "client-port",
            "virtual-address",
            "virtual-port",
            "dest-address",
            "dest-prefix",
            "dest-port",
            "mode",
            "state",
            "silent",
            "age",
        ],
        Set::Question => &[
            "protocol",
            "client-address",
            "client-port",
            "address",
            "port",
            "mark",
        ],
        Set::Restored => &["new", "held", "known", "full", "misfit"],
        Set::Explanation => &["looked-at", "room", "pressed", "template", "rules"],
    }
}

/// Name of the attribute `kind` of `set`; "unknown" when the set has no such attribute.
pub fn attribute_name(set: Set, kind: u16) -> &'static str {
    let index = usize::from(kind).checked_sub(1);
    let name = index.and_then(|index| names(set).get(index));
    name.copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spec names every attribute of every set in order; this table must say the same.
    #[test]
    fn as_in_the_spec() {
        let spec = include_str!("../../../rust/netlink/rvs.yaml");
        let sets = spec.split("attribute-sets:").nth(1).unwrap();
        let sets = sets.split("\noperations:").next().unwrap();
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for line in sets.lines() {
            let Some(name) = line.trim_start().strip_prefix("name: ") else {
                continue;
            };
            if line.starts_with("    name: ") {
                found.push((name.to_owned(), Vec::new()));
            } else {
                found.last_mut().unwrap().1.push(name.to_owned());
            }
        }
        assert_eq!(found.len(), Set::ALL.len());
        for (set, (name, attributes)) in Set::ALL.into_iter().zip(found) {
            assert_eq!(set.name(), name);
            assert_eq!(names(set), attributes, "attributes of {name}");
            assert_eq!(names(set).len() + 1, set.policy().len());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What metrics there are: names and units by Prometheus's conventions.
//!
//! Rates are not among them: whoever stores counters can work them out over any time.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rvs_netlink::Stats;

use crate::reading::{Dest, Service};

/// A metric's name, without the unit and `_total`, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub is_counter: bool,
    pub unit: Option<&'static Unit>,
}

impl Family {
    /// What only grows.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            is_counter: true,
            unit: None,
        }
    }

    /// What goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            is_counter: false,
            ..Self::counter(name, help)
        }
    }

    /// The same in a unit, which its name then ends in.
    pub const fn in_unit(mut self, unit: &'static Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    pub fn kind(&self) -> MetricType {
        if self.is_counter {
            MetricType::Counter
        } else {
            MetricType::Gauge
        }
    }
}

/// Reads a value of what is read; nothing where there is none.
pub type Value<T> = fn(&T) -> Option<u64>;

/// Values of a family by one more label; without a name of the label there is one value.
pub struct Split<T: 'static> {
    pub family: Family,
    pub label: &'static str,
    pub values: &'static [(&'static str, Value<T>)],
}

pub const UP: Family = Family::gauge(
    "rvs_up",
    "Whether the namespace could be read; 0 where the module is not loaded",
);
pub const DURATION: Family =
    Family::gauge("rvs_scrape_duration", "What reading the namespace took").in_unit(&Unit::Seconds);
pub const BUILD: Family = Family::gauge("rvs_build_info", "Version of rvsadm; the value is 1");
pub const MODULE: Family = Family::gauge("rvs_module_info", "Version of rvs.ko; the value is 1");
pub const REQUESTS: Family =
    Family::counter("rvs_exporter_requests", "Requests that were answered");
pub const REFUSED: Family = Family::counter(
    "rvs_exporter_refused_clients",
    "Clients that were turned away as there were too many",
);
pub const CHANGES: Family = Family::counter(
    "rvs_config_changes",
    "Changes of the configuration since the namespace began",
);
pub const LIMIT: Family = Family::gauge(
    "rvs_connections_limit",
    "Connections that the namespace may hold, where there is a limit",
);
pub const OMITTED: Family = Family::gauge(
    "rvs_dests_omitted",
    "Dests without metrics of their own as there are more than --max-dests",
);
pub const DROPPED: Family = Family::counter(
    "rvs_dropped_packets",
    "Packets or new flows that were not served, by reason",
);
pub const STATES: Family = Family::gauge(
    "rvs_connections_in_state",
    "Connections in the table by state, as the module counted them when it last went through the table",
);
pub const SERVICE_INFO: Family =
    Family::gauge("rvs_service_info", "Scheduler of a service; the value is 1");
pub const DEST_INFO: Family = Family::gauge(
    "rvs_dest_info",
    "How packets travel to a dest; the value is 1",
);

/// Traffic of anything.
macro_rules! traffic {
    ($of:ty, $stats:expr, $connections:literal, $packets:literal, $bytes:literal) => {
        [
            Split {
                family: Family::counter($connections, "Connections that were scheduled"),
                label: "",
                values: &[("", |of: &$of| Some($stats(of).connections))],
            },
            Split {
                family: Family::counter($packets, "Packets toward dests (in) and from them (out)"),
                label: "direction",
                values: &[
                    ("in", |of: &$of| Some($stats(of).in_packets)),
                    ("out", |of: &$of| Some($stats(of).out_packets)),
                ],
            },
            Split {
                family: Family::counter(
                    $bytes,
                    "Bytes toward dests (in) and from them (out), from the IP header on",
                )
                .in_unit(&Unit::Bytes),
                label: "direction",
                values: &[
                    ("in", |of: &$of| Some($stats(of).in_bytes)),
                    ("out", |of: &$of| Some($stats(of).out_bytes)),
                ],
            },
        ]
    };
}

/// Of a namespace.
pub const TRAFFIC: [Split<Stats>; 3] = traffic!(
    Stats,
    |stats: &Stats| *stats,
    "rvs_connections_scheduled",
    "rvs_packets",
    "rvs"
);

/// Of a service.
pub const SERVICE_TRAFFIC: [Split<Service>; 3] = traffic!(
    Service,
    |service: &Service| service.stats,
    "rvs_service_connections_scheduled",
    "rvs_service_packets",
    "rvs_service"
);

/// Of a dest.
pub const DEST_TRAFFIC: [Split<Dest>; 3] = traffic!(
    Dest,
    |dest: &Dest| dest.stats,
    "rvs_dest_connections_scheduled",
    "rvs_dest_packets",
    "rvs_dest"
);

const ACTIVE: &str =
    "Connections now: active are TCP connections being opened or established, inactive all others";

/// The rest of a service.
pub const SERVICE: [Split<Service>; 5] = [
    Split {
        family: Family::gauge("rvs_service_connections", ACTIVE),
        label: "state",
        values: &[
            ("active", |service| Some(service.active.into())),
            ("inactive", |service| Some(service.inactive.into())),
        ],
    },
    Split {
        family: Family::gauge("rvs_service_dests", "Dests of a service"),
        label: "",
        values: &[("", |service| Some(service.dests.into()))],
    },
    Split {
        family: Family::gauge(
            "rvs_service_templates",
            "Networks of clients that stay with a dest, of services with persistence",
        ),
        label: "",
        values: &[("", |service| {
            service.is_persistent.then_some(service.templates.into())
        })],
    },
    Split {
        family: Family::counter(
            "rvs_service_dropped_packets",
            "Packets of a service that were dropped, also before a dest was chosen",
        ),
        label: "",
        values: &[("", |service| Some(service.stats.drops))],
    },
    Split {
        family: Family::counter(
            "rvs_service_connections_unanswered",
            "Connections of a service that ended without an answer of their dest",
        ),
        label: "",
        values: &[("", |service| Some(service.stats.no_reply))],
    },
];

/// The rest of a dest.
pub const DEST: [Split<Dest>; 8] = [
    Split {
        family: Family::gauge("rvs_dest_connections", ACTIVE),
        label: "state",
        values: &[
            ("active", |dest| Some(dest.active.into())),
            ("inactive", |dest| Some(dest.inactive.into())),
        ],
    },
    Split {
        family: Family::gauge("rvs_dest_weight", "Weight of a dest; 0 takes nothing new"),
        label: "",
        values: &[("", |dest| Some(dest.weight.into()))],
    },
    Split {
        family: Family::gauge(
            "rvs_dest_connections_threshold",
            "Connections at which a dest takes no more (upper), and below which it does again (lower), where set",
        ),
        label: "bound",
        values: &[
            ("upper", |dest| (dest.upper > 0).then_some(dest.upper.into())),
            ("lower", |dest| (dest.lower > 0).then_some(dest.lower.into())),
        ],
    },
    Split {
        family: Family::gauge(
            "rvs_dest_drain_remaining",
            "Time until what is left of a dest that drains is ended",
        )
        .in_unit(&Unit::Seconds),
        label: "",
        values: &[("", |dest| dest.drain.map(u64::from))],
    },
    Split {
        family: Family::gauge(
            "rvs_dest_templates",
            "Networks of clients that stay with a dest, where there are any",
        ),
        label: "",
        values: &[("", |dest| (dest.templates > 0).then_some(dest.templates.into()))],
    },
    Split {
        family: Family::counter(
            "rvs_dest_connections_unanswered",
            "Connections that ended without an answer of the dest",
        ),
        label: "",
        values: &[("", |dest| Some(dest.no_reply))],
    },
    Split {
        family: Family::counter(
            "rvs_dest_dropped_packets",
            "Packets to or from a dest that were dropped",
        ),
        label: "",
        values: &[("", |dest| Some(dest.stats.drops))],
    },
    Split {
        family: Family::counter(
            "rvs_dest_connections_without_port",
            "Connections refused as no local address had a port free toward the dest, where any were",
        ),
        label: "",
        values: &[("", |dest| (dest.no_port > 0).then_some(dest.no_port))],
    },
];

/// What becomes of a counter of the module's, by its name in the netlink family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A reason of drops.
    Reason(&'static str),
    /// A metric of its own: name, help, whether it only grows.
    Own(String, &'static str, bool),
}

/// Where a counter of the module's belongs. One that is not known here has a metric by its name.
pub fn counted(name: &'static str) -> Counted {
    if let Some(reason) = name.strip_prefix("drop-") {
        return Counted::Reason(reason);
    }
    if let Some(reason) = name.strip_prefix("xdp-pass-") {
        let metric = format!("rvs_xdp_passed_{reason}_frames");
        return Counted::Own(
            metric,
            "Frames that a program for XDP left to the stack",
            true,
        );
    }
    let (metric, help, grows) = match name {
        "conns-now" => ("rvs_connections", "Connections in the table now", false),
        "conns-expired" => ("rvs_connections_expired", "Connections that expired", true),
        "conns-dropped" => (
            "rvs_connections_dropped",
            "Connections that drop-entry ended early",
            true,
        ),
        "no-reply" => (
            "rvs_connections_unanswered",
            "Connections that ended without an answer of their dest",
            true,
        ),
        "table-buckets" => (
            "rvs_table_buckets",
            "Buckets of the connection table now",
            false,
        ),
        "table-resizes" => (
            "rvs_table_resizes",
            "Times that the connection table grew or shrank",
            true,
        ),
        "templates-now" => (
            "rvs_templates",
            "Networks of clients that stay with a dest now",
            false,
        ),
        "templates-dropped" => (
            "rvs_templates_dropped",
            "Networks of clients forgotten for want of room or by drop-entry",
            true,
        ),
        "not-syn" => (
            "rvs_not_syn_packets",
            "TCP packets of no connection that open none; they are left to the host",
            true,
        ),
        "slow-xmit" => (
            "rvs_slow_transmit_packets",
            "Packets sent by the kernel's output, for fragments, rules or IPsec policies",
            true,
        ),
        "xdp-taken" => (
            "rvs_xdp_taken_frames",
            "Frames of established flows sent on at the device",
            true,
        ),
        "route-refreshes" => ("rvs_route_refreshes", "Look-ups of the way to a dest", true),
        "input-rules" => (
            "rvs_input_rules",
            "Chains and tables of INPUT that packets to services do not meet",
            false,
        ),
        _ => {
            let gauge = name.strip_suffix("-now");
            let metric = format!("rvs_{}", gauge.unwrap_or(name).replace('-', "_"));
            return Counted::Own(metric, "As the module tells it", gauge.is_none());
        }
    };
    Counted::Own(metric.to_owned(), help, grows)
}

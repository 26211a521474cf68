// SPDX-License-Identifier: GPL-2.0

//! Where a client's packets are taken from: the kernel drops those whose source would be answered by
//! another device (`rp_filter`), and RVS as well.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::routing::{Routing, Way};
use crate::rs::sysctl;

/// What of `rp_filter` asks for the very device.
const STRICT: u32 = 1;

/// What is known of a client's way here.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "SourceExplained")]
pub struct Source {
    /// The way back to it; null when there is no route.
    back: Option<Way>,
    /// Devices by which its packets are dropped as drop-martian.
    refused_from: Vec<String>,
}

impl Source {
    /// Of a client.
    pub fn of(client: IpAddr, routing: &mut Routing) -> Self {
        let back = routing.way(client).ok();
        let devices = routing
            .devices()
            .filter(|device| device.is_up && !device.is_loopback);
        let refused = devices.map(|device| device.name.clone());
        let mut refused_from: Vec<_> = match client {
            IpAddr::V4(_) => refused
                .filter(|name| refuses(filter(name), name, back.as_ref()))
                .collect(),
            // It has no such setting.
            IpAddr::V6(_) => Vec::new(),
        };
        refused_from.sort();
        Self { back, refused_from }
    }

    /// It in words.
    pub fn line(&self) -> String {
        let back = match &self.back {
            None => "there is no way back to it".to_owned(),
            Some(way) if way.is_local => "is this host".to_owned(),
            Some(way) => {
                let via = way.via.map(|router| format!(" by router {router}"));
                format!("the way back is {}{}", way.device, via.unwrap_or_default())
            }
        };
        match self.refused_from.as_slice() {
            [] => back,
            devices => format!("{back}; dropped (rp_filter) from {}", devices.join(", ")),
        }
    }
}

/// Whether a device whose `rp_filter` that is takes no packets that are answered by way of `back`.
fn refuses(filter: u32, device: &str, back: Option<&Way>) -> bool {
    match back {
        None => filter > 0,
        Some(way) => filter == STRICT && way.device != device,
    }
}

/// The setting of a device; the larger one of "all" counts.
fn filter(device: &str) -> u32 {
    let read = |of: &str| {
        let value = sysctl::get(&format!("net.ipv4.conf.{of}.rp_filter"));
        value.ok().and_then(|text| text.trim().parse().ok())
    };
    let settings = [read(device), read("all")];
    settings.into_iter().flatten().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(device: &str) -> Way {
        Way {
            is_local: false,
            device: device.to_owned(),
            via: None,
            mtu: 1500,
            neighbour: None,
        }
    }

    #[test]
    fn a_strict_device_takes_what_it_answers() {
        let way = by("eth0");
        for (filter, device, back, refused) in [
            (0, "eth1", Some(&way), false),
            (1, "eth0", Some(&way), false),
            (1, "eth1", Some(&way), true),
            (2, "eth1", Some(&way), false),
            (2, "eth1", None, true),
            (0, "eth1", None, false),
        ] {
            assert_eq!(refuses(filter, device, back), refused, "{filter} {device}");
        }
    }

    #[test]
    fn it_is_said_in_words() {
        let source = Source {
            back: Some(by("eth0")),
            refused_from: vec!["eth1".to_owned(), "wan".to_owned()],
        };
        assert_eq!(
            source.line(),
            "the way back is eth0; dropped (rp_filter) from eth1, wan"
        );
        let nowhere = Source {
            back: None,
            refused_from: Vec::new(),
        };
        assert_eq!(nowhere.line(), "there is no way back to it");
    }
}

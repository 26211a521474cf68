// SPDX-License-Identifier: GPL-2.0

//! What has to change on a real server for direct routing.
//!
//! The rules are those of Documentation/networking/ip-sysctl.rst: of the values of `all` and of the
//! interface, the higher one counts.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::host::Host;
use crate::failure::Failure;

/// A setting of a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// A file under /proc/sys, with dots.
    Sysctl(String),
    /// An address on lo, /32.
    Address(Ipv4Addr),
    /// Whether lo is up: an address on it is no one's before that.
    LoopbackUp,
}

/// Values of [`Setting::Address`].
pub const ABSENT: &str = "absent";
/// Values of [`Setting::Address`].
pub const PRESENT: &str = "present";
/// Values of [`Setting::LoopbackUp`].
pub const DOWN: &str = "down";
/// Values of [`Setting::LoopbackUp`].
pub const UP: &str = "up";

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(name) => f.write_str(name),
            Self::Address(address) => write!(f, "lo address {address}/32"),
            Self::LoopbackUp => f.write_str("lo"),
        }
    }
}

/// A value to set, its name and the values that do as well.
struct Rule {
    file: &'static str,
    value: &'static str,
    suffices: &'static [&'static str],
    /// Values of an interface that undo the value of `all`, being higher.
    defeats: &'static [&'static str],
}

const RULES: [Rule; 2] = [
    Rule {
        file: "arp_ignore",
        value: "1",
        // 2 and 8 answer for even less than 1.
        suffices: &["1", "2", "8"],
        // 3 answers for addresses of global scope on other interfaces; 4 to 7 are reserved.
        defeats: &["3", "4", "5", "6", "7"],
    },
    Rule {
        file: "arp_announce",
        value: "2",
        suffices: &["2"],
        defeats: &[],
    },
];

/// What must change: the setting, its value, and the value it must have.
///
/// The ARP settings come first: an address that comes before them is announced.
pub fn missing(
    vips: &[Ipv4Addr],
    host: &dyn Host,
) -> Result<Vec<(Setting, String, String)>, Failure> {
    let mut missing = Vec::new();
    let interfaces = host.interfaces()?;
    for rule in &RULES {
        // LVS's guides set lo besides all: it holds the address.
        for interface in ["all", "lo"] {
            let setting = Setting::sysctl(interface, rule.file);
            let now = host.get(&setting)?;
            if !rule.suffices.contains(&now.as_str()) {
                missing.push((setting, now, rule.value.to_owned()));
            }
        }
        for interface in &interfaces {
            let setting = Setting::sysctl(interface, rule.file);
            let now = host.get(&setting)?;
            if rule.defeats.contains(&now.as_str()) {
                missing.push((setting, now, rule.value.to_owned()));
            }
        }
    }
    let mut lo = vec![(Setting::LoopbackUp, UP)];
    for vip in vips {
        if let Some(interface) = host.elsewhere(*vip)? {
            return Err(Failure::new(
                "set up a real server",
                format!("{vip} is on {interface} already, where the host answers ARP for it"),
                Some(&format!(
                    "take it away first: ip address del {vip} dev {interface}"
                )),
            ));
        }
        lo.push((Setting::Address(*vip), PRESENT));
    }
    for (setting, wanted) in lo {
        let now = host.get(&setting)?;
        let planned = missing.iter().any(|(other, ..)| *other == setting);
        if now != wanted && !planned {
            missing.push((setting, now, wanted.to_owned()));
        }
    }
    Ok(missing)
}

/// The settings that matter, as they are now.
pub fn shown(host: &dyn Host) -> Result<Vec<Setting>, Failure> {
    let interfaces = ["all", "lo"].map(str::to_owned).into_iter();
    let interfaces: Vec<_> = interfaces.chain(host.interfaces()?).collect();
    let mut shown = Vec::new();
    for rule in &RULES {
        let names = interfaces.iter();
        shown.extend(names.map(|name| Setting::sysctl(name, rule.file)));
    }
    shown.push(Setting::LoopbackUp);
    shown.extend(host.addresses()?.into_iter().map(Setting::Address));
    Ok(shown)
}

impl Setting {
    fn sysctl(interface: &str, file: &str) -> Self {
        Self::Sysctl(format!("net.ipv4.conf.{interface}.{file}"))
    }
}

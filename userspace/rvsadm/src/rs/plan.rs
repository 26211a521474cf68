// SPDX-License-Identifier: GPL-2.0

//! What has to change on a real server, by its purpose.
//!
//! The rules are those of Documentation/networking/ip-sysctl.rst. Of the values of `all` and of the
//! interface the higher one counts for arp_ignore, arp_announce and rp_filter; redirects are taken
//! by a host where either says so.

use std::net::IpAddr;

use super::host::Host;
use super::purpose::{Purpose, WHAT};
use super::setting::{Setting, PRESENT, UP};
use super::tunnel::{Device, Family, Tunnels, MODE_ANY};
use crate::failure::Failure;

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

/// Whether a source must be reachable by the interface that it comes in by.
const RP_FILTER: &str = "rp_filter";
/// Whether the host believes routers that name it a shorter way.
const ACCEPT_REDIRECTS: &str = "accept_redirects";

/// What must change, in order.
#[derive(Default)]
struct Plan(Vec<(Setting, String, String)>);

impl Plan {
    /// Plans a value of a setting that is not known to have it.
    fn want(&mut self, host: &dyn Host, setting: Setting, wanted: &str) -> Result<(), Failure> {
        let now = host.get(&setting)?;
        let planned = self.0.iter().any(|(other, ..)| *other == setting);
        if now != wanted && !planned {
            self.0.push((setting, now, wanted.to_owned()));
        }
        Ok(())
    }

    /// The host neither answers nor announces addresses of lo by ARP.
    fn silence(&mut self, host: &dyn Host) -> Result<(), Failure> {
        let interfaces = host.interfaces(false)?;
        for rule in &RULES {
            // LVS's guides set lo besides all: it holds the address.
            for interface in ["all", "lo"] {
                let setting = Setting::sysctl(interface, rule.file);
                if !rule.suffices.contains(&host.get(&setting)?.as_str()) {
                    self.want(host, setting, rule.value)?;
                }
            }
            for interface in &interfaces {
                let setting = Setting::sysctl(interface, rule.file);
                if rule.defeats.contains(&host.get(&setting)?.as_str()) {
                    self.want(host, setting, rule.value)?;
                }
            }
        }
        Ok(())
    }

    /// The host has virtual addresses, on lo.
    fn addresses(&mut self, host: &dyn Host, vips: &[IpAddr]) -> Result<(), Failure> {
        self.want(host, Setting::LoopbackUp, UP)?;
        for vip in vips {
            self.want(host, Setting::Address(*vip), PRESENT)?;
        }
        Ok(())
    }

    /// Packets come out of tunnels.
    fn tunnels(&mut self, host: &dyn Host, tunnels: &Tunnels) -> Result<(), Failure> {
        for over in tunnels.ports() {
            let port = tunnels.tunnel.port;
            self.want(host, Setting::GuePort { over, port }, PRESENT)?;
        }
        for device in tunnels.devices() {
            let inside = tunnels.inside(device);
            // IPv6 has no such filter.
            if inside.contains(&Family::Ipv4) {
                self.want(host, Setting::TunnelAddress(device), PRESENT)?;
                self.loosen(host, device)?;
            }
            self.accept(host, device, &inside)?;
            self.want(host, Setting::TunnelUp(device), UP)?;
        }
        Ok(())
    }

    /// A device takes out packets of all families that come.
    fn accept(
        &mut self,
        host: &dyn Host,
        device: Device,
        inside: &[Family],
    ) -> Result<(), Failure> {
        if device.has_modes() {
            let setting = Setting::TunnelMode(device);
            let now = host.get(&setting)?;
            let mut each = inside.iter();
            if !each.all(|family| device.modes(*family).contains(&now.as_str())) {
                self.want(host, setting, MODE_ANY)?;
            }
        }
        Ok(())
    }

    /// IPv4 packets of any client come out of a device.
    fn loosen(&mut self, host: &dyn Host, device: Device) -> Result<(), Failure> {
        let of_all = host.get(&Setting::sysctl("all", RP_FILTER))?;
        let of_device = Setting::sysctl(device.name(), RP_FILTER);
        let now = host.get(&of_device)?;
        // 1 asks for the way back to lead through the tunnel; 2, for a way back.
        let strict = of_all != "2" && now != "2" && (of_all == "1" || now == "1");
        if strict {
            self.want(host, of_device, "2")?;
        }
        Ok(())
    }

    /// No router takes the host off the way through its director.
    fn ignore_redirects(&mut self, host: &dyn Host, director: IpAddr) -> Result<(), Failure> {
        for interface in interfaces(host, "all", director.is_ipv6())? {
            let setting = match director {
                IpAddr::V4(_) => Setting::sysctl(&interface, ACCEPT_REDIRECTS),
                IpAddr::V6(_) => Setting::sysctl_v6(&interface, ACCEPT_REDIRECTS),
            };
            self.want(host, setting, "0")?;
        }
        Ok(())
    }
}

/// `first`, then the interfaces besides lo.
fn interfaces(host: &dyn Host, first: &str, v6: bool) -> Result<Vec<String>, Failure> {
    let mut all = vec![first.to_owned()];
    all.extend(host.interfaces(v6)?);
    Ok(all)
}

/// Refuses what would not work, before anything is changed.
pub fn check(purpose: &Purpose, host: &dyn Host) -> Result<(), Failure> {
    for vip in purpose.vips() {
        if let Some(interface) = host.elsewhere(*vip)? {
            return Err(Failure::new(
                WHAT,
                format!("{vip} is on {interface} already, where the host answers for it"),
                Some(&format!(
                    "take it away first: ip address del {vip} dev {interface}"
                )),
            ));
        }
    }
    for rival in purpose.devices().into_iter().filter_map(Device::rival) {
        if host.get(&Setting::TunnelUp(rival))? == UP {
            let only = if rival.has_sums() { "with" } else { "without" };
            return Err(Failure::new(
                WHAT,
                format!("{rival} is up: a host takes GRE {only} checksums then, and no other"),
                Some(&format!(
                    "have all directors send the same; or undo the other set-up first: \
                     rvsadm rs undo, or ip link set {rival} down"
                )),
            ));
        }
    }
    Ok(())
}

/// What must change: the setting, its value, and the value it must have. The devices are there.
///
/// The ARP settings come first: an address that comes before them is announced.
pub fn missing(
    purpose: &Purpose,
    host: &dyn Host,
) -> Result<Vec<(Setting, String, String)>, Failure> {
    let mut plan = Plan::default();
    match purpose {
        Purpose::Direct { vips } => {
            // Neighbour discovery answers for no address of another interface.
            if vips.iter().any(IpAddr::is_ipv4) {
                plan.silence(host)?;
            }
            plan.addresses(host, vips)?;
        }
        Purpose::Tunnel(tunnels) => {
            if tunnels.vips.iter().any(IpAddr::is_ipv4) {
                plan.silence(host)?;
            }
            plan.tunnels(host, tunnels)?;
            plan.addresses(host, &tunnels.vips)?;
        }
        Purpose::Translated { director, clients } => {
            plan.ignore_redirects(host, *director)?;
            for network in clients {
                let (network, via) = (*network, *director);
                plan.want(host, Setting::Route { network, via }, PRESENT)?;
            }
        }
        Purpose::Told { directors } => {
            for network in directors {
                plan.want(host, Setting::Trust(*network), PRESENT)?;
            }
        }
    }
    Ok(plan.0)
}

/// The settings that matter for any purpose, as they are now.
pub fn shown(host: &dyn Host) -> Result<Vec<Setting>, Failure> {
    let mut names = interfaces(host, "all", false)?;
    names.insert(1, "lo".to_owned());
    let files = RULES.iter().map(|rule| rule.file);
    let files = files.chain([RP_FILTER, ACCEPT_REDIRECTS]);
    let mut shown = Vec::new();
    for file in files {
        shown.extend(names.iter().map(|name| Setting::sysctl(name, file)));
    }
    for device in Device::ALL {
        if names.iter().any(|name| name == device.name()) {
            shown.push(Setting::TunnelUp(device));
            shown.extend(device.has_modes().then_some(Setting::TunnelMode(device)));
        }
    }
    shown.push(Setting::LoopbackUp);
    shown.extend(host.addresses()?.into_iter().map(Setting::Address));
    Ok(shown)
}

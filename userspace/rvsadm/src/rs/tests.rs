// SPDX-License-Identifier: GPL-2.0

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use rvs_engine::tunnel::{TunnelKind, TunnelSum};

use super::setting::{Network, DOWN, UP};
use super::tunnel::MODE_IPV6;
use super::*;

/// A host in memory.
#[derive(Clone, Debug, PartialEq)]
struct FakeHost {
    sysctls: BTreeMap<String, String>,
    addresses: Vec<IpAddr>,
    up: bool,
    /// Tunnels' devices that are there: whether they are up.
    tunnels: BTreeMap<Device, bool>,
    /// The mode of ip6tnl0.
    mode: String,
    /// Whether the kernel has devices of any sender with the tunnels' modules.
    fallback: bool,
    ports: BTreeSet<(Family, u16)>,
    /// Devices of tunnels that have an address.
    addressed: BTreeSet<Device>,
    routes: Vec<(Network, IpAddr)>,
    trusted: Vec<Network>,
    /// An address that is on eth0.
    on_eth0: Option<IpAddr>,
    /// A setting that cannot be changed to anything but this.
    stuck: Option<(Setting, String)>,
    /// Whether no route can be added.
    unreachable: bool,
}

impl FakeHost {
    fn new() -> Self {
        let names = ["all", "lo", "eth0"].iter().flat_map(|interface| {
            let files = [
                "arp_ignore",
                "arp_announce",
                "rp_filter",
                "accept_redirects",
            ];
            let of = move |family, file| format!("net.{family}.conf.{interface}.{file}");
            let v6 = of("ipv6", "accept_redirects");
            Iterator::chain(files.into_iter().map(move |file| of("ipv4", file)), [v6])
        });
        Self {
            sysctls: names.map(|name| (name, "0".to_owned())).collect(),
            addresses: Vec::new(),
            up: false,
            tunnels: BTreeMap::new(),
            mode: MODE_IPV6.to_owned(),
            fallback: true,
            ports: BTreeSet::new(),
            addressed: BTreeSet::new(),
            routes: Vec::new(),
            trusted: Vec::new(),
            on_eth0: None,
            stuck: None,
            unreachable: false,
        }
    }

    fn sysctl(&mut self, name: &str, value: &str) {
        let name = format!("net.ipv4.conf.{name}");
        self.sysctls.insert(name, value.to_owned());
    }
}

impl Host for FakeHost {
    fn get(&self, setting: &Setting) -> Result<String, Failure> {
        Ok(match setting {
            Setting::Sysctl(name) => match self.sysctls.get(name) {
                Some(value) => value.clone(),
                None => ABSENT.to_owned(),
            },
            Setting::Address(a) if self.addresses.contains(a) => PRESENT.to_owned(),
            Setting::Address(_) => ABSENT.to_owned(),
            Setting::LoopbackUp => if self.up { UP } else { DOWN }.to_owned(),
            Setting::Device(device) if self.tunnels.contains_key(device) => PRESENT.to_owned(),
            Setting::Device(_) => ABSENT.to_owned(),
            Setting::TunnelMode(Device::Ip6Tnl0) => self.mode.clone(),
            Setting::TunnelMode(device) => panic!("{device} has no modes"),
            Setting::GuePort { over, port } if self.ports.contains(&(*over, *port)) => {
                PRESENT.to_owned()
            }
            Setting::GuePort { .. } => ABSENT.to_owned(),
            Setting::TunnelAddress(device) if self.addressed.contains(device) => PRESENT.to_owned(),
            Setting::TunnelAddress(_) => ABSENT.to_owned(),
            Setting::TunnelUp(device) => match self.tunnels.get(device) {
                Some(true) => UP.to_owned(),
                _ => DOWN.to_owned(),
            },
            Setting::Route { network, via } if self.routes.contains(&(*network, *via)) => {
                PRESENT.to_owned()
            }
            Setting::Trust(network) if self.trusted.contains(network) => PRESENT.to_owned(),
            Setting::Route { .. } | Setting::Trust(_) => ABSENT.to_owned(),
        })
    }

    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure> {
        match &self.stuck {
            Some((stuck, to)) if stuck == setting && to != value => {
                return Err(Failure::new("change it", "it is stuck", None));
            }
            _ => {}
        }
        match setting {
            Setting::Sysctl(name) => {
                self.sysctls.insert(name.clone(), value.to_owned());
            }
            Setting::Device(device) if value == PRESENT => {
                self.make(*device)?;
            }
            Setting::Device(device) => {
                let was_up = self.tunnels.remove(device);
                assert_eq!(was_up, Some(false));
                self.sysctls.retain(|name, _| !name.contains(device.name()));
            }
            Setting::TunnelAddress(device) if value == PRESENT => {
                self.addressed.insert(*device);
            }
            Setting::TunnelAddress(device) => {
                self.addressed.remove(device);
            }
            Setting::TunnelMode(_) => self.mode = value.to_owned(),
            Setting::GuePort { over, port } if value == PRESENT => {
                self.ports.insert((*over, *port));
            }
            Setting::GuePort { over, port } => {
                self.ports.remove(&(*over, *port));
            }
            Setting::Address(address) if value == PRESENT => self.addresses.push(*address),
            Setting::Address(address) => self.addresses.retain(|other| other != address),
            Setting::LoopbackUp => self.up = value == UP,
            Setting::TunnelUp(device) => {
                let is_up = self.tunnels.get_mut(device).expect("it was made");
                *is_up = value == UP;
            }
            Setting::Route { .. } if value == PRESENT && self.unreachable => {
                return Err(Failure::new("change it", "there is no way to it", None));
            }
            Setting::Route { network, via } if value == PRESENT => {
                self.routes.push((*network, *via));
            }
            Setting::Route { network, via } => self.routes.retain(|r| *r != (*network, *via)),
            Setting::Trust(network) if value == PRESENT => self.trusted.push(*network),
            Setting::Trust(network) => self.trusted.retain(|other| other != network),
        }
        Ok(())
    }

    fn make(&mut self, device: Device) -> Result<bool, Failure> {
        let new = self.tunnels.insert(device, false);
        assert_eq!(new, None);
        for file in [
            "arp_ignore",
            "arp_announce",
            "accept_redirects",
            "rp_filter",
        ] {
            self.sysctl(&format!("{device}.{file}"), "0");
        }
        Ok(!self.fallback || matches!(device, Device::GreSums | Device::Ip6GreSums))
    }

    fn interfaces(&self, v6: bool) -> Result<Vec<String>, Failure> {
        // Those of tunnels have no settings of IPv6.
        let tunnels = self.tunnels.keys().filter(|_| !v6);
        let tunnels = tunnels.map(|device| device.name().to_owned());
        Ok(["eth0".to_owned()].into_iter().chain(tunnels).collect())
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        Ok(self.addresses.clone())
    }

    fn elsewhere(&self, address: IpAddr) -> Result<Option<String>, Failure> {
        let there = self.on_eth0 == Some(address);
        Ok(there.then(|| "eth0".to_owned()))
    }
}

/// A record in a file of its own, which goes away with it.
struct Scratch {
    directory: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rvsadm-test-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        Self { directory }
    }

    fn record(&self) -> Record {
        Record::open(self.directory.join("rs.json")).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 10));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 11));

fn direct(vips: &[IpAddr]) -> Purpose {
    let vips = vips.to_vec();
    Purpose::Direct { vips }
}

fn purpose(
    mode: Mode,
    vips: &[&str],
    directors: &[&str],
    clients: &[&str],
) -> Result<Purpose, Failure> {
    let vips: Vec<IpAddr> = vips.iter().map(|vip| vip.parse().unwrap()).collect();
    let networks = |texts: &[&str]| -> Vec<Prefix> {
        texts.iter().map(|t| values::network(t).unwrap()).collect()
    };
    let (directors, clients) = (networks(directors), networks(clients));
    Purpose::new(mode, &vips, &directors, &clients, Tunnel::IPIP, None)
}

fn names(changes: &Changes) -> Vec<&str> {
    changes.changes.iter().map(|c| c.what.as_str()).collect()
}

#[test]
fn a_trial_tells_what_is_done_then() {
    let tunnel = |kind, sum, port, over| {
        let tunnel = Tunnel { kind, sum, port };
        Purpose::new(Mode::Tun, &[VIP], &[], &[], tunnel, over).unwrap()
    };
    for purpose in [
        direct(&[VIP, OTHER]),
        purpose(Mode::Nat, &[], &["192.0.2.1"], &[]).unwrap(),
        purpose(Mode::Tun, &["203.0.113.10", "2001:db8::1"], &[], &[]).unwrap(),
        tunnel(TunnelKind::Gue, TunnelSum::None, 6080, Some(Family::Ipv6)),
        tunnel(TunnelKind::Gre, TunnelSum::Whole, 0, None),
    ] {
        let scratch = Scratch::new();
        let mut host = FakeHost::new();
        let before = host.clone();
        let mut trial = Supposed::new(&host);
        let told = setup(&purpose, &mut trial, &mut scratch.record().unwritten()).unwrap();
        assert_eq!(host, before);
        assert!(!scratch.directory.exists());
        let done = setup(&purpose, &mut host, &mut scratch.record()).unwrap();
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            serde_json::to_value(&done).unwrap()
        );
    }
}

#[test]
fn set_up_twice_and_undone() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("lo.arp_announce", "1");
    let before = host.clone();
    let changes = setup(&direct(&[VIP]), &mut host, &mut scratch.record()).unwrap();
    assert_eq!(
        names(&changes),
        [
            "net.ipv4.conf.all.arp_ignore",
            "net.ipv4.conf.lo.arp_ignore",
            "net.ipv4.conf.all.arp_announce",
            "net.ipv4.conf.lo.arp_announce",
            "lo",
            "lo address 203.0.113.10/32",
        ]
    );
    let again = setup(&direct(&[VIP, VIP]), &mut host, &mut scratch.record()).unwrap();
    assert!(again.changes.is_empty());
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
    let nothing = undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert!(nothing.changes.is_empty());
}

#[test]
fn one_address_of_two_is_undone() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    let before = host.clone();
    setup(&direct(&[VIP, OTHER]), &mut host, &mut scratch.record()).unwrap();
    let changes = undo(&[VIP], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(names(&changes), ["lo address 203.0.113.10/32"]);
    assert_eq!(host.addresses, [OTHER]);
    undo(&[OTHER], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

#[test]
fn what_someone_else_changed_is_left() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    setup(&direct(&[VIP]), &mut host, &mut scratch.record()).unwrap();
    host.sysctl("all.arp_ignore", "8");
    let changes = undo(&[], &mut host, &mut scratch.record()).unwrap();
    let left: Vec<_> = changes
        .changes
        .iter()
        .filter(|c| c.state == "left")
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(host.sysctls["net.ipv4.conf.all.arp_ignore"], "8");
}

#[test]
fn stricter_values_stay_and_defeating_ones_do_not() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("all.arp_ignore", "2");
    host.sysctl("eth0.arp_ignore", "3");
    setup(&direct(&[VIP]), &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.sysctls["net.ipv4.conf.all.arp_ignore"], "2");
    assert_eq!(host.sysctls["net.ipv4.conf.eth0.arp_ignore"], "1");
}

#[test]
fn a_record_of_a_namespace_that_is_gone_is_dropped() {
    let scratch = Scratch::new();
    let mut gone = FakeHost::new();
    gone.sysctl("all.arp_ignore", "7");
    setup(&direct(&[OTHER]), &mut gone, &mut scratch.record()).unwrap();
    let mut host = FakeHost::new();
    let before = host.clone();
    setup(&direct(&[VIP]), &mut host, &mut scratch.record()).unwrap();
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

#[test]
fn an_address_of_another_interface_is_refused() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.on_eth0 = Some(VIP);
    let before = host.clone();
    let failure = setup(&direct(&[VIP]), &mut host, &mut scratch.record());
    assert!(matches!(failure, Err(Failure::Refused(_))));
    assert_eq!(host, before);
}

#[test]
fn redirects_are_refused_where_there_are_such_settings() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.make(Device::Tunl0).unwrap();
    let translated = purpose(Mode::Nat, &[], &["2001:db8::1"], &[]).unwrap();
    setup(&translated, &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.routes.len(), 2);
}

#[test]
fn a_translated_server_answers_through_its_director() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("eth0.accept_redirects", "1");
    let before = host.clone();
    let nat = purpose(Mode::Nat, &[], &["192.0.2.1"], &[]).unwrap();
    let changes = setup(&nat, &mut host, &mut scratch.record()).unwrap();
    assert_eq!(
        names(&changes),
        [
            "net.ipv4.conf.eth0.accept_redirects",
            "route 0.0.0.0/1 via 192.0.2.1",
            "route 128.0.0.0/1 via 192.0.2.1"
        ]
    );
    let all = purpose(Mode::Nat, &[], &["192.0.2.1"], &["0.0.0.0/0"]).unwrap();
    let again = setup(&all, &mut host, &mut scratch.record()).unwrap();
    assert!(again.changes.is_empty());
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

#[test]
fn ipv6_has_no_arp_to_silence() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    let before = host.clone();
    let direct = purpose(Mode::Dr, &["2001:db8::10"], &[], &[]).unwrap();
    let changes = setup(&direct, &mut host, &mut scratch.record()).unwrap();
    assert_eq!(
        *names(&changes).last().unwrap(),
        "lo address 2001:db8::10/128"
    );
    assert!(names(&changes).iter().all(|name| !name.contains("arp")));
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
    let nat = purpose(Mode::Nat, &[], &["2001:db8::118"], &["::/0"]).unwrap();
    let changes = setup(&nat, &mut host, &mut scratch.record()).unwrap();
    let routes: Vec<_> = names(&changes)
        .into_iter()
        .filter(|name| name.starts_with("route"))
        .collect();
    assert_eq!(
        routes,
        [
            "route ::/1 via 2001:db8::118",
            "route 8000::/1 via 2001:db8::118"
        ]
    );
}

#[test]
fn directors_are_believed_as_long_as_it_is_set_up() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    let before = host.clone();
    let told = purpose(Mode::FullNat, &[], &["192.0.2.0/28", "2001:db8::1"], &[]).unwrap();
    let changes = setup(&told, &mut host, &mut scratch.record()).unwrap();
    assert_eq!(
        names(&changes),
        ["toa trust 192.0.2.0/28", "toa trust 2001:db8::1/128"]
    );
    // One virtual address less is no reason to believe nobody.
    undo(&[VIP], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.trusted.len(), 2);
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

mod failing;
mod purposes;
mod tunnels;

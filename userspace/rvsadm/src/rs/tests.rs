// SPDX-License-Identifier: GPL-2.0

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::plan::{ABSENT, DOWN, PRESENT, UP};
use super::*;

/// A host in memory.
#[derive(Clone, Debug, PartialEq)]
struct FakeHost {
    sysctls: BTreeMap<String, String>,
    addresses: Vec<Ipv4Addr>,
    up: bool,
    /// An address that is on eth0.
    on_eth0: Option<Ipv4Addr>,
}

impl FakeHost {
    fn new() -> Self {
        let names = ["all", "lo", "eth0"].iter().flat_map(|interface| {
            ["arp_ignore", "arp_announce"].map(|f| format!("net.ipv4.conf.{interface}.{f}"))
        });
        Self {
            sysctls: names.map(|name| (name, "0".to_owned())).collect(),
            addresses: Vec::new(),
            up: false,
            on_eth0: None,
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
            Setting::Sysctl(name) => self.sysctls[name].clone(),
            Setting::Address(a) if self.addresses.contains(a) => PRESENT.to_owned(),
            Setting::Address(_) => ABSENT.to_owned(),
            Setting::LoopbackUp => if self.up { UP } else { DOWN }.to_owned(),
        })
    }

    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure> {
        match setting {
            Setting::Sysctl(name) => {
                self.sysctls.insert(name.clone(), value.to_owned());
            }
            Setting::Address(address) if value == PRESENT => self.addresses.push(*address),
            Setting::Address(address) => self.addresses.retain(|other| other != address),
            Setting::LoopbackUp => self.up = value == UP,
        }
        Ok(())
    }

    fn interfaces(&self) -> Result<Vec<String>, Failure> {
        Ok(vec!["eth0".to_owned()])
    }

    fn addresses(&self) -> Result<Vec<Ipv4Addr>, Failure> {
        Ok(self.addresses.clone())
    }

    fn elsewhere(&self, address: Ipv4Addr) -> Result<Option<String>, Failure> {
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

const VIP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 11);

fn names(changes: &Changes) -> Vec<&str> {
    changes.changes.iter().map(|c| c.what.as_str()).collect()
}

#[test]
fn set_up_twice_and_undone() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("lo.arp_announce", "1");
    let before = host.clone();
    let changes = setup(&[VIP], &mut host, &mut scratch.record()).unwrap();
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
    let again = setup(&[VIP, VIP], &mut host, &mut scratch.record()).unwrap();
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
    setup(&[VIP, OTHER], &mut host, &mut scratch.record()).unwrap();
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
    setup(&[VIP], &mut host, &mut scratch.record()).unwrap();
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
    setup(&[VIP], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.sysctls["net.ipv4.conf.all.arp_ignore"], "2");
    assert_eq!(host.sysctls["net.ipv4.conf.eth0.arp_ignore"], "1");
}

#[test]
fn a_record_of_a_namespace_that_is_gone_is_dropped() {
    let scratch = Scratch::new();
    let mut gone = FakeHost::new();
    gone.sysctl("all.arp_ignore", "7");
    setup(&[OTHER], &mut gone, &mut scratch.record()).unwrap();
    let mut host = FakeHost::new();
    let before = host.clone();
    setup(&[VIP], &mut host, &mut scratch.record()).unwrap();
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

#[test]
fn an_address_of_another_interface_is_refused() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.on_eth0 = Some(VIP);
    let before = host.clone();
    let failure = setup(&[VIP], &mut host, &mut scratch.record());
    assert!(matches!(failure, Err(Failure::Refused(_))));
    assert_eq!(host, before);
}

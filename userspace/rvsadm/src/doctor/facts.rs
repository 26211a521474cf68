// SPDX-License-Identifier: GPL-2.0

//! What the checks go by: read once, so that tests can make it up.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use rvs_engine::spec::ServiceId;
use rvs_netlink::toa::{self, Transport as _};
use rvs_netlink::{Config, Counters, Error, Lists, Request, Transport};

use crate::config;
use crate::failure::Failure;
use crate::routing::{Device, Routing, Way};
use crate::rs::rtnetlink::RouteNetlink;
use crate::rs::sysctl;
use crate::snapshot::Snapshot;
use crate::version;

/// Dests and other addresses whose ways are looked at, at most: an answer is to come before long.
const WAYS_MAX: usize = 2_000;

/// Settings of devices that matter, of IPv4.
const SETTINGS: [&str; 5] = [
    "rp_filter",
    "arp_ignore",
    "arp_announce",
    "forwarding",
    "accept_local",
];

/// What tells where packets go.
pub trait Ways {
    /// The way to an address; the text of an error when there is none.
    fn way(&mut self, address: IpAddr) -> Result<Way, String>;
}

impl Ways for Routing {
    fn way(&mut self, address: IpAddr) -> Result<Way, String> {
        Routing::way(self, address).map_err(|error| error.to_string())
    }
}

/// The receiver's settings and counters.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    pub version: Option<String>,
    pub trusted: usize,
    pub kinds: usize,
    pub untrusted: u64,
}

/// What there is.
pub struct Facts {
    /// The director's side; none when the module is not loaded.
    pub director: Option<Director>,
    /// The receiver; none when that is not loaded.
    pub receiver: Option<Receiver>,
    /// Virtual addresses of this host as a real server.
    pub vips: Vec<IpAddr>,
    /// Addresses of this host on lo, /32 or /128.
    pub on_loopback: Vec<IpAddr>,
    /// `net.ipv4.conf.DEVICE.NAME`.
    pub settings: BTreeMap<(String, &'static str), u32>,
    pub devices: Vec<Device>,
    /// Devices that put segments together in hardware (LRO).
    pub with_lro: Vec<String>,
    /// Whether `ip_vs` is loaded.
    pub has_ipvs: bool,
    /// Memory that is free or can be freed, in bytes.
    pub memory: u64,
    pub ways: Box<dyn Ways>,
    pub ways_left: usize,
}

/// What a director has.
pub struct Director {
    pub version: Option<String>,
    pub snapshot: Snapshot,
    pub settings: Config,
    pub counters: Counters,
}

impl Facts {
    /// Reads all of it.
    pub fn read(kernel: &mut dyn Transport, vips: &[IpAddr]) -> Result<Self, Failure> {
        let failed = |error| Failure::kernel("look at this host", error);
        let director = director(kernel).map_err(failed)?;
        let receiver = receiver().map_err(failed)?;
        let routing = Routing::read().map_err(failed)?;
        let mut devices: Vec<_> = routing.devices().cloned().collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        let on_loopback = RouteNetlink::open()
            .and_then(|mut routes| routes.loopback_addresses())
            .map_err(failed)?;
        Ok(Self {
            director,
            receiver,
            vips: vips.to_vec(),
            on_loopback,
            settings: settings(&devices),
            with_lro: devices
                .iter()
                .filter(|d| has_lro(d))
                .map(|d| d.name.clone())
                .collect(),
            devices,
            has_ipvs: fs::exists("/sys/module/ip_vs").unwrap_or(false),
            memory: available_memory(),
            ways: Box::new(routing),
            ways_left: WAYS_MAX,
        })
    }

    /// Whether there are services here.
    pub fn is_director(&self) -> bool {
        let director = self.director.as_ref();
        director.is_some_and(|director| !director.snapshot.services.is_empty())
    }

    /// Whether this host serves for a director elsewhere.
    pub fn is_real_server(&self) -> bool {
        !self.vips.is_empty()
            || self.receiver.is_some()
            || (!self.is_director() && !self.on_loopback.is_empty())
    }

    /// What it is.
    pub fn roles(&self) -> Vec<&'static str> {
        let roles = [
            (self.is_director(), "director"),
            (self.is_real_server(), "real-server"),
        ];
        let are = roles.into_iter().filter(|(is, _)| *is);
        are.map(|(_, name)| name).collect()
    }

    /// A setting of a device, as the kernel takes it: of some the larger one of "all" counts.
    pub fn setting(&self, device: &str, name: &'static str) -> u32 {
        let get = |of: &str| {
            let value = self.settings.get(&(of.to_owned(), name));
            value.copied().unwrap_or(0)
        };
        get(device).max(get("all"))
    }

    /// The way to an address; none when it is too late to ask for more.
    pub fn way(&mut self, address: IpAddr) -> Option<Result<Way, String>> {
        self.ways_left = self.ways_left.checked_sub(1)?;
        Some(self.ways.way(address))
    }

    /// Virtual addresses of services, each once.
    pub fn virtual_addresses(&self) -> Vec<IpAddr> {
        let services = self.director.iter().flat_map(|d| &d.snapshot.services);
        let mut addresses: Vec<_> = services
            .filter_map(|running| match running.service.id {
                ServiceId::Virtual { address, .. } => Some(address),
                ServiceId::Marked { .. } => None,
            })
            .collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

fn director(kernel: &mut dyn Transport) -> Result<Option<Director>, Error> {
    let snapshot = match Snapshot::read(kernel) {
        Ok(snapshot) => snapshot,
        Err(Error::NotLoaded) => return Ok(None),
        Err(error) => return Err(error),
    };
    let counters = kernel.one(&Request::StatsGet)?.counters;
    Ok(Some(Director {
        version: version::of_module("rvs"),
        snapshot,
        settings: config::read(kernel)?,
        counters: counters.unwrap_or_default(),
    }))
}

fn receiver() -> Result<Option<Receiver>, Error> {
    let mut client = match toa::Client::connect() {
        Ok(client) => client,
        Err(Error::ReceiverNotLoaded) => return Ok(None),
        Err(error) => return Err(error),
    };
    let told = client.call(&toa::Request::ConfigGet)?;
    let counters = client.call(&toa::Request::StatsGet)?.counters;
    let untrusted = counters.iter().find(|(name, _)| *name == "untrusted");
    Ok(Some(Receiver {
        version: version::of_module("toa"),
        trusted: told.trusted.len(),
        kinds: told.kinds.len(),
        untrusted: untrusted.map_or(0, |(_, n)| *n),
    }))
}

fn settings(devices: &[Device]) -> BTreeMap<(String, &'static str), u32> {
    let names = devices.iter().map(|device| device.name.as_str());
    let mut found = BTreeMap::new();
    for device in names.chain(["all"]) {
        for name in SETTINGS {
            let value = sysctl::get(&format!("net.ipv4.conf.{device}.{name}"));
            if let Some(number) = value.ok().and_then(|value| value.parse().ok()) {
                found.insert((device.to_owned(), name), number);
            }
        }
    }
    found
}

/// Whether a device has LRO on; no where there is nobody to ask.
fn has_lro(device: &Device) -> bool {
    if device.is_loopback {
        return false;
    }
    let mut ethtool = Command::new("ethtool");
    ethtool
        .args(["-k", &device.name])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let features = ethtool.output().map(|output| output.stdout);
    let features = String::from_utf8(features.unwrap_or_default()).unwrap_or_default();
    let mut lines = features.lines();
    lines.any(|line| line.trim().starts_with("large-receive-offload: on"))
}

fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(u64::MAX / 1024).saturating_mul(1024)
}

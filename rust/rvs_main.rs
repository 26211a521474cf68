// SPDX-License-Identifier: GPL-2.0

//! `rvs.ko`, the director: balances TCP, UDP and SCTP services over real servers.

use kernel::prelude::*;

use netlink::ipvs::Drivers;

mod bindings;
mod datapath;
// The engine is shared with the host crate, which needs its items public, and with toa.ko; not
// all of it is used here.
#[allow(dead_code, unreachable_pub)]
mod engine;
mod kapi;
mod netlink;
mod sync;
mod table;

module! {
    type: Rvs,
    name: "rvs",
    authors: ["The RVS authors"],
    description: "Rust Virtual Server: layer-4 load balancing",
    license: "GPL",
    params: {
        ipvs: u8 {
            default: 0,
            description: "1: ipvsadm, keepalived and others drive RVS as if it were ip_vs; 2: also those of other users' namespaces",
        },
        local_in: u8 {
            default: 0,
            description: "1: new namespaces take packets at LOCAL_IN and FORWARD, as ip_vs does, behind INPUT rules",
        },
        ipvs_family: u16 {
            default: 0,
            description: "number that the netlink family IPVS gets, if it is free; 0 for any",
        },
    },
}

kapi::frame::takes_frames!(datapath::AtDevice);

/// What `modinfo` shows.
#[link_section = ".modinfo"]
#[used]
static VERSION: [u8; engine::version::MODINFO_LEN] = engine::version::modinfo();

/// The loaded module. Fields go in order: first nobody configures any more, then the namespaces
/// lose their state, last the memory goes.
struct Rvs {
    _dialect: Option<netlink::ipvs::Spoken>,
    _family: netlink::Registration,
    _daemons: kapi::netns::Registered<sync::Daemons>,
    _devices: kapi::notifier::Listening,
    _namespaces: kapi::netns::Registered<table::Netns>,
    _memory: Memory,
}

/// What has to outlive everything that was given to a grace period.
struct Memory {
    _connections: table::Caches,
    _defrag: kapi::defrag::Defrag6,
    _track: kapi::track::Binding,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // An index that goes lets its schedules go, they their dests, they their ways: each waits
        // for a grace period of its own.
        for _ in 0..4 {
            kapi::rcu::barrier();
        }
    }
}

/// The parameters that are not as they are by default.
fn loaded_with() -> &'static str {
    // A value in some series of kernels, a reference in others.
    let is_plain = matches!(module_parameters::local_in.value(), 0);
    match module_parameters::ipvs.value() {
        0 if is_plain => "",
        0 => "local_in=1",
        2 if is_plain => "ipvs=2",
        2 => "ipvs=2 local_in=1",
        _ if is_plain => "ipvs=1",
        _ => "ipvs=1 local_in=1",
    }
}

impl kernel::Module for Rvs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // On an error what was made so far is dropped, in the same order as on unload.
        let memory = Memory {
            _connections: table::caches(),
            _defrag: kapi::defrag::Defrag6::new(),
            _track: kapi::track::Binding::new(),
        };
        table::on_leave(datapath::ask);
        if !matches!(module_parameters::local_in.value(), 0) {
            table::begin_with(engine::places::Places::IpVs);
        }
        let namespaces = table::Netns::register(datapath::activate)?;
        kapi::seen::seen_by::<datapath::Finder>();
        let devices = kapi::netdev::watch::<table::Devices>()?;
        let daemons = sync::Daemons::register()?;
        let family = netlink::register(loaded_with())?;
        kapi::frame::begin();
        // keepalived, which knows the number, goes on when rvsadm upgrade changes the module.
        let number = u16::from_ne_bytes(module_parameters::ipvs_family.value().to_ne_bytes());
        // Last, since nothing may fail after it.
        let dialect = match module_parameters::ipvs.value() {
            0 => None,
            2 => netlink::ipvs::speak(Drivers::Namespaces, number),
            _ => netlink::ipvs::speak(Drivers::Host, number),
        };
        Ok(Self {
            _dialect: dialect,
            _family: family,
            _daemons: daemons,
            _devices: devices,
            _namespaces: namespaces,
            _memory: memory,
        })
    }
}

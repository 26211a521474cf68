// SPDX-License-Identifier: GPL-2.0

//! `toa.ko`, for real servers: programs see the address of the client that a director forwards
//! for, not the director's.

use core::sync::atomic::Ordering;

use kernel::prelude::*;

use crate::kapi::probe::Mechanism;

#[path = "../rust/bindings/mod.rs"]
mod bindings;
mod demand;
// Its part of the engine.
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../rust/engine/mod.rs"]
mod engine;
mod flows;
mod hooks;
mod kapi;
mod netlink;
mod netns;
mod options;
mod state;
mod trust;
mod udp;

module! {
    type: Toa,
    name: "toa",
    authors: ["The RVS authors"],
    description: "The client's address on real servers behind a director",
    license: "GPL",
    params: {
        kretprobes: u8 {
            default: 0,
            description: "1: kretprobes also where the kernel has fprobes",
        },
        max_flows: u32 {
            default: 1 << 20,
            description: "Most UDP flows of a namespace and IP version whose clients are kept",
        },
    },
}

/// What `modinfo` shows.
#[link_section = ".modinfo"]
#[used]
static VERSION: [u8; engine::version::MODINFO_LEN] = engine::version::modinfo();

/// The loaded module. Fields go in order: first nobody configures any more, then no socket is
/// looked at, then the namespaces lose their state, last what waits for a grace period goes.
struct Toa {
    _family: netlink::Registration,
    // None where another receiver has them: programs ask that one.
    _options: Option<options::Options>,
    _hooks: hooks::Hooks,
    _namespaces: kapi::netns::Registered<state::Netns>,
    _defrag6: kapi::defrag::Defrag6,
    _memory: Memory,
}

/// Outlives everything that was given to a grace period.
struct Memory;

impl Drop for Memory {
    fn drop(&mut self) {
        kapi::rcu::barrier();
    }
}

impl kernel::Module for Toa {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // On an error what was made so far is dropped, in the same order as on unload.
        let memory = Memory;
        // A value in some series of kernels, a reference in others.
        let max_flows = u32::from_ne_bytes(module_parameters::max_flows.value().to_ne_bytes());
        state::MAX_FLOWS.store(max_flows.max(1), Ordering::Relaxed);
        let defrag6 = kapi::defrag::Defrag6::new();
        let namespaces = netns::register()?;
        let hooks = hooks::Hooks::start(match module_parameters::kretprobes.value() {
            0 => Mechanism::Best,
            _ => Mechanism::Kretprobes,
        })?;
        let options = options::register().ok();
        if options.is_none() {
            pr_warn!("another module answers the socket options of DPVS's receivers\n");
        }
        let family = netlink::register()?;
        Ok(Self {
            _family: family,
            _options: options,
            _hooks: hooks,
            _namespaces: namespaces,
            _defrag6: defrag6,
            _memory: memory,
        })
    }
}

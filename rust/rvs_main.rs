// SPDX-License-Identifier: GPL-2.0

//! `rvs.ko`, the director.

use kernel::prelude::*;

mod bindings;
mod engine;

module! {
    type: Rvs,
    name: "rvs",
    authors: ["The RVS authors"],
    description: "Rust Virtual Server: layer-4 load balancing",
    license: "GPL",
}

struct Rvs;

impl kernel::Module for Rvs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("loaded {}\n", bindings::NF_STOLEN);
        Ok(Self)
    }
}

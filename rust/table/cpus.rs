// SPDX-License-Identifier: GPL-2.0

//! Traffic by CPU of dests that are no more.

use kernel::prelude::*;

use super::{counters::Traffic, dest::Dest};
use crate::kapi::percpu::{cpus, Cpu};

/// Traffic of each possible CPU.
pub(super) struct ByCpu(KVVec<Traffic>);

impl ByCpu {
    /// None so far.
    pub(super) fn new() -> Result<Self> {
        let len = cpus().last().map_or(0, |cpu| cpu.number() as usize + 1);
        Ok(Self(KVVec::from_elem(
            Traffic::default(),
            len,
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    /// Takes in what a dest has carried.
    pub(super) fn add(&mut self, dest: &Dest) {
        for cpu in cpus() {
            if let Some(sum) = self.0.get_mut(cpu.number() as usize) {
                *sum = sum.plus(dest.carried_on(cpu));
            }
        }
    }

    /// That of one CPU.
    pub(super) fn of(&self, cpu: Cpu) -> Traffic {
        let sum = self.0.get(cpu.number() as usize);
        sum.copied().unwrap_or_default()
    }
}

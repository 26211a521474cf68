// SPDX-License-Identifier: GPL-2.0

//! Which dests begin calls themselves, or answer where no connection was kept: those of services with calls
//! that stay, whose packets get the virtual address as source (`conn_out` of `ip_vs_pe_sip`). Only datagrams that
//! are of nothing else ask.

use core::net::IpAddr;

use kernel::prelude::*;

use crate::{
    engine::spec::{DestId, ServiceId},
    kapi::sort,
};

/// A dest's address and port, and its service.
type Entry = (IpAddr, u16, ServiceId);

/// Those of a namespace, in the order of their addresses and ports. Never changed.
pub(super) struct Callers(KVVec<Entry>);

impl Callers {
    /// Of so many at most.
    pub(super) fn with_room(count: usize) -> Result<Self> {
        Ok(Self(KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?))
    }

    /// Adds one, for which there is room.
    pub(super) fn add(&mut self, dest: DestId, service: ServiceId) -> Result {
        let entry = (dest.address, dest.port, service);
        self.0.push_within_capacity(entry).map_err(|_| ENOMEM)
    }

    /// None is added any more.
    pub(super) fn settle(&mut self) {
        sort::by_key(&mut self.0, |&(address, port, _)| (address, port));
    }

    /// The service of the dest at that address and port; any of several.
    pub(super) fn find(&self, address: IpAddr, port: u16) -> Option<ServiceId> {
        let place = |entry: &Entry| (entry.0, entry.1);
        let at = self
            .0
            .partition_point(|entry| place(entry) < (address, port));
        let found = self
            .0
            .get(at)
            .filter(|found| place(found) == (address, port));
        found.map(|(_, _, service)| *service)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Which of the datapath's hooks a namespace has: none that nothing is there for.

use core::net::IpAddr;

use kernel::prelude::*;

use super::{config::Service, filter::Gate, netns::Netns};
use crate::{engine::spec::ServiceId, kapi::netfilter::Hooks};

/// When a packet meets a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ahead of all others. Packets of connections go no further.
    Early,
    /// Behind those that mark packets, for new flows only; where there is a service by mark.
    Late,
}

/// A namespace's hooks.
#[derive(Default)]
pub(super) struct Activity {
    v4: Version,
    v6: Version,
}

/// Those of an IP version.
#[derive(Default)]
struct Version {
    /// From the first service or dest of the version on.
    early: Option<Hooks>,
    /// While there is a service by mark.
    late: Option<Hooks>,
}

impl Activity {
    /// Puts in the hooks that `services` need. Packets do not know yet that they may wait for their
    /// marks.
    pub(super) fn prepare(&mut self, netns: &Netns, services: &[KBox<Service>]) -> Result {
        self.v4.prepare(netns, 4, services)?;
        self.v6.prepare(netns, 6, services)
    }

    /// Lets new flows wait for their marks where services go by them, and takes those hooks out
    /// that nothing is there for any more. `services` are published.
    pub(super) fn settle(&mut self, netns: &Netns, services: &[KBox<Service>]) {
        self.v4.settle(&netns.gate_v4, 4, services);
        self.v6.settle(&netns.gate_v6, 6, services);
    }

    /// Takes all hooks out. Packets may be in them for a grace period.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

impl Version {
    fn prepare(&mut self, netns: &Netns, version: u8, services: &[KBox<Service>]) -> Result {
        let is_of = |address: IpAddr| address.is_ipv6() == (version == 6);
        let wanted = services.iter().any(|service| {
            let mut dests = service.dests().iter();
            service.id().is_ipv6() == (version == 6)
                || dests.any(|member| is_of(member.dest().id().address))
        });
        if wanted && self.early.is_none() {
            self.early = Some(netns.activate(version, Turn::Early)?);
        }
        if has_marks(version, services) && self.late.is_none() {
            self.late = Some(netns.activate(version, Turn::Late)?);
        }
        Ok(())
    }

    fn settle(&mut self, gate: &Gate, version: u8, services: &[KBox<Service>]) {
        let has_marks = has_marks(version, services);
        gate.set_marks(has_marks);
        if !has_marks {
            self.late = None;
        }
    }
}

fn has_marks(version: u8, services: &[KBox<Service>]) -> bool {
    services
        .iter()
        .any(|service| goes_by_mark(&service.id(), version))
}

/// Whether a service is of flows with a mark, of that IP version.
pub(super) fn goes_by_mark(id: &ServiceId, version: u8) -> bool {
    matches!(id, ServiceId::Marked { ipv6, .. } if *ipv6 == (version == 6))
}

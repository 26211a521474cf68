// SPDX-License-Identifier: GPL-2.0

//! Services, dests and local addresses as a message shows them: taken from the table at one moment, so that an
//! event can tell of what has been removed since.

use core::net::IpAddr;

use crate::engine::service::ServiceSpec;
use crate::engine::spec::{DestId, DestSpec, ServiceId};
use crate::table::{Member, Service, Traffic};

/// A service.
#[derive(Clone, Copy)]
pub(super) struct ServiceView {
    pub(super) id: ServiceId,
    pub(super) spec: ServiceSpec,
    pub(super) templates: u32,
    pub(super) dests: u32,
    pub(super) active: u32,
    pub(super) inactive: u32,
    pub(super) traffic: Traffic,
    /// Traffic a second.
    pub(super) rates: Traffic,
}

impl ServiceView {
    pub(super) fn new(service: &Service) -> Self {
        let mut view = Self {
            id: service.id(),
            spec: service.spec(),
            templates: service.templates(),
            dests: 0,
            active: 0,
            inactive: 0,
            traffic: service.traffic(),
            rates: service.rates(),
        };
        for member in service.dests() {
            let dest = member.dest();
            view.dests = view.dests.saturating_add(1);
            view.active = view.active.saturating_add(dest.active());
            view.inactive = view.inactive.saturating_add(dest.inactive());
        }
        view
    }
}

/// A dest of a service.
#[derive(Clone, Copy)]
pub(super) struct DestView {
    pub(super) service: ServiceId,
    pub(super) id: DestId,
    pub(super) spec: DestSpec,
    pub(super) drain: Option<u32>,
    pub(super) drain_ended: u32,
    /// Connections that no local address had a port for.
    pub(super) lacked_ports: u64,
    /// Connections that it has not answered.
    pub(super) unanswered: u64,
    pub(super) active: u32,
    pub(super) inactive: u32,
    /// Networks of clients that stay with it.
    pub(super) templates: u32,
    pub(super) traffic: Traffic,
    /// Traffic a second.
    pub(super) rates: Traffic,
}

impl DestView {
    pub(super) fn new(member: &Member) -> Self {
        let dest = member.dest();
        Self {
            service: dest.service(),
            id: dest.id(),
            spec: dest.spec(),
            drain: dest.life().drain_left(),
            drain_ended: dest.life().drain_ended(),
            lacked_ports: dest.failures().lacked_ports(),
            unanswered: dest.failures().unanswered(),
            active: dest.active(),
            inactive: dest.inactive(),
            templates: dest.templates(),
            traffic: member.traffic(),
            rates: member.rates(),
        }
    }
}

/// A local address.
#[derive(Clone, Copy)]
pub(super) struct LocalView {
    /// The service it is of; none for one of the namespace.
    pub(super) service: Option<ServiceId>,
    pub(super) address: IpAddr,
}

// SPDX-License-Identifier: GPL-2.0

//! Events: what listeners of the group `events` are told after a change.
//!
//! An event has the content of the reply that get gives: after the change, or before it for what
//! is removed. The changes of a batch are one transaction, so its events show the state before
//! and after the whole; an object that neither had has no event. Removing a service is one event,
//! its dests have none of their own.
//!
//! Without listeners nothing is built. An event that cannot be built fails no change: listeners
//! learn from their socket that they missed something.

use kernel::alloc::{flags::GFP_KERNEL, KVVec};
use kernel::sync::Arc;

use super::encode;
use super::generated::cmd;
use crate::engine::change::Change;
use crate::engine::spec::{DestId, ServiceId};
use crate::kapi::genl::Request;
use crate::table::{ConfigGuard, Dest, Service};

/// Index of the group `events` in the family's groups.
const EVENTS: u32 = 0;

/// Something that a change removes.
enum Gone {
    Service(Arc<Service>),
    Dest(Arc<Service>, Arc<Dest>),
}

/// The events of changes that are to be made.
pub(super) struct Changes {
    /// Whether anyone listens.
    wanted: bool,
    /// What each change removes; `None` when memory ran out.
    gone: Option<KVVec<Option<Gone>>>,
}

impl Changes {
    /// Keeps what the changes remove.
    pub(super) fn before(
        request: &Request<'_>,
        config: &ConfigGuard<'_>,
        changes: &[Change],
    ) -> Self {
        let wanted = request.has_listeners(EVENTS);
        let gone = if wanted { keep(config, changes) } else { None };
        Self { wanted, gone }
    }

    /// Sends the events of `changes`, which were made.
    pub(super) fn send(self, request: &Request<'_>, config: &ConfigGuard<'_>, changes: &[Change]) {
        if !self.wanted {
            return;
        }
        let Some(gone) = self.gone else {
            return request.missed_event(EVENTS);
        };
        for (change, gone) in changes.iter().zip(gone) {
            match gone {
                Some(Gone::Service(was)) => service(request, cmd::SERVICE_DEL_NTF, config, &was),
                Some(Gone::Dest(of, was)) => {
                    dest(request, cmd::DEST_DEL_NTF, config, &of, &was);
                }
                None => after(request, config, change),
            }
        }
    }
}

/// The events of a flush of services that is to be made.
pub(super) struct Flush {
    wanted: bool,
    gone: Option<KVVec<Arc<Service>>>,
}

impl Flush {
    /// Keeps what it removes.
    pub(super) fn before(request: &Request<'_>, config: &ConfigGuard<'_>) -> Self {
        let wanted = request.has_listeners(EVENTS);
        let gone = if wanted {
            keep_services(config.services())
        } else {
            None
        };
        Self { wanted, gone }
    }

    /// Sends the events of the flush, which was made.
    pub(super) fn send(self, request: &Request<'_>, config: &ConfigGuard<'_>) {
        if !self.wanted {
            return;
        }
        let Some(gone) = self.gone else {
            return request.missed_event(EVENTS);
        };
        for was in gone {
            service(request, cmd::SERVICE_DEL_NTF, config, &was);
        }
    }
}

/// The event of changed settings.
pub(super) fn settings(request: &Request<'_>, config: &ConfigGuard<'_>) {
    if request.has_listeners(EVENTS) {
        request.event(EVENTS, cmd::CONFIG_NTF, encode::SETTINGS_SIZE, |w| {
            encode::settings(w, config)
        });
    }
}

/// The event of a change that removes nothing.
fn after(request: &Request<'_>, config: &ConfigGuard<'_>, change: &Change) {
    match change {
        Change::ServiceAdd { id, .. } => service_now(request, cmd::SERVICE_ADD_NTF, config, id),
        Change::ServiceSet { id, .. } => service_now(request, cmd::SERVICE_SET_NTF, config, id),
        Change::DestAdd { service, id, .. } => {
            dest_now(request, cmd::DEST_ADD_NTF, config, service, id);
        }
        Change::DestSet { service, id, .. } => {
            dest_now(request, cmd::DEST_SET_NTF, config, service, id);
        }
        // Added by the same batch.
        Change::ServiceDel { .. } | Change::DestDel { .. } => (),
    }
}

fn service_now(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, id: &ServiceId) {
    if let Some(found) = config.service(id) {
        service(request, cmd, config, found);
    }
}

fn dest_now(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, of: &ServiceId, id: &DestId) {
    let Some(of) = config.service(of) else {
        return;
    };
    if let Some(found) = find_dest(config, of, id) {
        dest(request, cmd, config, of, found);
    }
}

fn service(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, service: &Service) {
    request.event(EVENTS, cmd, encode::SERVICE_SIZE, |w| {
        encode::service(w, config, service)
    });
}

fn dest(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, service: &Service, dest: &Dest) {
    request.event(EVENTS, cmd, encode::DEST_SIZE, |w| {
        encode::dest(w, config, service, dest)
    });
}

fn keep(config: &ConfigGuard<'_>, changes: &[Change]) -> Option<KVVec<Option<Gone>>> {
    let mut kept = KVVec::with_capacity(changes.len(), GFP_KERNEL).ok()?;
    for change in changes {
        let gone = match change {
            Change::ServiceDel { id } => config.service(id).cloned().map(Gone::Service),
            Change::DestDel { service, id } => config.service(service).and_then(|of| {
                let dest = find_dest(config, of, id)?;
                Some(Gone::Dest(of.clone(), dest.clone()))
            }),
            _ => None,
        };
        kept.push(gone, GFP_KERNEL).ok()?;
    }
    Some(kept)
}

fn keep_services(services: &[Arc<Service>]) -> Option<KVVec<Arc<Service>>> {
    let mut kept = KVVec::with_capacity(services.len(), GFP_KERNEL).ok()?;
    for service in services {
        kept.push(service.clone(), GFP_KERNEL).ok()?;
    }
    Some(kept)
}

fn find_dest<'g>(
    config: &'g ConfigGuard<'_>,
    service: &'g Service,
    id: &DestId,
) -> Option<&'g Arc<Dest>> {
    let mut dests = service.dests(config).iter();
    dests.find(|dest| dest.id() == *id)
}

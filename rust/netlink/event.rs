// SPDX-License-Identifier: GPL-2.0

//! Events: what listeners of the group `events` are told after a change.
//!
//! An event has the content of the reply that get gives: after the change, or before it for what
//! is removed. The changes of a batch are one transaction, so its events show the state before
//! and after the whole; an object that neither had has no event. Removing a service is one event,
//! its dests and local addresses have none of their own.
//!
//! Without listeners nothing is built. An event that cannot be built fails no change: listeners
//! learn from their socket that they missed something.

use core::net::{IpAddr, SocketAddr};

use kernel::{
    alloc::{flags::GFP_KERNEL_ACCOUNT, KVVec},
    sync::SetOnce,
};

use super::encode;
use super::generated::cmd;
use super::view::{DestView, LocalView, ServiceView};
use crate::engine::change::Change;
use crate::engine::selection::Selection;
use crate::engine::spec::{DestId, DestSpec, ServiceId};
use crate::kapi::genl::{Family, Full, Request, Writer};
use crate::kapi::netns::Net;
use crate::kapi::trace;
use crate::table::{ConfigGuard, Member};

/// Index of the group `events` in the family's groups.
const EVENTS: u32 = 0;

/// The family that events are of.
static FAMILY: SetOnce<&'static Family> = SetOnce::new();

/// Sets the family that events are of, once, before it is registered.
pub(super) fn send_by(family: &'static Family) {
    FAMILY.populate(family);
}

/// Whether anyone listens where a request came from.
fn is_heard(request: &Request<'_>) -> bool {
    FAMILY
        .as_ref()
        .is_some_and(|family| request.has_listeners(family, EVENTS))
}

/// Sends listeners where a request came from an event of at most `size` bytes of attributes.
fn tell(
    request: &Request<'_>,
    cmd: u8,
    size: usize,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) {
    if let Some(family) = FAMILY.as_ref() {
        request.event(family, EVENTS, cmd, size, fill);
    }
}

/// Has them know that they missed one.
fn missed(request: &Request<'_>) {
    if let Some(family) = FAMILY.as_ref() {
        request.missed_event(family, EVENTS);
    }
}

/// Bytes that are kept for each change.
pub(super) const PART_MAX: usize = core::mem::size_of::<Option<Gone>>();

/// Something that a change removes.
enum Gone {
    Service(ServiceView),
    Dest(DestView),
    Local(LocalView),
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
        let wanted = is_heard(request);
        let gone = if wanted { keep(config, changes) } else { None };
        Self { wanted, gone }
    }

    /// Sends the events of `changes`, which were made.
    pub(super) fn send(self, request: &Request<'_>, config: &ConfigGuard<'_>, changes: &[Change]) {
        for change in changes {
            traced(request.net(), config, change);
        }
        if !self.wanted {
            return;
        }
        let Some(gone) = self.gone else {
            return missed(request);
        };
        let generation = config.generation();
        for (change, gone) in changes.iter().zip(gone) {
            match gone {
                Some(Gone::Service(was)) => {
                    service(request, cmd::SERVICE_DEL_NTF, generation, &was);
                }
                Some(Gone::Dest(was)) => dest(request, cmd::DEST_DEL_NTF, generation, &was),
                Some(Gone::Local(was)) => local(request, cmd::LADDR_DEL_NTF, generation, &was),
                None => after(request, config, change),
            }
        }
    }
}

/// The tracepoint of a change that was made, if it is one of a dest.
fn traced(net: &Net, config: &ConfigGuard<'_>, change: &Change) {
    let (what, service, id) = match change {
        Change::DestAdd { service, id, .. } => (trace::Change::Add, service, id),
        Change::DestSet { service, id, .. } => (trace::Change::Set, service, id),
        Change::DestDel { service, id } => (trace::Change::Del, service, id),
        _ => return,
    };
    trace::dest_change(net, what, || {
        let now = config
            .dest(service, id)
            .ok()
            .map(|member| member.dest().spec());
        dest_of(service, id, now.as_ref())
    });
}

/// A dest as the tracepoint tells it; without settings where it is gone.
fn dest_of(service: &ServiceId, id: &DestId, spec: Option<&DestSpec>) -> trace::Dest {
    trace::Dest {
        protocol: service.protocol().map_or(0, |protocol| protocol.number()),
        vip: service
            .address()
            .map(|address| SocketAddr::new(address, service.port())),
        mark: service.mark(),
        dest: SocketAddr::new(id.address, id.port),
        mode: spec.map_or(0, |spec| spec.mode.number() as u8),
        weight: spec.map_or(0, |spec| spec.weight),
    }
}

/// The events of a flush of services that is to be made.
pub(super) struct Flush {
    wanted: bool,
    gone: Option<KVVec<ServiceView>>,
}

impl Flush {
    /// Keeps what it removes.
    pub(super) fn before(request: &Request<'_>, config: &ConfigGuard<'_>) -> Self {
        let wanted = is_heard(request);
        let gone = if wanted { keep_services(config) } else { None };
        Self { wanted, gone }
    }

    /// Sends the events of the flush, which was made.
    pub(super) fn send(self, request: &Request<'_>, config: &ConfigGuard<'_>) {
        if !self.wanted {
            return;
        }
        let Some(gone) = self.gone else {
            return missed(request);
        };
        let generation = config.generation();
        for was in gone {
            service(request, cmd::SERVICE_DEL_NTF, generation, &was);
        }
    }
}

/// The event of changed settings.
pub(super) fn settings(request: &Request<'_>, config: &ConfigGuard<'_>) {
    if is_heard(request) {
        tell(request, cmd::CONFIG_NTF, encode::SETTINGS_SIZE, |w| {
            encode::settings(w, config)
        });
    }
}

/// The event of something that was done to a service, or to the namespace, and that leaves the
/// configuration as it is.
pub(super) fn deed(
    request: &Request<'_>,
    cmd: u8,
    config: &ConfigGuard<'_>,
    service: Option<&ServiceId>,
) {
    if is_heard(request) {
        let generation = config.generation();
        tell(request, cmd, encode::DEED_SIZE, |w| {
            encode::deed(w, generation, service)
        });
    }
}

/// The event of connections that were ended.
pub(super) fn flushed(
    request: &Request<'_>,
    config: &ConfigGuard<'_>,
    service: Option<&ServiceId>,
    selection: &Selection,
) {
    if is_heard(request) {
        let generation = config.generation();
        let size = encode::DEED_SIZE + encode::SELECTION_SIZE;
        tell(request, cmd::CONN_FLUSH_NTF, size, |w| {
            encode::deed(w, generation, service)?;
            encode::selection(w, selection)
        });
    }
}

/// The event of a dest whose last connection has ended, after a draining.
pub(super) fn drained(net: &Net, config: &ConfigGuard<'_>, member: &Member) {
    let Some(family) = FAMILY.as_ref() else {
        return;
    };
    let view = DestView::new(member);
    trace::dest_change(net, trace::Change::Drained, || {
        dest_of(&view.service, &view.id, Some(&view.spec))
    });
    let generation = config.generation();
    family.event(net, EVENTS, cmd::DEST_DRAINED_NTF, encode::DEST_SIZE, |w| {
        encode::dest(w, generation, &view)
    });
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
        Change::LocalAdd { service, address } => {
            if let Some(view) = find_local(config, *service, *address) {
                local(request, cmd::LADDR_ADD_NTF, config.generation(), &view);
            }
        }
        // Added by the same batch.
        Change::ServiceDel { .. } | Change::DestDel { .. } | Change::LocalDel { .. } => (),
    }
}

fn service_now(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, id: &ServiceId) {
    if let Some(found) = config.service(id) {
        service(request, cmd, config.generation(), &ServiceView::new(found));
    }
}

fn dest_now(request: &Request<'_>, cmd: u8, config: &ConfigGuard<'_>, of: &ServiceId, id: &DestId) {
    if let Ok(found) = config.dest(of, id) {
        let view = DestView::new(found);
        dest(request, cmd, config.generation(), &view);
    }
}

fn service(request: &Request<'_>, cmd: u8, generation: u32, view: &ServiceView) {
    tell(request, cmd, encode::SERVICE_SIZE, |w| {
        encode::service(w, generation, view)
    });
}

fn dest(request: &Request<'_>, cmd: u8, generation: u32, view: &DestView) {
    tell(request, cmd, encode::DEST_SIZE, |w| {
        encode::dest(w, generation, view)
    });
}

fn local(request: &Request<'_>, cmd: u8, generation: u32, view: &LocalView) {
    tell(request, cmd, encode::LOCAL_SIZE, |w| {
        encode::local(w, generation, view)
    });
}

fn find_local(
    config: &ConfigGuard<'_>,
    service: Option<ServiceId>,
    address: IpAddr,
) -> Option<LocalView> {
    let pool = match service {
        Some(id) => config.service(&id)?.locals(),
        None => config.locals(),
    };
    let view = LocalView { service, address };
    pool.contains(address).then_some(view)
}

fn keep(config: &ConfigGuard<'_>, changes: &[Change]) -> Option<KVVec<Option<Gone>>> {
    let mut kept = KVVec::with_capacity(changes.len(), GFP_KERNEL_ACCOUNT).ok()?;
    for change in changes {
        let gone = match change {
            Change::ServiceDel { id } => config
                .service(id)
                .map(|found| Gone::Service(ServiceView::new(found))),
            Change::DestDel { service, id } => {
                let found = config.dest(service, id).ok();
                found.map(|found| Gone::Dest(DestView::new(found)))
            }
            Change::LocalDel { service, address } => {
                find_local(config, *service, *address).map(Gone::Local)
            }
            _ => None,
        };
        kept.push(gone, GFP_KERNEL_ACCOUNT).ok()?;
    }
    Some(kept)
}

fn keep_services(config: &ConfigGuard<'_>) -> Option<KVVec<ServiceView>> {
    let mut kept = KVVec::with_capacity(config.service_count(), GFP_KERNEL_ACCOUNT).ok()?;
    for service in config.services() {
        kept.push(ServiceView::new(service), GFP_KERNEL_ACCOUNT)
            .ok()?;
    }
    Some(kept)
}

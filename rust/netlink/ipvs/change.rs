// SPDX-License-Identifier: GPL-2.0

//! Commands that change services and dests.

use kernel::error::{code::*, Error, Result};

use super::decode::{DestRequest, ServiceRequest};
use super::helper::helper_of;
use super::policy::POLICY;
use super::sysctl;
use super::uapi::{cmd, main};
use crate::engine::change::{Blame, Change, ChangeError};
use crate::engine::service::{ServiceSpec, ServiceUpdate};
use crate::engine::spec::{DestUpdate, Mode, ServiceId};
use crate::kapi::genl::{AttrPolicy, Doit, Place, Request};
use crate::netlink::generated::cmd as told;
use crate::netlink::namespace::namespace;
use crate::netlink::{change, event, refusal};
use crate::table::{ConfigGuard, Service};

/// NEW_SERVICE, SET_SERVICE, DEL_SERVICE, NEW_DEST, SET_DEST or DEL_DEST.
pub(super) struct Set<const CMD: u8>;

impl<const CMD: u8> Doit for Set<CMD> {
    const CMD: u8 = CMD;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let service = ServiceRequest::new(request)?;
        if matches!(CMD, cmd::NEW_SERVICE | cmd::SET_SERVICE) {
            service.check_full()?;
        }
        let mut config = namespace(request)?.config();
        let change = match CMD {
            cmd::NEW_SERVICE => new_service(request, &service, &config)?,
            cmd::SET_SERVICE => Change::ServiceSet {
                id: find(request, &service, &config)?,
                update: set_service(request, &service, &config)?,
            },
            cmd::DEL_SERVICE => Change::ServiceDel {
                id: find(request, &service, &config)?,
            },
            _ => {
                let id = find(request, &service, &config)?;
                dest::<CMD>(request, id, &config)?
            }
        };
        config.be_lenient();
        change::apply(request, &mut config, &[change])
            .map_err(|refused| refuse(request, &change, &refused.error))?;
        if let Change::DestAdd { id, .. } = change {
            if !config.has_route(id.address) {
                request
                    .extack()
                    .note(format_args!("there is no route to {} yet", id.address));
            }
        }
        Ok(())
    }
}

fn new_service(
    request: &Request<'_>,
    service: &ServiceRequest<'_, '_>,
    config: &ConfigGuard<'_>,
) -> Result<Change> {
    let id = service.new_id()?;
    // Before the scheduler is looked at: clients tell EEXIST from ENOENT.
    if config.service(&id).is_some() {
        let error = ChangeError::ServiceExists(id);
        return Err(request
            .extack()
            .refuse(EEXIST, service.nest.place(), format_args!("{error}")));
    }
    let mut update = service.update(None, sysctl::quiesced(request.net()))?;
    // It has a scheduler; the rest is what nobody asked for.
    let plain = ServiceSpec::new(update.scheduler.ok_or(EINVAL)?);
    update.expiration = sysctl::expiration(request.net(), plain.scheduler.as_str());
    update.helper = Some(helper_of(&id));
    Ok(Change::ServiceAdd {
        id,
        spec: update.of(&plain),
    })
}

fn set_service(
    request: &Request<'_>,
    service: &ServiceRequest<'_, '_>,
    config: &ConfigGuard<'_>,
) -> Result<ServiceUpdate> {
    let id = find(request, service, config)?;
    let quiesced = sysctl::quiesced(request.net());
    service.update(config.service(&id).map(Service::spec), quiesced)
}

fn dest<const CMD: u8>(
    request: &Request<'_>,
    service: ServiceId,
    config: &ConfigGuard<'_>,
) -> Result<Change> {
    let dest = DestRequest::new(request, &service)?;
    let id = dest.id;
    if CMD == cmd::DEL_DEST {
        return Ok(Change::DestDel { service, id });
    }
    dest.check_full()?;
    let mut spec = dest.spec()?;
    if CMD == cmd::NEW_DEST {
        if spec.mode == Mode::Nat && means_fullnat(config, &service) {
            spec.mode = Mode::FullNat;
        }
        return Ok(Change::DestAdd { service, id, spec });
    }
    let old = config
        .dest(&service, &id)
        .map(|member| member.dest().spec());
    // Who reads masquerading and writes it back changes nothing.
    if spec.mode == Mode::Nat && old.is_ok_and(|old| old.mode == Mode::FullNat) {
        spec.mode = Mode::FullNat;
    }
    Ok(Change::DestSet {
        service,
        id,
        update: DestUpdate {
            mode: Some(spec.mode),
            weight: Some(spec.weight),
            upper: Some(spec.thresholds.upper),
            lower: Some(spec.thresholds.lower),
            drain: None,
            tunnel: Some(spec.tunnel),
        },
    })
}

/// Whether a masqueraded dest that is added to `service` is to be FullNAT: the operator wants it,
/// and there are local addresses.
pub(super) fn means_fullnat(config: &ConfigGuard<'_>, service: &ServiceId) -> bool {
    let service = config.service(service);
    let has_locals =
        service.is_some_and(|service| !service.locals().is_empty()) || !config.locals().is_empty();
    config.settings().nat_as_fullnat && has_locals
}

/// The service that a request names; `ESRCH` when there is none.
pub(super) fn find(
    request: &Request<'_>,
    service: &ServiceRequest<'_, '_>,
    config: &ConfigGuard<'_>,
) -> Result<ServiceId> {
    let id = service.id().filter(|id| config.service(id).is_some());
    id.ok_or_else(|| {
        let place = service.nest.place();
        match service.id() {
            Some(id) => {
                let error = ChangeError::NoService(id);
                request
                    .extack()
                    .refuse(ESRCH, place, format_args!("{error}"))
            }
            None => request
                .extack()
                .refuse(ESRCH, place, format_args!("no such service")),
        }
    })
}

fn refuse(request: &Request<'_>, change: &Change, error: &ChangeError) -> Error {
    let errno = refusal::errno(error);
    let kind = match error.blame(change) {
        Blame::Service(_) | Blame::Scheduler => Some(main::SERVICE),
        Blame::Dest(_) => Some(main::DEST),
        Blame::Local | Blame::Nothing => None,
    };
    let mut attrs = request.attrs();
    let place = attrs.find(|attr| Some(attr.kind()) == kind);
    let place = place.map_or(Place::Message, Place::Attr);
    request
        .extack()
        .refuse(errno, place, format_args!("{error}"))
}

/// FLUSH.
pub(super) struct Flush;

impl Doit for Flush {
    const CMD: u8 = cmd::FLUSH;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let mut config = namespace(request)?.config();
        let events = event::Flush::before(request, &config);
        config.flush().map_err(|error| {
            let errno = refusal::errno(&error);
            request
                .extack()
                .refuse(errno, Place::Message, format_args!("{error}"))
        })?;
        events.send(request, &config);
        Ok(())
    }
}

/// ZERO, of one service or of all.
pub(super) struct Zero;

impl Doit for Zero {
    const CMD: u8 = cmd::ZERO;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let mut config = namespace(request)?.config();
        let mut attrs = request.attrs();
        let id = if attrs.any(|attr| attr.kind() == main::SERVICE) {
            let service = ServiceRequest::new(request)?;
            Some(find(request, &service, &config)?)
        } else {
            None
        };
        config
            .zero(id.as_ref())
            .map_err(|error| refusal::errno(&error))?;
        event::deed(request, told::STATS_ZERO_NTF, &config, id.as_ref());
        Ok(())
    }
}

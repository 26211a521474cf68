// SPDX-License-Identifier: GPL-2.0

//! Objects that a request names.

use kernel::error::Result;

use super::decode::Decoder;
use super::namespace::namespace;
use super::refusal;
use super::view::DestView;
use crate::engine::change::ChangeError;
use crate::engine::spec::{DestId, ServiceId};
use crate::kapi::genl::{Attr, Place, Request};
use crate::table::{ConfigGuard, Service};

/// The service that `nest` names; `ESRCH` when there is none.
pub(super) fn service<'a, 'g>(
    decoder: &Decoder<'a>,
    config: &'g ConfigGuard<'_>,
    nest: Attr<'a>,
    id: &ServiceId,
) -> Result<&'g Service> {
    match config.service(id) {
        Some(service) => Ok(service),
        None => Err(refuse(decoder, nest, ChangeError::NoService(*id))),
    }
}

/// The dest that `nest` names; `ENOENT` when there is none.
pub(super) fn dest<'a>(
    decoder: &Decoder<'a>,
    service: &Service,
    nest: Attr<'a>,
    id: &DestId,
) -> Result<DestView> {
    match service.dests().find(id) {
        Some(member) => Ok(DestView::new(member)),
        None => Err(refuse(decoder, nest, ChangeError::NoDest(*id))),
    }
}

/// The service that a request is about, when it names one; it has to be there.
pub(super) fn filter(request: &Request<'_>) -> Result<Option<ServiceId>> {
    let decoder = Decoder::new(request);
    let Some(named) = decoder.optional_service(request)? else {
        return Ok(None);
    };
    let config = namespace(request)?.config();
    service(&decoder, &config, named.nest(), &named.id)?;
    Ok(Some(named.id))
}

fn refuse<'a>(decoder: &Decoder<'a>, nest: Attr<'a>, error: ChangeError) -> kernel::error::Error {
    let place = Place::Attr(nest);
    decoder.refuse(refusal::errno(&error), place, format_args!("{error}"))
}

// SPDX-License-Identifier: GPL-2.0

//! service-get and service-flush. Changes of services are in [`change`](super::change).

use kernel::error::Result;

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, main};
use super::namespace::{dumped, namespace};
use super::view::ServiceView;
use super::walk::{self, Place};
use super::{encode, event, lookup, policy, refusal};
use crate::kapi::genl::{self, AttrPolicy, Doit, DumpWriter, Dumpit, Progress, Request};
use crate::table::Service;

/// service-get of one service, and of all.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::SERVICE_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::SERVICE_GET);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
        let nest = decoder.require(&attrs, None, main::SERVICE, "service")?;
        let service = decoder.service(nest)?;
        decoder.only_id(&service)?;
        let config = namespace(request)?.config();
        let found = lookup::service(&decoder, &config, nest, &service.id)?;
        let (generation, view) = (config.generation(), ServiceView::new(found));
        drop(config);
        request.reply(cmd::SERVICE_GET, encode::SERVICE_SIZE, |w| {
            encode::service(w, generation, &view)
        })
    }
}

impl Dumpit for Get {
    const CMD: u8 = cmd::SERVICE_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::SERVICE_GET);
    type State = Place;

    fn start(_request: &Request<'_>) -> Result<Place> {
        Ok(Place::default())
    }

    fn dump(
        request: &Request<'_>,
        place: &mut Place,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let (config, generation) = dumped(request, out)?;
        let name = |service: &&Service| walk::name(&service.id());
        Ok(walk::each(config.services(), place, name, |service| {
            let view = ServiceView::new(service);
            out.message(cmd::SERVICE_GET, |w| encode::service(w, generation, &view))
        }))
    }
}

/// service-flush.
pub(super) struct Flush;

impl Doit for Flush {
    const CMD: u8 = cmd::SERVICE_FLUSH;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::SERVICE_FLUSH);

    fn doit(request: &Request<'_>) -> Result {
        let mut config = namespace(request)?.config();
        let events = event::Flush::before(request, &config);
        config.flush().map_err(|error| {
            let decoder = Decoder::new(request);
            decoder.refuse(
                refusal::errno(&error),
                genl::Place::Message,
                format_args!("{error}"),
            )
        })?;
        events.send(request, &config);
        Ok(())
    }
}

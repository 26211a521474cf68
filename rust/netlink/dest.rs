// SPDX-License-Identifier: GPL-2.0

//! dest-get. Changes of dests are in [`change`](super::change).

use kernel::error::Result;

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, main};
use super::namespace::{dumped, namespace};
use super::view::DestView;
use super::walk::{self, Place, Walk};
use super::{encode, lookup, policy};
use crate::engine::spec::{DestId, ServiceId};
use crate::kapi::genl::{Attr, AttrPolicy, Doit, DumpWriter, Dumpit, Progress, Request};
use crate::table::{Member, Service};

/// dest-get of one dest, and of those of one service or of all.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::DEST_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::DEST_GET);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let ((service_nest, service), (dest_nest, dest)) = asked_for(&decoder, request)?;
        let config = namespace(request)?.config();
        let service = lookup::service(&decoder, &config, service_nest, &service)?;
        let view = lookup::dest(&decoder, service, dest_nest, &dest)?;
        let generation = config.generation();
        drop(config);
        request.reply(cmd::DEST_GET, encode::DEST_SIZE, |w| {
            encode::dest(w, generation, &view)
        })
    }
}

/// Which dest of which service a request names, with the attributes that do.
#[inline(never)] // For the frame of who answers.
fn asked_for<'a>(
    decoder: &Decoder<'a>,
    request: &Request<'a>,
) -> Result<((Attr<'a>, ServiceId), (Attr<'a>, DestId))> {
    let attrs: MainAttrs<'a> = decoder.table(request.attrs())?;
    let service_nest = decoder.require(&attrs, None, main::SERVICE, "service")?;
    let service = decoder.service(service_nest)?;
    decoder.only_id(&service)?;
    let dest_nest = decoder.require(&attrs, None, main::DEST, "dest")?;
    let dest = decoder.dest(dest_nest)?;
    decoder.only_dest_id(&dest)?;
    Ok(((service_nest, service.id), (dest_nest, dest.id)))
}

impl Dumpit for Get {
    const CMD: u8 = cmd::DEST_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::DEST_GET);
    type State = Walk<Place>;

    fn start(request: &Request<'_>) -> Result<Walk<Place>> {
        Walk::new(request)
    }

    fn dump(
        request: &Request<'_>,
        walk: &mut Walk<Place>,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let (config, generation) = dumped(request, out)?;
        let find = |id: &ServiceId| config.service(id);
        let name = |service: &&Service| walk::name(&service.id());
        Ok(walk.on(find, config.services(), name, |service, place| {
            let name = |member: &&Member| walk::name(&member.dest().id());
            walk::each(service.dests().iter(), place, name, |member| {
                let view = DestView::new(member);
                out.message(cmd::DEST_GET, |w| encode::dest(w, generation, &view))
            })
        }))
    }
}

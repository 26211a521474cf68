// SPDX-License-Identifier: GPL-2.0

//! dest-get. Changes of dests are in [`change`](super::change).

use kernel::error::Result;

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, main};
use super::view::DestView;
use super::{encode, lookup, namespace, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, Doit, DumpWriter, Dumpit, Progress, Request};
use crate::table::Service;

/// dest-get of one dest, and of those of one service or of all.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::DEST_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::DEST_GET);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
        let service_nest = decoder.require(&attrs, None, main::SERVICE, "service")?;
        let service = decoder.service(service_nest)?;
        decoder.only_id(&service)?;
        let dest_nest = decoder.require(&attrs, None, main::DEST, "dest")?;
        let dest = decoder.dest(dest_nest)?;
        decoder.only_dest_id(&dest)?;
        let config = namespace(request)?.config();
        let service = lookup::service(&decoder, &config, service_nest, &service.id)?;
        let view = lookup::dest(&decoder, service, dest_nest, &dest.id)?;
        let generation = config.generation();
        drop(config);
        request.reply(cmd::DEST_GET, encode::DEST_SIZE, |w| {
            encode::dest(w, generation, &view)
        })
    }
}

/// Where a dump of dests is.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The one service it is about, or all.
    only: Option<ServiceId>,
    /// How many services were sent whole; 0 with `only`.
    services: usize,
    /// How many dests of the next one were sent.
    dests: usize,
}

impl Dumpit for Get {
    const CMD: u8 = cmd::DEST_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::DEST_GET);
    type State = State;

    fn start(request: &Request<'_>) -> Result<State> {
        Ok(State {
            only: lookup::filter(request)?,
            services: 0,
            dests: 0,
        })
    }

    fn dump(
        request: &Request<'_>,
        state: &mut State,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let config = namespace(request)?.config();
        let generation = config.generation();
        out.set_generation(generation);
        if let Some(id) = state.only {
            // When it is gone by now, the generation tells.
            return Ok(match config.service(&id) {
                Some(service) => one(generation, service, &mut state.dests, out),
                None => Progress::Done,
            });
        }
        for service in config.services().iter().skip(state.services) {
            if one(generation, service, &mut state.dests, out) == Progress::More {
                return Ok(Progress::More);
            }
            state.services = state.services.saturating_add(1);
            state.dests = 0;
        }
        Ok(Progress::Done)
    }
}

/// The dests of one service, without the first `sent`.
fn one(generation: u32, service: &Service, sent: &mut usize, out: &mut DumpWriter<'_>) -> Progress {
    for member in service.dests().iter().skip(*sent) {
        let view = DestView::new(member);
        let full = out.message(cmd::DEST_GET, |w| encode::dest(w, generation, &view));
        if full.is_err() {
            return Progress::More;
        }
        *sent = sent.saturating_add(1);
    }
    Progress::Done
}

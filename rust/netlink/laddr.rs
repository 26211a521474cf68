// SPDX-License-Identifier: GPL-2.0

//! laddr-get. Changes of local addresses are in [`change`](super::change).

use kernel::error::Result;

use super::generated::cmd;
use super::view::LocalView;
use super::{encode, lookup, namespace, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, DumpWriter, Dumpit, Progress, Request};
use crate::table::Pool;

/// laddr-get of one service, or of the namespace and all services.
pub(super) struct Get;

/// Where a dump of local addresses is.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The one service it is about, or all.
    only: Option<ServiceId>,
    /// How many pools were sent whole: the namespace's, then those of services; 0 with `only`.
    pools: usize,
    /// How many addresses of the next one were sent.
    addresses: usize,
}

impl Dumpit for Get {
    const CMD: u8 = cmd::LADDR_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::LADDR_GET);
    type State = State;

    fn start(request: &Request<'_>) -> Result<State> {
        Ok(State {
            only: lookup::filter(request)?,
            pools: 0,
            addresses: 0,
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
        let sent = &mut state.addresses;
        if let Some(id) = state.only {
            // When it is gone by now, the generation tells.
            return Ok(match config.service(&id) {
                Some(service) => one(generation, Some(id), service.locals(), sent, out),
                None => Progress::Done,
            });
        }
        let services = config.services().iter();
        let of_services = services.map(|service| (Some(service.id()), service.locals()));
        let pools = core::iter::once((None, config.locals())).chain(of_services);
        for (service, pool) in pools.skip(state.pools) {
            if one(generation, service, pool, sent, out) == Progress::More {
                return Ok(Progress::More);
            }
            state.pools = state.pools.saturating_add(1);
            *sent = 0;
        }
        Ok(Progress::Done)
    }
}

/// The addresses of one pool, without the first `sent`.
fn one(
    generation: u32,
    service: Option<ServiceId>,
    pool: &Pool,
    sent: &mut usize,
    out: &mut DumpWriter<'_>,
) -> Progress {
    for address in pool.addresses().iter().skip(*sent) {
        let view = LocalView {
            service,
            address: *address,
        };
        let full = out.message(cmd::LADDR_GET, |w| encode::local(w, generation, &view));
        if full.is_err() {
            return Progress::More;
        }
        *sent = sent.saturating_add(1);
    }
    Progress::Done
}

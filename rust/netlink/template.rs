// SPDX-License-Identifier: GPL-2.0

//! template-get: networks of clients that stay with a dest.

use core::ops::ControlFlow;

use kernel::error::Result;

use super::generated::cmd;
use super::{encode, lookup, namespace, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, DumpWriter, Dumpit, Progress, Request};
use crate::table::{ConfigGuard, Service, TemplateCursor};

/// template-get.
pub(super) struct Get;

/// Where a dump of templates is.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The one service it is about, or all.
    only: Option<ServiceId>,
    /// How many services were shown whole; 0 with `only`.
    services: u32,
    /// Where in the next one.
    cursor: TemplateCursor,
}

impl Dumpit for Get {
    const CMD: u8 = cmd::TEMPLATE_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::TEMPLATE_GET);
    type State = State;

    fn start(request: &Request<'_>) -> Result<State> {
        Ok(State {
            only: lookup::filter(request)?,
            services: 0,
            cursor: TemplateCursor::default(),
        })
    }

    fn dump(
        request: &Request<'_>,
        state: &mut State,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let config = namespace(request)?.config();
        out.set_generation(config.generation());
        if let Some(id) = state.only {
            // When it is gone by now, the generation tells.
            let rest = config
                .service(&id)
                .and_then(|of| one(&config, of, state.cursor, out));
            return Ok(state.after(rest));
        }
        for service in config.services().iter().skip(state.services as usize) {
            let rest = one(&config, service, state.cursor, out);
            if state.after(rest) == Progress::More {
                return Ok(Progress::More);
            }
            state.services = state.services.saturating_add(1);
            state.cursor = TemplateCursor::default();
        }
        Ok(Progress::Done)
    }
}

impl State {
    /// Remembers where to go on.
    fn after(&mut self, rest: Option<TemplateCursor>) -> Progress {
        match rest {
            Some(cursor) => {
                self.cursor = cursor;
                Progress::More
            }
            None => Progress::Done,
        }
    }
}

/// The templates of one service from the cursor on; where to go on when the buffer is full.
fn one(
    config: &ConfigGuard<'_>,
    service: &Service,
    cursor: TemplateCursor,
    out: &mut DumpWriter<'_>,
) -> Option<TemplateCursor> {
    let (id, rule) = (service.id(), service.spec().persistence);
    service.list_templates(cursor, |view| {
        let message = out.message(cmd::TEMPLATE_GET, |w| {
            encode::template(w, config.generation(), (&id, &rule), view)
        });
        match message {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
}

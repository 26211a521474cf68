// SPDX-License-Identifier: GPL-2.0

//! template-get: networks of clients that stay with a dest.

use core::ops::ControlFlow;

use kernel::error::Result;

use super::generated::cmd;
use super::namespace::dumped;
use super::walk::{self, Walk};
use super::{encode, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, DumpWriter, Dumpit, Progress, Request};
use crate::table::{Service, TemplateCursor};

/// template-get.
pub(super) struct Get;

impl Dumpit for Get {
    const CMD: u8 = cmd::TEMPLATE_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::TEMPLATE_GET);
    type State = Walk<TemplateCursor>;

    fn start(request: &Request<'_>) -> Result<Walk<TemplateCursor>> {
        Walk::new(request)
    }

    fn dump(
        request: &Request<'_>,
        walk: &mut Walk<TemplateCursor>,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let (config, generation) = dumped(request, out)?;
        let find = |id: &ServiceId| config.service(id);
        let name = |service: &&Service| walk::name(&service.id());
        Ok(walk.on(find, config.services(), name, |service, cursor| {
            one(generation, service, cursor, out)
        }))
    }
}

/// The templates of one service from the cursor on.
fn one(
    generation: u32,
    service: &Service,
    cursor: &mut TemplateCursor,
    out: &mut DumpWriter<'_>,
) -> Progress {
    let (id, rule) = (service.id(), service.spec().persistence);
    let rest = service.list_templates(*cursor, |view| {
        let message = out.message(cmd::TEMPLATE_GET, |w| {
            encode::template(w, generation, (&id, &rule), view)
        });
        match message {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    match rest {
        Some(rest) => {
            *cursor = rest;
            Progress::More
        }
        None => Progress::Done,
    }
}

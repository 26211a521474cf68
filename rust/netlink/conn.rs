// SPDX-License-Identifier: GPL-2.0

//! conn-get and conn-flush.

use core::mem::replace;
use core::ops::ControlFlow;

use kernel::error::Result;

use super::decode::Decoder;
use super::generated::cmd;
use super::namespace::namespace;
use super::{encode, event, lookup, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, Doit, DumpWriter, Dumpit, Progress, Request};
use crate::kapi::work;
use crate::table::ConnCursor;

/// conn-get.
pub(super) struct Get;

/// Where a dump of connections is.
#[derive(Clone, Copy)]
pub(super) struct State {
    only: Option<ServiceId>,
    cursor: ConnCursor,
}

impl Dumpit for Get {
    const CMD: u8 = cmd::CONN_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::CONN_GET);
    type State = State;

    fn start(request: &Request<'_>) -> Result<State> {
        Decoder::new(request).selection(request)?;
        Ok(State {
            only: lookup::filter(request)?,
            cursor: ConnCursor::default(),
        })
    }

    fn dump(
        request: &Request<'_>,
        state: &mut State,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let netns = namespace(request)?;
        // Of the request again, since the state has no room for it.
        let selection = Decoder::new(request).selection(request)?;
        let (only, start) = (state.only, state.cursor);
        let (mut wrote, mut full) = (false, false);
        let mut before = None;
        loop {
            let (next, resizes) = netns.connections(state.cursor, |view| {
                if only.is_some_and(|id| id != view.service) || !view.is_in(&selection) {
                    return ControlFlow::Continue(());
                }
                full = out
                    .message(cmd::CONN_GET, |w| encode::connection(w, view))
                    .is_err();
                wrote |= !full;
                match full {
                    false => ControlFlow::Continue(()),
                    true => ControlFlow::Break(()),
                }
            });
            // A resize moves connections between chains: when one came since the last buffer, the
            // next message, or the end, says that the dump is not consistent.
            let before = before.get_or_insert(resizes);
            let resized = replace(before, resizes) != resizes;
            if resized && !wrote {
                state.cursor = start;
                continue;
            }
            out.set_generation(if resized { !resizes } else { resizes });
            match next {
                None if !resized => return Ok(Progress::Done),
                next => state.cursor = next.unwrap_or(ConnCursor::END),
            }
            if full || resized {
                return Ok(Progress::More);
            }
            work::give_way();
        }
    }
}

/// conn-flush.
pub(super) struct Flush;

impl Doit for Flush {
    const CMD: u8 = cmd::CONN_FLUSH;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONN_FLUSH);

    fn doit(request: &Request<'_>) -> Result {
        let selection = Decoder::new(request).selection(request)?;
        let only = lookup::filter(request)?;
        let netns = namespace(request)?;
        let ended = netns.flush_connections(only.as_ref(), &selection);
        event::flushed(request, &netns.config(), only.as_ref(), &selection);
        request.reply(cmd::CONN_FLUSH, encode::ENDED_SIZE, |w| {
            encode::ended(w, ended)
        })
    }
}

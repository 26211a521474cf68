// SPDX-License-Identifier: GPL-2.0

//! Commands that list services and dests.

use kernel::error::Result;

use super::decode::ServiceRequest;
use super::nest::Rule;
use super::policy::POLICY;
use super::uapi::{cmd, main};
use super::{change, encode};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, Doit, DumpWriter, Dumpit, Progress, Request};
use crate::netlink::namespace::namespace;
use crate::netlink::view::{DestView, ServiceView};

/// GET_SERVICE of one service, and of all.
pub(super) struct Services;

impl Doit for Services {
    const CMD: u8 = cmd::GET_SERVICE;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let service = ServiceRequest::new(request)?;
        let config = namespace(request)?.config();
        let id = change::find(request, &service, &config)?;
        let view = config.service(&id).map(ServiceView::new);
        drop(config);
        let Some(view) = view else { return Ok(()) };
        request.reply(cmd::NEW_SERVICE, encode::SIZE, |w| {
            encode::service(w, &view)
        })
    }
}

impl Dumpit for Services {
    const CMD: u8 = cmd::GET_SERVICE;
    const POLICY: &'static [AttrPolicy] = &POLICY;
    /// How many services were sent.
    type State = usize;

    fn start(_request: &Request<'_>) -> Result<usize> {
        Ok(0)
    }

    fn dump(request: &Request<'_>, sent: &mut usize, out: &mut DumpWriter<'_>) -> Result<Progress> {
        // No generation: of `ip_vs` clients know no dumps that are to be begun again.
        let config = namespace(request)?.config();
        for service in config.services().skip(*sent) {
            let view = ServiceView::new(service);
            let full = out.message(cmd::NEW_SERVICE, |w| encode::service(w, &view));
            if full.is_err() {
                return Ok(Progress::More);
            }
            *sent = sent.saturating_add(1);
        }
        Ok(Progress::Done)
    }
}

/// GET_DEST: the dests of one service.
pub(super) struct Dests;

/// Whether all attributes of a dump's request are what [`POLICY`] says: the core leaves that to whom
/// reads them.
fn is_valid(request: &Request<'_>) -> bool {
    request.attrs().all(|attr| {
        let rule = match attr.kind() {
            main::SERVICE | main::DEST | main::DAEMON => Rule::Nest,
            main::TIMEOUT_TCP..=main::TIMEOUT_UDP => Rule::AtLeast(4),
            _ => Rule::Any,
        };
        rule.allows(attr.payload())
    })
}

/// Where a dump of dests is.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// None when the request does not name a service: nothing is listed, as in `ip_vs`.
    of: Option<ServiceId>,
    /// How many were sent.
    sent: usize,
}

impl Dumpit for Dests {
    const CMD: u8 = cmd::GET_DEST;
    const POLICY: &'static [AttrPolicy] = &POLICY;
    type State = State;

    fn start(request: &Request<'_>) -> Result<State> {
        let service = if is_valid(request) {
            ServiceRequest::new(request).ok()
        } else {
            None
        };
        Ok(State {
            of: service.and_then(|service| service.id()),
            sent: 0,
        })
    }

    fn dump(
        request: &Request<'_>,
        state: &mut State,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let config = namespace(request)?.config();
        let Some(service) = state.of.and_then(|id| config.service(&id)) else {
            return Ok(Progress::Done);
        };
        // Newest first, as `ip_vs` lists them.
        for member in service.dests().iter().rev().skip(state.sent) {
            let view = DestView::new(member);
            let full = out.message(cmd::NEW_DEST, |w| encode::dest(w, &view));
            if full.is_err() {
                return Ok(Progress::More);
            }
            state.sent = state.sent.saturating_add(1);
        }
        Ok(Progress::Done)
    }
}

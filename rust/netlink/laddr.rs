// SPDX-License-Identifier: GPL-2.0

//! laddr-get. Changes of local addresses are in [`change`](super::change).

use core::{iter, net::IpAddr};

use kernel::error::Result;

use super::generated::cmd;
use super::namespace::dumped;
use super::view::LocalView;
use super::walk::{self, Place, Walk};
use super::{encode, policy};
use crate::engine::spec::ServiceId;
use crate::kapi::genl::{AttrPolicy, DumpWriter, Dumpit, Progress, Request};
use crate::table::{Pool, Service};

/// laddr-get of one service, or of the namespace and all services.
pub(super) struct Get;

impl Dumpit for Get {
    const CMD: u8 = cmd::LADDR_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::LADDR_GET);
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
        let find = |id: &ServiceId| config.service(id).map(own);
        // The namespace's first.
        let services = config.services().map(own);
        let pools = iter::once((None, config.locals())).chain(services);
        let name = |(service, _): &(Option<ServiceId>, &Pool)| walk::name(service);
        Ok(walk.on(find, pools, name, |(service, pool), place| {
            let name = |address: &&IpAddr| walk::name(*address);
            walk::each(pool.addresses().iter(), place, name, |address| {
                let view = LocalView {
                    service,
                    address: *address,
                };
                out.message(cmd::LADDR_GET, |w| encode::local(w, generation, &view))
            })
        }))
    }
}

/// A service's own local addresses.
fn own(service: &Service) -> (Option<ServiceId>, &Pool) {
    (Some(service.id()), service.locals())
}

// SPDX-License-Identifier: GPL-2.0

//! stats-get and stats-zero.

use kernel::error::Result;

use super::decode::Decoder;
use super::generated::cmd;
use super::namespace::namespace;
use super::{encode, event, policy, refusal};
use crate::kapi::genl::{AttrPolicy, Doit, Place, Request};

/// stats-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::STATS_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::STATS_GET);

    fn doit(request: &Request<'_>) -> Result {
        let config = namespace(request)?.config();
        request.reply(cmd::STATS_GET, encode::STATISTICS_SIZE, |w| {
            encode::statistics(w, &config)
        })
    }
}

/// stats-zero.
pub(super) struct Zero;

impl Doit for Zero {
    const CMD: u8 = cmd::STATS_ZERO;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::STATS_ZERO);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let service = decoder.optional_service(request)?;
        let mut config = namespace(request)?.config();
        let id = service.as_ref().map(|service| service.id);
        config.zero(id.as_ref()).map_err(|error| {
            let place = service.map_or(Place::Message, |service| Place::Attr(service.nest()));
            decoder.refuse(refusal::errno(&error), place, format_args!("{error}"))
        })?;
        event::deed(request, cmd::STATS_ZERO_NTF, &config, id.as_ref());
        Ok(())
    }
}

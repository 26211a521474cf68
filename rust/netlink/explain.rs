// SPDX-License-Identifier: GPL-2.0

//! explain.

use core::net::SocketAddr;

use kernel::error::{code::EINVAL, Result};

use super::decode::Decoder;
use super::generated::cmd;
use super::namespace::namespace;
use super::{encode, policy};
use crate::kapi::genl::{AttrPolicy, Doit, Place, Request};

/// explain.
pub(super) struct Explain;

impl Doit for Explain {
    const CMD: u8 = cmd::EXPLAIN;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::EXPLAIN);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let (nest, question) = decoder.question(request)?;
        let refuse = |text| decoder.refuse(EINVAL, Place::Attr(nest), format_args!("{text}"));
        let is_end = |end: SocketAddr| end.port() != 0 && !end.ip().is_unspecified();
        if !is_end(question.source) || !is_end(question.destination) {
            return Err(refuse("address and port of both ends are not 0"));
        }
        let told = namespace(request)?.explain(&question)?;
        let told = told.ok_or_else(|| refuse("both ends are of one IP version"))?;
        request.reply(cmd::EXPLAIN, encode::EXPLANATION_SIZE, |w| {
            encode::explanation(w, &told)
        })
    }
}

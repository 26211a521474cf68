// SPDX-License-Identifier: GPL-2.0

//! The nest of a packet that might come.

use core::net::SocketAddr;

use kernel::error::Result;

use super::{Decoder, MainAttrs};
use crate::kapi::genl::{Attr, Attrs, Request};
use crate::netlink::generated::{main, question};
use crate::table::Question;

/// The attributes of a question's nest.
type QuestionAttrs<'a> = Attrs<'a, { question::POLICY.len() }>;

impl<'a> Decoder<'a> {
    /// The packet that a request asks about, which has to be there, and its nest.
    pub(in super::super) fn question(&self, request: &Request<'a>) -> Result<(Attr<'a>, Question)> {
        let attrs: MainAttrs<'a> = self.table(request.attrs())?;
        let nest = self.require(&attrs, None, main::QUESTION, "question")?;
        let attrs: QuestionAttrs<'a> = self.table(nest.nested())?;
        let protocol = self.require(&attrs, Some(nest), question::PROTOCOL, "protocol")?;
        let protocol = self.selected_protocol(Some(protocol))?;
        let protocol = protocol.ok_or_else(|| self.malformed(nest, "protocol"))?;
        let end = |address, port, name| -> Result<SocketAddr> {
            let address = self.require(&attrs, Some(nest), address, name)?;
            let port = self.require(&attrs, Some(nest), port, name)?;
            let of = self.address(address, name)?;
            let number = port.u16_be().ok_or_else(|| self.malformed(port, name))?;
            Ok(SocketAddr::new(of, number))
        };
        let question = Question {
            protocol,
            source: end(question::CLIENT_ADDRESS, question::CLIENT_PORT, "client")?,
            destination: end(question::ADDRESS, question::PORT, "destination")?,
            mark: self.number(attrs.get(question::MARK), "mark")?.unwrap_or(0),
        };
        Ok((nest, question))
    }
}

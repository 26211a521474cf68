// SPDX-License-Identifier: GPL-2.0

//! The client of the family.

use netlink_sys::protocols::NETLINK_GENERIC;

use crate::message::Speaker;
use crate::request::Rvs;
use crate::{Datagrams, Error, NetlinkSocket, Replies, Reply, Request, Transport};

/// A client of the module in the current network namespace.
pub struct Client<D = NetlinkSocket>(Speaker<Rvs, D>);

impl Client {
    /// Opens a socket and finds the family; [`Error::NotLoaded`] when it is not there.
    pub fn connect() -> Result<Self, Error> {
        Self::over(NetlinkSocket::open(NETLINK_GENERIC)?)
    }
}

impl<D: Datagrams> Client<D> {
    /// Finds the family over `datagrams`.
    pub fn over(datagrams: D) -> Result<Self, Error> {
        let mut speaker = Speaker::over(datagrams)?;
        speaker.exchange().speak_rvs();
        Ok(Self(speaker))
    }
}

impl<D: Datagrams> Transport for Client<D> {
    fn call(
        &mut self,
        request: &Request,
        sink: &mut dyn FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let replies = if request.is_dump() {
            Replies::Dump
        } else {
            Replies::One
        };
        self.0.run(request.message(), replies, sink)
    }
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: GPL-2.0

//! Answers to programs that were made for other receivers, which ask by socket options.

use core::net::{IpAddr, SocketAddr};

use kernel::error::Result;

use crate::{
    engine::{
        family::Address,
        tuple::{TupleV4, TupleV6},
    },
    hooks,
    kapi::{
        netns::Net,
        rcu::Rcu,
        sock::Sock,
        sockopt::{self, Asked},
    },
    state::{Kept, Netns},
};

/// The registered options.
pub(crate) type Options = sockopt::Options<Toa>;

/// Registers the options. May sleep.
///
/// # Errors
///
/// `EBUSY` when another receiver has them.
pub(crate) fn register() -> Result<Options> {
    Options::register()
}

pub(crate) struct Toa;

impl Asked for Toa {
    fn of_connection(sock: Sock<'_>) -> Option<SocketAddr> {
        hooks::client_of(sock)
    }

    fn of_datagram(net: &Net, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let netns = Netns::of(net)?;
        match from.ip() {
            IpAddr::V4(_) => told_of::<TupleV4>(netns, from, to),
            IpAddr::V6(_) => told_of::<TupleV6>(netns, from, to),
        }
    }
}

fn told_of<T: Kept>(netns: &Netns, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
    let end = |end: SocketAddr| Some((T::Address::of(end.ip())?, end.port()));
    let guard = kernel::sync::rcu::read_lock();
    let (address, port) = T::flows(netns).told_of(end(from)?, end(to)?, Rcu::of(&guard))?;
    Some(SocketAddr::new(address.into(), port))
}

// SPDX-License-Identifier: GPL-2.0

//! Whom a namespace believes, and what it makes of an address that it is told.

use core::net::{IpAddr, SocketAddr};

use crate::{
    engine::toa::{self, Malformed},
    kapi::{rcu::Rcu, sock::Segment},
    state::{Counter, Netns, Settings},
};

impl Settings {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

impl Netns {
    /// Whether `peer` is believed.
    pub(crate) fn trusts(&self, peer: IpAddr, rcu: Rcu<'_>) -> bool {
        let settings = self.settings(rcu);
        settings.is_some_and(|settings| settings.trusts(peer))
    }

    /// Whether `peer` is one who has to tell of a client.
    pub(crate) fn demands_of(&self, peer: IpAddr, rcu: Rcu<'_>) -> bool {
        let settings = self.settings(rcu);
        settings.is_some_and(|settings| settings.demands && settings.trusts(peer))
    }

    /// Whom `segment` is forwarded for, if its sender is to be believed. What is not is counted.
    pub(crate) fn client_of(&self, segment: &Segment<'_>, rcu: Rcu<'_>) -> Option<SocketAddr> {
        let told = toa::find(segment.options(), &self.settings(rcu)?.kinds);
        self.believed(told, segment.peer(), rcu)
    }

    /// The client that `peer` has told of, if it is to be believed. What is not is counted.
    pub(crate) fn believed(
        &self,
        told: Result<Option<SocketAddr>, Malformed>,
        peer: IpAddr,
        rcu: Rcu<'_>,
    ) -> Option<SocketAddr> {
        match told {
            Ok(None) => None,
            Ok(Some(client)) if self.settings(rcu)?.trusts(peer) => Some(client),
            Ok(Some(_)) => {
                self.count(Counter::Untrusted);
                None
            }
            Err(malformed) => {
                self.count(match malformed {
                    Malformed::Length => Counter::Malformed,
                    Malformed::WrongLength => Counter::WrongLength,
                    Malformed::Twice => Counter::Twice,
                    Malformed::Address => Counter::BadAddress,
                });
                None
            }
        }
    }
}

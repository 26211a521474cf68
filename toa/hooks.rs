// SPDX-License-Identifier: GPL-2.0

//! From the option in a segment to the answer of `getpeername`.

use core::net::SocketAddr;

use kernel::{error::Result, prelude::*};

use crate::{
    engine::wire::TCP,
    kapi::{
        end::End,
        netns::Net,
        probe::Mechanism,
        rcu::{self, Rcu, RcuBox},
        receive::{self, Receiver, Receiving, Registrations},
        sock::{Segment, Sock},
        sock_map::Keeper,
        trace,
    },
    state::{Counter, Netns, Tag, SOCKETS},
};

/// The receiver's hooks.
pub(crate) struct Hooks {
    // An option so that it can be dropped before what it uses.
    receiving: Option<Receiving>,
    // After all who use it.
    _sockets: Keeper<Tag>,
}

impl Hooks {
    /// Makes the map of sockets and starts. May sleep.
    pub(crate) fn start(how: Mechanism) -> Result<Self> {
        let sockets = Keeper::new()?;
        SOCKETS.replace(Some(RcuBox::new(sockets.map(), GFP_KERNEL)?));
        let mut hooks = Self {
            receiving: None,
            _sockets: sockets,
        };
        hooks.receiving = Some(receive::receive::<Toa>(how)?);
        Ok(hooks)
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.receiving = None;
        SOCKETS.replace(None);
        rcu::barrier();
    }
}

/// Whom `sock` is connected to by a director, as far as that is known.
pub(crate) fn client_of(sock: Sock<'_>) -> Option<SocketAddr> {
    let guard = kernel::sync::rcu::read_lock();
    let rcu = Rcu::of(&guard);
    let tag = SOCKETS.get(rcu)?.find(sock, rcu)?;
    (sock.ends(false) == tag.ends).then(|| tag.client.into())
}

struct Toa;

static REGISTRATIONS: Registrations = Registrations::new();

impl Receiver for Toa {
    /// The client, where it is known.
    type Offer = Option<SocketAddr>;

    fn opening(net: &Net, segment: &Segment<'_>, rcu: Rcu<'_>) -> Option<Self::Offer> {
        let client = Netns::under(net, rcu)?.client_of(segment, rcu);
        // Also of a connection without the option something may be known by mistake.
        let is_of_use = client.is_some() || !SOCKETS.get(rcu)?.is_empty();
        is_of_use.then_some(client)
    }

    fn opened(sock: Sock<'_>, is_ipv4: bool, client: Self::Offer, rcu: Rcu<'_>) {
        let (Some(sockets), Some(netns)) = (SOCKETS.get(rcu), Netns::under(sock.net(), rcu)) else {
            return;
        };
        let Some(client) = client else {
            Self::closed(sock, rcu);
            return;
        };
        let tag = Tag {
            ends: sock.ends(is_ipv4),
            client: client.into(),
        };
        let (inserted, had) = sockets.insert(sock, tag, rcu);
        // One of MPTCP is counted by its first path.
        let counts = !sock.is_of_many_paths();
        match inserted {
            Ok(()) if counts => {
                netns.count(Counter::Learned);
                trace::learned(sock.net(), || trace::Learned {
                    protocol: TCP,
                    client: tag.client.into(),
                    peer: tag.ends.peer.into(),
                    local: tag.ends.local.into(),
                });
            }
            Ok(()) => {}
            Err(_) => netns.count(Counter::NoMemory),
        }
        if had && counts {
            netns.count(Counter::Forgotten);
        }
    }

    fn raising(sock: Sock<'_>, rcu: Rcu<'_>) -> Option<Self::Offer> {
        let sockets = SOCKETS.get(rcu)?;
        let tag = sockets.find(sock, rcu);
        let client = tag.map(|tag| tag.client.into());
        (client.is_some() || !sockets.is_empty()).then_some(client)
    }

    #[inline(always)]
    fn asked<'a>(sock: Sock<'_>, rcu: Rcu<'a>) -> Option<(&'a End, &'a End)> {
        let tag = SOCKETS.get(rcu)?.find(sock, rcu)?;
        if sock.ends(false) != tag.ends {
            return None;
        }
        if let Some(netns) = Netns::under(sock.net(), rcu) {
            netns.count(Counter::Answered);
        }
        Some((&tag.ends.peer, &tag.client))
    }

    fn closed(sock: Sock<'_>, rcu: Rcu<'_>) {
        let Some(sockets) = SOCKETS.get(rcu) else {
            return;
        };
        if sockets.remove(sock, rcu) && !sock.is_of_many_paths() {
            if let Some(netns) = Netns::under(sock.net(), rcu) {
                netns.count(Counter::Forgotten);
            }
        }
    }

    fn registrations() -> &'static Registrations {
        &REGISTRATIONS
    }
}

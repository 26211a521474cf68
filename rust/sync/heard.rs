// SPDX-License-Identifier: GPL-2.0

//! The masters that a backup hears, and what it asks them for.

use core::net::SocketAddr;

use kernel::prelude::*;

use super::key;
use crate::{
    engine::sync::{Datagram, Kind, Stream, Verdict},
    kapi::{group::Receiver, random, sign::Signer, time},
    table::{Netns, Parcel, PeerCount},
};

/// Streams that are told apart.
const STREAMS: usize = 128;

/// Seconds after which one that is silent makes room for another.
const SILENT: u32 = 10;

/// Ticks after which a master is asked again.
pub(super) const ASK_TICKS: u32 = time::HZ / 5;

/// A stream, and where it comes from.
struct Heard {
    stream: KBox<Stream>,
    from: SocketAddr,
    /// The port that it comes by.
    port: usize,
    id: u8,
    /// Second at which it was heard last.
    second: u32,
    /// Tick at which it was asked last.
    asked: u32,
}

/// All of them.
pub(super) struct Masters {
    all: KVec<Heard>,
    /// Whether there is a key: then a stream has to prove that it is no copy of an old one.
    keyed: bool,
}

/// What becomes of a datagram's entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entries {
    /// They are taken.
    Taken,
    /// They are taken where nothing is known.
    Hearsay,
    /// They are not.
    Left,
}

impl Masters {
    /// None was heard.
    pub(super) const fn new(keyed: bool) -> Self {
        Self {
            all: KVec::new(),
            keyed,
        }
    }

    /// Looks at a datagram that came by a port. One of `ip_vs` has no number.
    #[inline(never)]
    pub(super) fn hear(
        &mut self,
        netns: &Netns,
        datagram: &Datagram<'_>,
        (port, from): (usize, SocketAddr),
    ) -> Entries {
        let Some(tailed) = datagram.tailed() else {
            return Entries::Taken;
        };
        let kind = tailed.tail.kind;
        let taken = match kind {
            Kind::Entries => Entries::Taken,
            Kind::Hearsay => Entries::Hearsay,
            Kind::Beat | Kind::Ask => Entries::Left,
        };
        if kind == Kind::Ask {
            return taken;
        }
        let Some(heard) = self.of(tailed.tail.stream) else {
            // There are too many: as those of whom nobody knows what is lost.
            return match self.keyed {
                true => Entries::Left,
                false => taken,
            };
        };
        (heard.from, heard.port, heard.id) = (from, port, datagram.id());
        heard.second = time::uptime();
        if kind == Kind::Beat {
            netns.count_peers(PeerCount::Lost, heard.stream.beat(&tailed));
            return taken;
        }
        match heard.stream.entries(&tailed.tail) {
            Verdict::Take { lost } => {
                netns.count_peers(PeerCount::Lost, lost);
                taken
            }
            Verdict::Late => {
                netns.count_peer(PeerCount::Late);
                Entries::Left
            }
            Verdict::Unproven => {
                netns.count_peer(PeerCount::Unproven);
                Entries::Left
            }
        }
    }

    /// A stream; a new one takes the place of one that is silent. None where there is no room.
    #[inline(never)] // A stream takes room.
    fn of(&mut self, id: u64) -> Option<&mut Heard> {
        let found = self.all.iter().position(|heard| heard.stream.id() == id);
        if let Some(at) = found {
            return self.all.get_mut(at);
        }
        let now = time::uptime();
        let heard = Heard {
            stream: KBox::new(
                Stream::new(id, random::u64(), !self.keyed),
                GFP_KERNEL_ACCOUNT,
            )
            .ok()?,
            from: SocketAddr::from(([0, 0, 0, 0], 0)),
            port: 0,
            id: 0,
            second: now,
            asked: time::now().wrapping_sub(ASK_TICKS),
        };
        if self.all.len() < STREAMS {
            self.all.push(heard, GFP_KERNEL_ACCOUNT).ok()?;
            return self.all.last_mut();
        }
        let silent = |heard: &&mut Heard| {
            !heard.stream.is_proven() || now.wrapping_sub(heard.second) > SILENT
        };
        let place = self.all.iter_mut().find(silent)?;
        *place = heard;
        Some(place)
    }

    /// Asks for what is missing. True while something is.
    #[inline(never)]
    pub(super) fn ask(
        &mut self,
        netns: &Netns,
        receivers: &[Receiver],
        key: Option<&Signer>,
    ) -> bool {
        let (tick, second) = (time::now(), time::uptime());
        let mut lacks = false;
        for heard in &mut self.all {
            if !heard.stream.lacks() || second.wrapping_sub(heard.second) > SILENT {
                continue;
            }
            lacks = true;
            if tick.wrapping_sub(heard.asked) < ASK_TICKS {
                continue;
            }
            heard.asked = tick;
            let (tail, missing) = heard.stream.ask();
            let Ok(mut question) = Parcel::of_tail(heard.id) else {
                continue;
            };
            key::close(&mut question, tail, missing.as_slice(), key);
            if let Some(receiver) = receivers.get(heard.port) {
                let _ = receiver.send_to(heard.from, question.bytes());
                netns.count_peer(PeerCount::Asked);
            }
        }
        lacks
    }
}

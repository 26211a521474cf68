// SPDX-License-Identifier: GPL-2.0

//! The masters that a backup hears, and what it asks them for.

use core::net::SocketAddr;

use kernel::prelude::*;

use crate::{
    engine::sync::{Datagram, Kind, Stream, Verdict},
    kapi::{group::Receiver, random, time},
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
pub(super) struct Masters(KVec<Heard>);

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
    pub(super) const fn new() -> Self {
        Self(KVec::new())
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
            return taken;
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
        let found = self.0.iter().position(|heard| heard.stream.id() == id);
        if let Some(at) = found {
            return self.0.get_mut(at);
        }
        let now = time::uptime();
        let heard = Heard {
            stream: KBox::new(Stream::new(id, random::u64(), true), GFP_KERNEL_ACCOUNT).ok()?,
            from: SocketAddr::from(([0, 0, 0, 0], 0)),
            port: 0,
            id: 0,
            second: now,
            asked: time::now().wrapping_sub(ASK_TICKS),
        };
        if self.0.len() < STREAMS {
            self.0.push(heard, GFP_KERNEL_ACCOUNT).ok()?;
            return self.0.last_mut();
        }
        let silent = |heard: &&mut Heard| now.wrapping_sub(heard.second) > SILENT;
        let place = self.0.iter_mut().find(silent)?;
        *place = heard;
        Some(place)
    }

    /// Asks for what is missing. True while something is.
    #[inline(never)]
    pub(super) fn ask(&mut self, netns: &Netns, receivers: &[Receiver]) -> bool {
        let (tick, second) = (time::now(), time::uptime());
        let mut lacks = false;
        for heard in &mut self.0 {
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
            question.close(&tail, missing.as_slice());
            if let Some(receiver) = receivers.get(heard.port) {
                let _ = receiver.send_to(heard.from, question.bytes());
                netns.count_peer(PeerCount::Asked);
            }
        }
        lacks
    }
}

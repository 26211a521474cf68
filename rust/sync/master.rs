// SPDX-License-Identifier: GPL-2.0

//! The daemon that tells: what waits in the queues is sent, one queue a port, and those who lack
//! something are told it again.
//!
//! Whatever others ask, only so much is sent in a turn: the connections of so many datagrams that are
//! kept, or a slice of the table. A round through all of it is for everybody who listens, one at a time
//! and with a pause behind it.

use kernel::{prelude::*, sync::Arc};

use super::{
    daemon::Daemon,
    line::{Line, Turn},
};
use crate::{
    engine::sync::{tail::ROOM, tail::TAIL_MAX, Kind, HEADER},
    kapi::{group::Sender, rcu::Rcu, sign::Signer, time},
    table::{Netns, Outbox, PeerCount, Progress, Round},
};

/// A room for the header, one entry with all of its options and a tail, at least.
const LENGTH_MIN: usize = HEADER + 128 + ROOM;

/// Ticks between two looks at the queues.
const SEND_TICKS: u32 = time::HZ / 10;

/// The same while all is told again.
const ROUND_TICKS: u32 = time::HZ / 40;

/// Seconds between two rounds.
const PAUSE: u32 = 2;

/// Datagrams that may wait of what is told again.
const WAITING: usize = 4096;

/// All is told again.
struct Telling {
    round: Round,
    /// Queues of what this daemon looks after, and of what others do.
    outbox: Outbox,
    /// Numbers of the lines when it began.
    from: KVec<u64>,
}

/// It, while it runs.
pub(super) struct Master {
    pub(super) daemon: Daemon,
    pub(super) ports: usize,
    /// Those of the device that it had when they were opened; none while there is none.
    device: Option<u32>,
    lines: KVec<Line>,
    max_len: usize,
    /// For what is told again.
    again: Outbox,
    room: KVec<u8>,
    /// Second of the host at which it began.
    began: u32,
    /// The second that was told last.
    beat: Option<u32>,
    telling: Option<KBox<Telling>>,
    /// From which second on all may be told again.
    rested: u32,
}

impl Master {
    /// Begins.
    #[inline(never)] // What it begins takes room.
    pub(super) fn start(
        netns: &Netns,
        daemon: Daemon,
        ports: usize,
        key: Option<Signer>,
    ) -> Result<KBox<Self>> {
        let key = key
            .map(|key| Arc::new(key, GFP_KERNEL_ACCOUNT))
            .transpose()?;
        let max_len = usize::from(daemon.max_len).max(LENGTH_MIN);
        let mut lines = KVec::with_capacity(ports, GFP_KERNEL_ACCOUNT)?;
        for queue in 0..ports {
            let line = Line::new((queue, ports), daemon.id, max_len, key.clone())?;
            lines.push(line, GFP_KERNEL_ACCOUNT)?;
        }
        let mut this = Self {
            daemon,
            ports,
            device: None,
            lines,
            max_len,
            again: Outbox::new(2, daemon.id, max_len, WAITING)?,
            room: KVec::from_elem(0, TAIL_MAX, GFP_KERNEL_ACCOUNT)?,
            began: time::uptime(),
            beat: None,
            telling: None,
            rested: 0,
        };
        this.open(netns)?;
        netns.begin_telling(ports, daemon.id, max_len)?;
        Ok(KBox::new(this, GFP_KERNEL_ACCOUNT)?)
    }

    fn open(&mut self, netns: &Netns) -> Result {
        self.lines.iter_mut().for_each(|line| line.set_sender(None));
        self.device = None;
        let device = self.daemon.index(netns.net()).ok_or(ENODEV)?;
        let buffer = netns.peer_buffer();
        for (number, line) in self.lines.iter_mut().enumerate() {
            let group = self.daemon.group(number, device, buffer);
            line.set_sender(Some(Sender::open(netns.net(), group)?));
        }
        self.device = Some(device);
        Ok(())
    }

    /// Sends what waits, and answers. Ticks until the next turn.
    pub(super) fn run(&mut self, netns: &Netns) -> u32 {
        let device = self.daemon.index(netns.net());
        if device != self.device || self.device.is_none() {
            // It was renamed or removed, or is there again.
            let _ = self.open(netns);
        }
        let beat = time::uptime().wrapping_sub(self.began);
        for (number, line) in self.lines.iter_mut().enumerate() {
            let guard = kernel::sync::rcu::read_lock();
            let waiting = netns.outbox(Rcu::of(&guard)).map(|all| {
                all.set_clock(netns.clock());
                all.take(number)
            });
            drop(guard);
            for parcel in waiting.into_iter().flatten() {
                line.send(netns, parcel, Kind::Entries, beat);
            }
            line.flush(netns);
        }
        let needs_round = self.answer(netns, beat);
        if needs_round && self.telling.is_none() && beat >= self.rested {
            // Without memory it is asked for again.
            self.telling = self.begin_round().ok();
        }
        self.go_on(netns, beat);
        if self.beat.replace(beat) != Some(beat) {
            self.tell_beat(netns, beat);
        }
        match self.telling {
            Some(_) => ROUND_TICKS,
            None => SEND_TICKS,
        }
    }

    #[inline(never)]
    fn answer(&mut self, netns: &Netns, beat: u32) -> bool {
        let turn = Turn {
            netns,
            beat,
            id: self.daemon.id,
            again: &self.again,
        };
        let mut needs_round = false;
        for line in &mut self.lines {
            needs_round |= line.answer(&turn, &mut self.room);
        }
        needs_round
    }

    fn tell_beat(&mut self, netns: &Netns, beat: u32) {
        for line in &mut self.lines {
            line.beat(netns, beat);
        }
    }

    #[inline(never)] // What it begins takes room.
    fn begin_round(&self) -> Result<KBox<Telling>> {
        let mut from = KVec::with_capacity(self.ports, GFP_KERNEL_ACCOUNT)?;
        for line in &self.lines {
            from.push(line.next(), GFP_KERNEL_ACCOUNT)?;
        }
        let queues = self.ports.saturating_mul(2);
        let telling = Telling {
            round: Round::default(),
            outbox: Outbox::new(queues, self.daemon.id, self.max_len, WAITING)?,
            from,
        };
        Ok(KBox::new(telling, GFP_KERNEL_ACCOUNT)?)
    }

    /// Goes on with telling all again.
    #[inline(never)]
    fn go_on(&mut self, netns: &Netns, beat: u32) {
        let Some(telling) = self.telling.as_deref_mut() else {
            return;
        };
        let progress = netns.go_round(&mut telling.round, &telling.outbox, self.ports);
        for (number, line) in self.lines.iter_mut().enumerate() {
            let behind = number.saturating_add(self.ports);
            for (queue, kind) in [(number, Kind::Entries), (behind, Kind::Hearsay)] {
                for parcel in telling.outbox.take(queue) {
                    line.send(netns, parcel, kind, beat);
                }
            }
            line.flush(netns);
        }
        if progress == Progress::More {
            return;
        }
        if progress == Progress::Done {
            for (line, from) in self.lines.iter_mut().zip(&telling.from) {
                line.set_base(*from);
            }
            netns.count_peer(PeerCount::Round);
        }
        self.telling = None;
        self.rested = beat.saturating_add(PAUSE);
        self.tell_beat(netns, beat);
    }
}

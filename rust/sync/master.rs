// SPDX-License-Identifier: GPL-2.0

//! The daemon that tells: what waits in the queues is sent, one queue a port.

use kernel::prelude::*;

use super::daemon::Daemon;
use crate::{
    engine::sync::HEADER,
    kapi::{group::Sender, rcu::Rcu},
    table::{Netns, Parcel, PeerCount},
};

/// A room for the header and one entry with all of its options, at least.
const LENGTH_MIN: usize = HEADER + 128;

/// It, while it runs.
pub(super) struct Master {
    pub(super) daemon: Daemon,
    pub(super) ports: usize,
    /// Those of the device that it had when they were opened; none while there is none.
    device: Option<u32>,
    senders: KVec<Sender>,
}

impl Master {
    /// Begins.
    pub(super) fn start(netns: &Netns, daemon: Daemon, ports: usize) -> Result<Self> {
        let mut this = Self {
            daemon,
            ports,
            device: None,
            senders: KVec::new(),
        };
        this.open(netns)?;
        let length = usize::from(daemon.max_len).max(LENGTH_MIN);
        netns.begin_telling(ports, daemon.id, length)?;
        Ok(this)
    }

    fn open(&mut self, netns: &Netns) -> Result {
        self.senders.clear();
        self.device = None;
        let device = self.daemon.index(netns.net()).ok_or(ENODEV)?;
        let buffer = netns.peer_buffer();
        for number in 0..self.ports {
            let group = self.daemon.group(number, device, buffer);
            self.senders
                .push(Sender::open(netns.net(), group)?, GFP_KERNEL)?;
        }
        self.device = Some(device);
        Ok(())
    }

    /// Sends what waits.
    pub(super) fn run(&mut self, netns: &Netns) {
        let device = self.daemon.index(netns.net());
        if device != self.device || self.device.is_none() {
            // It was renamed or removed, or is there again.
            let _ = self.open(netns);
        }
        for number in 0..self.ports {
            let guard = kernel::sync::rcu::read_lock();
            let waiting = netns.outbox(Rcu::of(&guard)).map(|all| all.take(number));
            drop(guard);
            for parcel in waiting.into_iter().flatten() {
                netns.count_peer(self.send(number, &parcel));
            }
        }
    }

    fn send(&self, number: usize, parcel: &Parcel) -> PeerCount {
        let sent = self.senders.get(number).map(|s| s.send(parcel.bytes()));
        match sent {
            Some(Ok(true)) => PeerCount::Sent,
            _ => PeerCount::NotSent,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The daemon that listens: what comes is taken into the table.

use kernel::prelude::*;

use super::{
    daemon::Daemon,
    heard::{Entries, Masters, ASK_TICKS},
    key,
};
use crate::{
    engine::sync::Fault,
    kapi::{group::Receiver, sign::Signer, time, work},
    table::{Netns, PeerCount},
};

/// Datagrams of a port that are taken before others have their turn.
const BUDGET: usize = 64;

/// Ticks between two looks at the device.
const LISTEN_TICKS: u32 = time::HZ / 4;

/// It, while it runs.
pub(super) struct Backup {
    pub(super) daemon: Daemon,
    pub(super) ports: usize,
    device: Option<u32>,
    receivers: KVec<Receiver>,
    masters: Masters,
    key: Option<Signer>,
    buffer: KVVec<u8>,
}

/// How a socket is opened that kicks the worker of whoever has it.
pub(super) type Open<'a> = &'a dyn Fn(crate::kapi::group::Group) -> Result<Receiver>;

impl Backup {
    /// Begins.
    #[inline(never)] // What it begins takes room.
    pub(super) fn start(
        netns: &Netns,
        daemon: Daemon,
        ports: usize,
        key: Option<Signer>,
        open: Open<'_>,
    ) -> Result<KBox<Self>> {
        let mut this = Self {
            daemon,
            ports,
            device: None,
            receivers: KVec::new(),
            masters: Masters::new(key.is_some()),
            key,
            buffer: KVVec::from_elem(0, daemon.max_len.into(), GFP_KERNEL)?,
        };
        this.open(netns, open)?;
        Ok(KBox::new(this, GFP_KERNEL_ACCOUNT)?)
    }

    fn open(&mut self, netns: &Netns, open: Open<'_>) -> Result {
        self.receivers.clear();
        self.device = None;
        let device = self.daemon.index(netns.net()).ok_or(ENODEV)?;
        let buffer = netns.peer_buffer();
        for number in 0..self.ports {
            let receiver = open(self.daemon.group(number, device, buffer))?;
            self.receivers.push(receiver, GFP_KERNEL)?;
        }
        self.device = Some(device);
        Ok(())
    }

    /// Takes what has come, and asks for what has not. Ticks until the next turn.
    pub(super) fn run(&mut self, netns: &Netns, open: Open<'_>) -> u32 {
        let device = self.daemon.index(netns.net());
        if device != self.device || self.device.is_none() {
            // It was renamed or removed, or is there again.
            let _ = self.open(netns, open);
        }
        let mut more = false;
        for (port, receiver) in self.receivers.iter().enumerate() {
            let mut left = BUDGET;
            while let Ok(Some((length, from))) = receiver.receive(&mut self.buffer) {
                netns.count_peer(PeerCount::Received);
                // One that is longer than the room was cut.
                let datagram = self.buffer.get(..length).ok_or(Fault::Length);
                let (id, key) = (self.daemon.id, self.key.as_ref());
                match datagram.and_then(|bytes| key::read(bytes, id, key)) {
                    Ok(datagram) => match self.masters.hear(netns, &datagram, (port, from)) {
                        Entries::Left => {}
                        entries => netns.learn(&datagram, entries == Entries::Hearsay),
                    },
                    Err(fault) => netns.count_fault(fault),
                }
                work::give_way();
                left = left.saturating_sub(1);
                if left == 0 {
                    more = true;
                    break;
                }
            }
        }
        let lacks = self.masters.ask(netns, &self.receivers, self.key.as_ref());
        match (more, lacks) {
            (true, _) => 0,
            (false, true) => ASK_TICKS,
            (false, false) => LISTEN_TICKS,
        }
    }
}

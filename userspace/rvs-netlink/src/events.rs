// SPDX-License-Identifier: GPL-2.0

//! The kernel's notifications of changes.

use std::time::{Duration, Instant};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_generic::GenlMessage;
use netlink_sys::protocols::NETLINK_GENERIC;
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::event::Event;
use crate::exchange::Messages;
use crate::family::Family;
use crate::generated::FAMILY_NAME;
use crate::transport::Watch;
use crate::{Datagrams, Error, Exchange, NetlinkSocket, Reply};

/// A subscription to changes in the current network namespace.
pub struct Events {
    socket: NetlinkSocket,
    family: u16,
    queue: Vec<Event>,
}

impl Events {
    /// Subscribes; from here on no change goes unnoticed.
    pub fn subscribe() -> Result<Self, Error> {
        let family = Family::resolve(
            &mut Exchange::new(NetlinkSocket::open(NETLINK_GENERIC)?),
            FAMILY_NAME,
        )?;
        let group = family.events.ok_or(Error::Missing("group of events"))?;
        let mut socket = NetlinkSocket::open(NETLINK_GENERIC)?;
        socket.subscribe(group)?;
        Ok(Self {
            socket,
            family: family.id,
            queue: Vec::new(),
        })
    }

    /// Those that have come and were not read yet.
    pub fn pending(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        while let Some(event) = self.next(Some(Instant::now()))? {
            events.push(event);
        }
        Ok(events)
    }

    /// Waits for the next event, until `deadline` if there is one; `None` when that has passed.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Event>, Error> {
        while self.queue.is_empty() {
            if !self.wait(deadline)? {
                return Ok(None);
            }
            match self.socket.receive() {
                Ok(datagram) => self.queue = decode(datagram, self.family)?,
                Err(Error::Overrun) => self.queue.push(Event::Lost),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(self.queue.remove(0)))
    }

    /// Whether something came before the deadline.
    fn wait(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = left.map(timespec);
            let mut descriptors = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut descriptors, timeout.as_ref()) {
                Ok(0) if left == Some(Duration::ZERO) => return Ok(false),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(Error::Io("waiting for events", error.into())),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

impl Watch for Events {
    fn pending(&mut self) -> Result<Vec<Event>, Error> {
        Self::pending(self)
    }
}

/// The events of a datagram.
fn decode(datagram: &[u8], family: u16) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for message in Messages(datagram) {
        let message = NetlinkMessage::<GenlMessage<Reply>>::deserialize(message?)?;
        if message.header.message_type != family {
            continue;
        }
        if let NetlinkPayload::InnerMessage(message) = message.payload {
            events.push(Event::Change(Box::new(message.payload)));
        }
    }
    Ok(events)
}

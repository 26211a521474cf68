// SPDX-License-Identifier: GPL-2.0

//! The client of the family, and what programs need of it.

use std::thread::sleep;
use std::time::Duration;

use netlink_packet_core::NLM_F_REQUEST;
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::GenlMessage;
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::generated::MCGRP_EVENTS;
use crate::message::Speaker;
use crate::request::Rvs;
use crate::{steady, Datagrams, Error, Event, Exchange, NetlinkSocket, Replies, Reply, Request};

/// Attempts at a list that changes interrupt.
const ATTEMPTS: u32 = 8;

/// Time before the second attempt; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// Attempts at a list of the configuration before changes are taken into account.
const PATIENCE: u32 = 2;

/// Hears of changes.
pub trait Watch {
    /// What has happened since this was last asked.
    fn pending(&mut self) -> Result<Vec<Event>, Error>;
}

/// Takes requests to the kernel, or to what stands in for it.
pub trait Transport {
    /// Makes `request` and hands each answer to `sink`, as it comes.
    fn call(
        &mut self,
        request: &Request,
        sink: &mut dyn FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Hears of all changes from now on; nothing where nobody tells of them.
    fn watch(&mut self) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(None)
    }

    /// Reads lists of the configuration as they are at one moment, whatever changes meanwhile; nothing
    /// where nobody tells of changes.
    fn at_one_moment(&mut self, requests: &[Request]) -> Result<Option<Vec<Vec<Reply>>>, Error> {
        steady::read(self, requests)
    }

    /// Makes a request that is only acknowledged.
    fn execute(&mut self, request: &Request) -> Result<(), Error> {
        self.call(request, &mut |_| Ok(()))
    }

    /// Makes a request and returns all answers; a list that a change interrupted is read again, and
    /// when that does not help one of the configuration is made of what was read and what changed.
    fn collect(&mut self, request: &Request) -> Result<Vec<Reply>, Error> {
        let mut pause = PAUSE;
        for attempt in 0..ATTEMPTS {
            if attempt == PATIENCE && request.is_of_configuration() {
                // With the services it is known how many dests there have to be.
                let requests = [Request::ServiceList, request.clone()];
                let lists = self.at_one_moment(&requests)?;
                if let Some(list) = lists.and_then(|mut lists| lists.pop()) {
                    return Ok(list);
                }
            }
            if attempt > 0 {
                sleep(pause);
                pause *= 2;
            }
            let mut replies = Vec::new();
            match self.call(request, &mut |reply| {
                replies.push(reply);
                Ok(())
            }) {
                Err(Error::Interrupted { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(replies),
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Makes a request that has one answer.
    fn one(&mut self, request: &Request) -> Result<Reply, Error> {
        let reply = self.collect(request)?.pop();
        reply.ok_or(Error::Missing("message"))
    }
}

/// The family in this kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) id: u16,
    pub(crate) events: Option<u32>,
}

impl Family {
    /// Asks the kernel for the family's numbers.
    pub(crate) fn resolve<D: Datagrams>(
        exchange: &mut Exchange<D>,
        name: &str,
    ) -> Result<Self, Error> {
        let question = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
        });
        let mut found = None;
        let asked = exchange.run(
            question,
            Replies::One,
            NLM_F_REQUEST,
            &mut |answer: GenlMessage<GenlCtrl>| {
                found = Self::from_attributes(&answer.payload.nlas);
                Ok(())
            },
        );
        match asked {
            Err(Error::Refused(refusal)) if refusal.errno == ENOENT => Err(Error::NotLoaded),
            Err(error) => Err(error),
            Ok(()) => found.ok_or(Error::Missing("family id")),
        }
    }

    fn from_attributes(attributes: &[GenlCtrlAttrs]) -> Option<Self> {
        let mut id = None;
        let mut events = None;
        for attribute in attributes {
            match attribute {
                GenlCtrlAttrs::FamilyId(number) => id = Some(*number),
                GenlCtrlAttrs::McastGroups(groups) => {
                    events = groups.iter().find_map(|group| group_id(group));
                }
                _ => {}
            }
        }
        Some(Self { id: id?, events })
    }
}

/// The number of the group, if it is that of the events.
fn group_id(group: &[McastGrpAttrs]) -> Option<u32> {
    let named = |a: &McastGrpAttrs| matches!(a, McastGrpAttrs::Name(name) if name == MCGRP_EVENTS);
    group.iter().find(|a| named(a))?;
    group.iter().find_map(|a| match a {
        McastGrpAttrs::Id(id) => Some(*id),
        McastGrpAttrs::Name(_) => None,
    })
}

const ENOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();

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

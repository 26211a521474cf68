// SPDX-License-Identifier: GPL-2.0

//! Requests and their answers, whatever the family.

use std::fmt::Debug;
use std::marker::PhantomData;

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use crate::attr::Attr;
use crate::family::Family;
use crate::{Datagrams, Error, Exchange, NetlinkSocket, Replies};

/// A generic netlink family that is spoken here.
pub(crate) trait Spoken {
    /// Its name in the kernel.
    const NAME: &'static str;
    /// The version that requests say.
    const VERSION: u8;

    /// What it means that the kernel does not know it.
    fn absent() -> Error;
}

/// A request of the family `F` with its attributes worked out, once for measuring and writing.
#[derive(Debug)]
pub(crate) struct Message<F> {
    command: u8,
    attributes: Vec<Attr>,
    family: PhantomData<F>,
}

impl<F> Message<F> {
    /// The command `command` with `attributes`.
    pub(crate) fn new(command: u8, attributes: Vec<Attr>) -> Self {
        Self {
            command,
            attributes,
            family: PhantomData,
        }
    }
}

impl<F: Spoken> GenlFamily for Message<F> {
    fn family_name() -> &'static str {
        F::NAME
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        F::VERSION
    }
}

impl<F> Emitable for Message<F> {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

/// Talks to the family `F` in the current network namespace.
pub(crate) struct Speaker<F, D = NetlinkSocket> {
    exchange: Exchange<D>,
    pub(crate) family: Family,
    spoken: PhantomData<F>,
}

impl<F: Spoken, D: Datagrams> Speaker<F, D> {
    /// Finds the family over `datagrams`.
    pub(crate) fn over(datagrams: D) -> Result<Self, Error> {
        let mut exchange = Exchange::new(datagrams);
        let family = match Family::resolve(&mut exchange, F::NAME) {
            Err(Error::NotLoaded) => return Err(F::absent()),
            found => found?,
        };
        Ok(Self {
            exchange,
            family,
            spoken: PhantomData,
        })
    }

    /// For what is particular to a family.
    pub(crate) fn exchange(&mut self) -> &mut Exchange<D> {
        &mut self.exchange
    }

    /// Makes a request and hands each answer to `sink`, as it comes.
    pub(crate) fn run<R>(
        &mut self,
        request: Message<F>,
        replies: Replies,
        sink: &mut dyn FnMut(R) -> Result<(), Error>,
    ) -> Result<(), Error>
    where
        F: Debug,
        R: Debug + ParseableParametrized<[u8], GenlHeader>,
    {
        let mut message = GenlMessage::from_payload(request);
        message.set_resolved_family_id(self.family.id);
        self.exchange
            .run(message, replies, 0, &mut |reply: GenlMessage<R>| {
                sink(reply.payload)
            })
    }

    /// Makes a request of one answer, which is empty where there is only an ack.
    pub(crate) fn ask<R>(&mut self, request: Message<F>) -> Result<R, Error>
    where
        F: Debug,
        R: Debug + Default + ParseableParametrized<[u8], GenlHeader>,
    {
        let mut answer = R::default();
        self.run(request, Replies::One, &mut |reply| {
            answer = reply;
            Ok(())
        })?;
        Ok(answer)
    }
}

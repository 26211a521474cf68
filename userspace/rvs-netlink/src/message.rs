// SPDX-License-Identifier: GPL-2.0

//! A request on its way out, whatever the family.

use std::marker::PhantomData;

use netlink_packet_core::Emitable;
use netlink_packet_generic::GenlFamily;

use crate::attr::Attr;

/// A generic netlink family that is spoken here.
pub(crate) trait Spoken {
    /// Its name in the kernel.
    const NAME: &'static str;
    /// The version that requests say.
    const VERSION: u8;
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

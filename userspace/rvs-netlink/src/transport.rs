// SPDX-License-Identifier: GPL-2.0

//! What a program talks to: the kernel, or what stands in for it.

use crate::{Error, Event, Reply, Request};

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

    /// Makes a request that is only acknowledged.
    fn execute(&mut self, request: &Request) -> Result<(), Error> {
        self.call(request, &mut |_| Ok(()))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a command works with.

use std::io::Write;

use rvs_netlink::{Client, Error, Events, Reply, Request, Transport, Watch};

use crate::envelope::{Done, Envelope};
use crate::failure::Failure;
use crate::output::Table;

/// What a command works with.
pub struct Context<'a> {
    /// The kernel, or what stands in for it.
    pub kernel: &'a mut dyn Transport,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Whether to print JSON.
    pub json: bool,
}

impl Context<'_> {
    /// Makes a change; `what` is "add service tcp/…" for the case that it is refused.
    pub fn change(&mut self, what: &str, request: &Request) -> Result<(), Failure> {
        let made = self.kernel.execute(request);
        made.map_err(|error| Failure::kernel(what, error))?;
        self.done()
    }

    /// Says that a change is made: nothing to people, `{"ok":true}` to programs.
    pub fn done(&mut self) -> Result<(), Failure> {
        if self.json {
            return self.print_json(&Done { ok: true });
        }
        Ok(())
    }

    /// Prints `document` as JSON, or the table made for people.
    pub fn print<D: serde::Serialize>(
        &mut self,
        document: &D,
        table: impl FnOnce(&D) -> Table,
    ) -> Result<(), Failure> {
        if self.json {
            return self.print_json(document);
        }
        Ok(table(document).write(self.out)?)
    }

    /// Prints `document` as one line of JSON.
    pub fn print_json<D: serde::Serialize>(&mut self, document: &D) -> Result<(), Failure> {
        let document = Envelope::new(document);
        serde_json::to_writer(&mut *self.out, &document).map_err(std::io::Error::from)?;
        Ok(writeln!(self.out)?)
    }
}

/// The kernel, connected to at the first request, so that commands without one need no module.
#[derive(Default)]
pub struct Kernel {
    client: Option<Client>,
}

impl Transport for Kernel {
    fn call(
        &mut self,
        request: &Request,
        sink: &mut dyn FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::connect()?,
        };
        let called = self.client.insert(client).call(request, sink);
        if matches!(called, Err(Error::Sink(_))) {
            // What is left of the answer is for nobody.
            self.client = None;
        }
        called
    }

    fn watch(&mut self) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(Some(Box::new(Events::subscribe()?)))
    }
}

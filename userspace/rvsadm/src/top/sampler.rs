// SPDX-License-Identifier: GPL-2.0

//! Reads what the live view shows, beside it: a long list must not keep keys waiting.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rvs_engine::selection::Selection;
use rvs_engine::spec::{DestId, ServiceId};
use rvs_netlink::{Connection, Error, Request, Transport};

use crate::context::Kernel;
use crate::output::{cell, seconds};
use crate::reading::Reading;
use crate::values;

/// Dests that are kept, 20 MB of them; more are counted.
pub const DESTS_MAX: usize = 100_000;

/// Connections of a dest that are kept; more are counted.
pub const CONNS_MAX: usize = 1000;

/// What to read: figures, and the connections of a dest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask(pub Option<(ServiceId, DestId)>);

/// A connection in words.
#[derive(Clone, Debug)]
pub struct Conn {
    pub client: String,
    pub service: String,
    pub state: &'static str,
    pub expires: String,
}

impl Conn {
    /// What the filter looks at.
    pub fn text(&self) -> String {
        format!("{} {} {}", self.client, self.service, self.state)
    }
}

impl From<&Connection> for Conn {
    fn from(connection: &Connection) -> Self {
        Self {
            client: connection.client.to_string(),
            service: connection.service.to_string(),
            state: connection.state_name(),
            expires: cell(connection.expires_ms.map(seconds)),
        }
    }
}

/// Connections of a dest.
#[derive(Clone, Debug, Default)]
pub struct Conns {
    pub rows: Vec<Conn>,
    /// How many there are.
    pub count: u64,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What was asked for.
    pub ask: Ask,
    pub reading: Reading,
    pub conns: Option<Conns>,
}

impl Sample {
    /// Reads it.
    pub fn take(kernel: &mut dyn Transport, ask: Ask) -> Result<Self, Error> {
        let reading = Reading::take(kernel, DESTS_MAX)?;
        let conns = ask.0.map(|(service, dest)| conns(kernel, service, dest));
        Ok(Self {
            ask,
            reading,
            conns: conns.transpose()?,
        })
    }
}

fn conns(kernel: &mut dyn Transport, service: ServiceId, dest: DestId) -> Result<Conns, Error> {
    let mut conns = Conns::default();
    let selection = Selection {
        dest: Some(values::whole(dest.address)),
        dest_port: (dest.port != 0).then_some(dest.port),
        ..Selection::default()
    };
    let request = Request::ConnList(Some(service), selection);
    let listed = kernel.call(&request, &mut |reply| {
        let connection = reply.conn.ok_or(Error::Missing("connection"))?;
        conns.count = conns.count.saturating_add(1);
        if conns.rows.len() < CONNS_MAX {
            conns.rows.push(Conn::from(&connection));
        }
        Ok(())
    });
    match listed {
        // The table changes all the time; what came was there.
        Ok(()) | Err(Error::Interrupted { .. }) => Ok(conns),
        // A service that is gone has none.
        Err(Error::Refused(_)) => Ok(conns),
        Err(error) => Err(error),
    }
}

/// A thread that reads when it is asked to.
pub struct Sampler {
    asks: Sender<Ask>,
    samples: Receiver<Result<Sample, String>>,
}

impl Sampler {
    /// Starts it.
    pub fn start() -> Self {
        let (asks, asked) = mpsc::channel();
        let (answers, samples) = mpsc::channel();
        thread::spawn(move || answer(&asked, &answers));
        Self { asks, samples }
    }

    /// Asks for a sample. Whoever has asked waits for the answer before asking again.
    pub fn ask(&self, ask: Ask) -> bool {
        self.asks.send(ask).is_ok()
    }

    /// The sample, if it is there.
    pub fn answer(&self) -> Option<Result<Sample, String>> {
        self.samples.try_recv().ok()
    }
}

fn answer(asks: &Receiver<Ask>, answers: &Sender<Result<Sample, String>>) {
    let mut kernel = Kernel::default();
    for ask in asks {
        let sample = Sample::take(&mut kernel, ask);
        if sample.is_err() {
            // The module may come again, under another number.
            kernel = Kernel::default();
        }
        if answers
            .send(sample.map_err(|error| error.to_string()))
            .is_err()
        {
            return;
        }
    }
}

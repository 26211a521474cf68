// SPDX-License-Identifier: GPL-2.0

//! Making connections: their keys, and for FullNAT their local address and port.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use kernel::sync::Arc;

use super::{
    connections::{self, Conn, Inserted, Keys, Stage},
    dest::Dest,
    netns::{Netns, TICK},
    schedule::Schedule,
};
use crate::{
    engine::{
        hash,
        portpool::Candidates,
        proto::State,
        shift::{Opening, Shift},
        spec::Mode,
        tuple::TupleV4,
    },
    kapi::{rcu::Rcu, time},
};

/// Times that other CPUs may take the port that was just found free.
const RACES: u32 = 8;

/// A flow that gets a connection.
pub(crate) struct NewFlow<'a> {
    /// Tuple of its packets.
    pub(crate) tuple: TupleV4,
    /// That tuple's hash in the table.
    pub(crate) hash: u32,
    /// The state that its first packet puts it in.
    pub(crate) state: State,
    /// Where it goes.
    pub(crate) dest: &'a Arc<Dest>,
    /// The schedule of its service.
    pub(crate) schedule: &'a Schedule,
    /// What it opens with, where that matters: TCP in FullNAT.
    pub(crate) opening: Option<Opening>,
}

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoConnection {
    /// No memory.
    Memory,
    /// No local address has a port free toward the dest; or the client has a connection from the
    /// same port to the same dest by another virtual address, and only FullNAT can tell them apart.
    Port,
}

impl Netns {
    /// Makes a connection, or finds the one that another CPU has made.
    pub(crate) fn connect<'a>(
        &self,
        flow: &NewFlow<'_>,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        let Some(address) = self.translated_address(flow.dest) else {
            return self
                .insert(flow, None, Shift::NONE, rcu)?
                .ok_or(NoConnection::Port);
        };
        let real_server = SocketAddrV4::new(address, flow.dest.id().port);
        if flow.dest.spec().mode == Mode::FullNat {
            return self.connect_locally(flow, real_server, rcu);
        }
        let key = TupleV4::new(real_server, flow.tuple.source(), flow.tuple.protocol());
        let key = (key, self.connections.hash(&key));
        self.insert(flow, Some(key), Shift::NONE, rcu)?
            .ok_or(NoConnection::Port)
    }

    /// Makes a connection from a local address and port that no other has toward the real server.
    fn connect_locally<'a>(
        &self,
        flow: &NewFlow<'_>,
        real_server: SocketAddrV4,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        let locals = flow.schedule.locals();
        let order = hash::word(
            &self.sequence_key,
            self.connections.long_hash(&flow.tuple) ^ u64::from(real_server.ip().to_bits()),
        );
        let ports = self.settings.local_ports();
        let mut races = 0;
        for (number, port) in Candidates::new(order, locals.len(), ports) {
            let Some(local) = locals.get(number) else {
                break;
            };
            let local = SocketAddrV4::new(*local, port);
            let key = TupleV4::new(real_server, local, flow.tuple.protocol());
            let hash = self.connections.hash(&key);
            if self.connections.lookup(&key, hash, rcu).is_some() {
                continue;
            }
            let shift = self.shift(&key, flow.opening.as_ref());
            if let Some(conn) = self.insert(flow, Some((key, hash)), shift, rcu)? {
                return Ok(conn);
            }
            races += 1;
            if races == RACES {
                break;
            }
        }
        Err(NoConnection::Port)
    }

    /// How to move a connection whose dest's packets carry `key`: to an initial sequence number
    /// as of RFC 6528, whose clock ticks every 64 ns as the kernel's does, and to timestamps in
    /// milliseconds. Both are ahead of what the last connection with the same key had.
    fn shift(&self, key: &TupleV4, opening: Option<&Opening>) -> Shift {
        let Some(opening) = opening else {
            return Shift::NONE;
        };
        let secret = hash::tuple_v4(&self.sequence_key, key);
        let now = time::nanoseconds();
        let sequence = (secret as u32).wrapping_add((now >> 6) as u32);
        let timestamp = ((secret >> 32) as u32).wrapping_add((now / 1_000_000) as u32);
        Shift::new(opening, sequence, timestamp)
    }

    /// Puts a new connection in the table. None when the dest's key is taken.
    fn insert<'a>(
        &self,
        flow: &NewFlow<'_>,
        dest: Option<(TupleV4, u32)>,
        shift: Shift,
        rcu: Rcu<'a>,
    ) -> Result<Option<&'a Conn>, NoConnection> {
        let client = (flow.tuple, flow.hash);
        let toa_kind = self.settings.toa_kind();
        let stage = match (flow.opening, toa_kind) {
            (None, _) => Stage::Untouched,
            (Some(_), 0) => Stage::Told,
            (Some(_), _) => Stage::Opening,
        };
        let keys = Keys {
            client,
            dest,
            shift,
            stage,
            toa_kind,
        };
        let conn = connections::allocate(keys, flow.state, flow.dest.clone());
        let conn = conn.ok_or(NoConnection::Memory)?;
        Ok(match self.connections.insert(conn, rcu) {
            None => None,
            Some(Inserted::Existing(conn)) => Some(conn),
            Some(Inserted::New(conn)) => {
                self.wake(if self.connections.is_crowded(rcu) {
                    0
                } else {
                    TICK
                });
                Some(conn)
            }
        })
    }

    /// The address of a dest whose packets come back here under another tuple.
    fn translated_address(&self, dest: &Dest) -> Option<Ipv4Addr> {
        if !matches!(dest.spec().mode, Mode::Nat | Mode::FullNat) {
            return None;
        }
        match dest.id().address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

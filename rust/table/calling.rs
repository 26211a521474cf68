// SPDX-License-Identifier: GPL-2.0

//! Connections of calls that a dest has begun: see [callers](super::callers).

use core::{net::IpAddr, ptr};

use kernel::sync::Arc;

use super::{
    connect::{Connect, NewFlow, NoConnection},
    connections::Conn,
    dest::Dest,
    live::Live,
    schedule::Schedule,
};
use crate::{
    engine::{
        proto::State,
        spec::{DestId, ServiceId},
    },
    kapi::rcu::Rcu,
};

/// A dest that sends what is of no connection.
pub(crate) struct Caller<'a> {
    /// Its service.
    pub(crate) service: ServiceId,
    /// The schedule of that.
    pub(crate) schedule: &'a Schedule,
    /// The dest.
    pub(crate) dest: &'a Arc<Dest>,
}

impl Live {
    /// The dest of calls that sends from that address and port.
    pub(crate) fn caller<'a>(
        &self,
        (address, port): (IpAddr, u16),
        rcu: Rcu<'a>,
    ) -> Option<Caller<'a>>
    where
        Self: 'a,
    {
        let service = self.callers.get(rcu)?.find(address, port)?;
        let schedule = self.index.get(rcu)?.find_exactly(service.key(), rcu)?;
        let dest = schedule.member(DestId { address, port })?;
        Some(Caller {
            service,
            schedule,
            dest,
        })
    }

    /// Makes the connection of a dest's datagram that is about a call, whose packets carry `tuple` toward the
    /// virtual address. One that its client has with another dest from the same port ends, as the last that
    /// began is the one that counts in `ip_vs`.
    pub(crate) fn call_out<'a, T: Connect>(
        &self,
        caller: &Caller<'a>,
        tuple: T,
        call: &[u8],
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        let _charge = self.charge();
        let client = tuple.src().into();
        let kept = caller.schedule.keep_call((client, call), caller.dest);
        kept.map_err(|_| NoConnection::Memory)?;
        let hash = self.connections.hash(&tuple);
        if let Some((there, _)) = self.connections.lookup(&tuple, hash, rcu) {
            self.disconnect(there, rcu);
        }
        let flow = NewFlow {
            tuple,
            hash,
            state: State::Udp,
            dest: caller.dest,
            schedule: caller.schedule,
            opening: None,
            told: None,
        };
        let conn = self.connect(&flow, rcu)?;
        // Another CPU may have been first, with another dest.
        match ptr::eq(conn.dest(), &**caller.dest) {
            true => Ok(conn),
            false => Err(NoConnection::Port),
        }
    }
}

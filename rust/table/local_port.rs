// SPDX-License-Identifier: GPL-2.0

//! The search for a local address and port that no other connection has toward a real server.
//!
//! The table says what is free, and the host for which its programs have sockets. Where little is, a
//! port is taken from a connection of TCP that is over, the longest of those that were met: the moved
//! sequence numbers see to it that the real server takes the next one for new (RFC 6191, RFC 9293
//! section 3.6.1). Not from one of which a side may still speak: FIN_WAIT and the like are not over.

use super::{
    connect::{Attempt, NewFlow, NoConnection},
    connections::{Conn, NatKeys, Pair, Side, Stage},
    live::Live,
    local::LocalAddress,
    ports::Place,
};
use crate::{
    engine::{
        family::{folded, Address, Tuple},
        hash,
        portpool::{self, Candidates, PortRange, FEW},
        rewrite::Deltas,
        wire::TCP,
    },
    kapi::{rcu::Rcu, route::NextHop, socket, time},
};

/// Times that other CPUs may take the port that was just found free.
const RACES: u32 = 8;

/// Ticks after which what a connection that is over had on its way has come: who has not had its
/// last answer has asked again by then.
const SETTLED: u32 = time::HZ;

/// A search.
struct Search<'a, 's, C: Tuple, D: Tuple> {
    live: &'s Live,
    flow: &'s NewFlow<'s, C>,
    real_server: (D::Address, u16),
    stage: Stage,
    toa_kind: u8,
    rcu: Rcu<'a>,
    /// Candidates that were looked up.
    looked: u32,
    races: u32,
    /// The connection that has been over for longest of those that were met, for so many ticks, with
    /// its dest's key.
    over: Option<(u32, &'a Conn, (D, u32))>,
}

impl Live {
    /// Makes a connection from a local address and port that no other has toward the real server.
    pub(super) fn connect_locally<'a, C: Pair<D>, D: Tuple>(
        &self,
        flow: &NewFlow<'_, C>,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection>
    where
        D::Address: LocalAddress,
    {
        let address = flow.real_server()?;
        let (stage, toa_kind) = self.stage::<C, D>(flow);
        if stage == Stage::Chunks && C::VERSION != D::VERSION {
            // NAT64 has no SCTP.
            return Err(NoConnection::Port);
        }
        let search = Search {
            live: self,
            flow,
            real_server: (address, flow.dest_port()),
            stage,
            toa_kind,
            rcu,
            looked: 0,
            races: 0,
            over: None,
        };
        let locals = D::Address::of_service(flow.schedule.locals());
        let seen = flow.told.and_then(|told| D::Address::of(told.seen));
        let one = seen.filter(|seen| locals.contains(seen)).map(|seen| [seen]);
        search.run(one.as_ref().map_or(locals, |one| one))
    }
}

impl<'a, C: Pair<D>, D: Tuple> Search<'a, '_, C, D>
where
    D::Address: LocalAddress,
{
    fn run(mut self, locals: &[D::Address]) -> Result<&'a Conn, NoConnection> {
        let (live, dest) = (self.live, self.flow.dest);
        let (ranges, known) = (live.settings.local_ports(), dest.ports());
        let addresses = u32::try_from(locals.len()).unwrap_or(u32::MAX);
        let pool = self.pool(addresses, ranges);
        if !known.is_full(pool) {
            let pairs = addresses.saturating_mul(ranges.count());
            if let Some(conn) = self.find(locals, pairs, ranges)? {
                known.found();
                return Ok(conn);
            }
            known.lacking(self.looked, pool, pairs);
        }
        live.exhausted(dest, addresses > 0);
        Err(NoConnection::Port)
    }

    /// Tries candidates; none when all have a connection.
    fn find(&mut self, locals: &[D::Address], pairs: u32, ports: PortRange) -> Attempt<'a> {
        let dest = self.flow.dest;
        let used = dest.active().saturating_add(dest.inactive());
        let tries = portpool::tries(pairs, used);
        let addresses = u32::try_from(locals.len()).unwrap_or(u32::MAX);
        for (number, port) in Candidates::new(self.order(), addresses, ports, tries) {
            let Some(local) = locals.get(number) else {
                break;
            };
            if self.looked == FEW {
                if let Some(conn) = self.second_choice(locals, ports)? {
                    return Ok(Some(conn));
                }
            }
            match self.attempt(*local, port)? {
                None if self.races < RACES => {}
                attempt => return Ok(attempt),
            }
        }
        self.take_over(0)
    }

    /// What the order of candidates depends on: the flow, the real server, and, so that who asks
    /// again in vain is not told the same, how many look-ups have been.
    fn order(&self) -> u64 {
        let (live, dest) = (self.live, self.flow.dest);
        let flow = live.connections.long_hash(&self.flow.tuple);
        let in_vain = u64::from(dest.ports().in_vain()) << 32;
        let real_server = u64::from(folded(dest.id().address));
        hash::word(&live.sequence_key, flow ^ real_server ^ in_vain)
    }

    /// Number of the pool that candidates are of: one for each port that clients may ask for, and
    /// another when it has changed.
    fn pool(&self, addresses: u32, ports: PortRange) -> u32 {
        let protocol = self.flow.tuple.protocol();
        let words = [
            (u64::from(addresses) << 32)
                | (u64::from(self.real_server.1) << 8)
                | u64::from(protocol),
            (u64::from(ports.first) << 16) | u64::from(ports.last),
        ];
        hash::words(&self.live.sequence_key, words) as u32
    }

    /// When some candidates had connections: the port of one that has been over for a while, or one
    /// that has become free.
    fn second_choice(&mut self, locals: &[D::Address], ports: PortRange) -> Attempt<'a> {
        if let Some(conn) = self.take_over(SETTLED)? {
            return Ok(Some(conn));
        }
        let dest = self.flow.dest;
        for place in dest.ports().take_freed() {
            let port = place.port();
            let is_there = |local: &&D::Address| Place::new(local.folded(), port) == place;
            let Some(local) = locals.iter().find(is_there) else {
                continue;
            };
            if !(ports.first..=ports.last).contains(&port) {
                continue;
            }
            if let Some(conn) = self.attempt(*local, port)? {
                return Ok(Some(conn));
            }
        }
        Ok(None)
    }

    /// Makes a connection from there, if no other is.
    fn attempt(&mut self, local: D::Address, port: u16) -> Attempt<'a> {
        let live = self.live;
        let protocol = self.flow.tuple.protocol();
        let key = D::between(self.real_server, (local, port), protocol);
        let hash = live.connections.hash(&key);
        self.looked = self.looked.wrapping_add(1);
        if let Some((conn, side)) = live.connections.lookup(&key, hash, self.rcu) {
            if side == Side::Dest {
                self.note(conn, (key, hash));
            }
            return Ok(None);
        }
        if self.is_of_a_program(&key) {
            return Ok(None);
        }
        let attempt = self.insert(key, hash);
        if let Ok(None) = attempt {
            self.races = self.races.wrapping_add(1);
        }
        attempt
    }

    /// Whether a program of this host has a socket that the dest's packets with that tuple are for.
    fn is_of_a_program(&self, key: &D) -> bool {
        let way = self.flow.dest.way(self.rcu);
        let device = way.map(NextHop::device);
        let ends = (key.source(), key.destination());
        socket::is_there(self.live.net(), key.protocol(), ends, device, self.rcu)
    }

    /// Remembers a connection that has a candidate, if it is over.
    fn note(&mut self, conn: &'a Conn, key: (D, u32)) {
        let is_tcp = self.flow.tuple.protocol() == TCP;
        let Some(since) = conn.over_for(is_tcp, &self.live.settings) else {
            return;
        };
        if self.over.is_none_or(|(longest, ..)| since > longest) {
            self.over = Some((since, conn, key));
        }
    }

    /// Ends the connection that has been over for longest, if that is so many ticks, and takes its
    /// port.
    fn take_over(&mut self, least: u32) -> Attempt<'a> {
        match self.over {
            Some((since, conn, (key, hash))) if since >= least => {
                self.over = None;
                self.live.disconnect(conn, self.rcu);
                self.insert(key, hash)
            }
            _ => Ok(None),
        }
    }

    fn insert(&self, key: D, hash: u32) -> Attempt<'a> {
        let flow = self.flow;
        let keys = NatKeys {
            dest: (key, hash),
            deltas: Deltas::new(&flow.tuple, &key.reversed()),
            shift: self.live.shift(&key, flow.opening.as_ref()),
            stage: self.stage,
            helped: flow.is_helped() && C::VERSION == D::VERSION,
            toa_kind: self.toa_kind,
        };
        self.live.insert_translated(flow, keys, self.rcu)
    }
}

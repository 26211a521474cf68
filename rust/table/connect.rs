// SPDX-License-Identifier: GPL-2.0

//! Making connections and their keys.

use core::ptr::NonNull;

use kernel::sync::Arc;

use super::{
    connections::{Conn, Inserted, NatKeys, Pair, Single, Stage},
    dest::Dest,
    expected::ToldOf,
    live::Live,
    local::LocalAddress,
    schedule::Schedule,
};
use crate::{
    engine::{
        family::{Address, Tuple},
        hash,
        helper::Helper,
        proto::State,
        rewrite::Deltas,
        seqadj::{Opening, Shift},
        spec::{Mode, TOA_INHERITED},
        tuple::{TupleV4, TupleV6},
        uoa,
        wire::{SCTP, TCP, UDP},
    },
    kapi::{broken::broken, rcu::Rcu, time, trace},
};

/// A flow that gets a connection.
pub(crate) struct NewFlow<'a, T> {
    /// Tuple of its packets.
    pub(crate) tuple: T,
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
    /// Where another connection has told of it.
    pub(crate) told: Option<ToldOf>,
}

impl<T: Tuple> NewFlow<'_, T> {
    /// The port that it goes to.
    pub(super) fn dest_port(&self) -> u16 {
        let port = || self.dest.port(self.tuple.dport());
        self.told.map_or_else(port, |told| told.port)
    }

    /// Whether a helper follows it: what it tells of does not tell of others.
    pub(super) fn is_helped(&self) -> bool {
        let is_told_of = self.told.is_some();
        self.schedule.helper() != Helper::Off && self.tuple.protocol() == TCP && !is_told_of
    }

    /// Address of its dest, whose family is known.
    pub(super) fn real_server<A: Address>(&self) -> Result<A, NoConnection> {
        A::of(self.dest.id().address).ok_or_else(|| {
            broken!(c"a dest is of another family than its service allows");
            NoConnection::Port
        })
    }
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

/// What becomes of an attempt at a connection: none where the dest's key is taken.
pub(super) type Attempt<'a> = Result<Option<&'a Conn>, NoConnection>;

/// A family whose flows get connections.
pub(crate) trait Connect: Single {
    /// Makes a connection with a dest whose packets come back here under another tuple.
    fn connect_translated<'a>(
        live: &Live,
        flow: &NewFlow<'_, Self>,
        mode: Mode,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection>;
}

impl Connect for TupleV4 {
    fn connect_translated<'a>(
        live: &Live,
        flow: &NewFlow<'_, Self>,
        mode: Mode,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        live.connect_alike(flow, mode, rcu)
    }
}

impl Connect for TupleV6 {
    fn connect_translated<'a>(
        live: &Live,
        flow: &NewFlow<'_, Self>,
        mode: Mode,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        if flow.dest.id().address.is_ipv6() {
            return live.connect_alike(flow, mode, rcu);
        }
        live.connect_locally::<_, TupleV4>(flow, rcu)
    }
}

impl Live {
    /// Makes a connection, or finds the one that another CPU has made.
    pub(crate) fn connect<'a, T: Connect>(
        &self,
        flow: &NewFlow<'_, T>,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection> {
        let mode = flow.dest.mode();
        if matches!(mode, Mode::Nat | Mode::FullNat) {
            return T::connect_translated(self, flow, mode, rcu);
        }
        let client = (flow.tuple, flow.hash);
        let conn = T::allocate_one(client, flow.state, flow.dest.clone());
        self.insert(conn, rcu)?.ok_or(NoConnection::Port)
    }

    /// As [`Connect::connect_translated`], with a dest of the client's family.
    fn connect_alike<'a, T: Pair<T>>(
        &self,
        flow: &NewFlow<'_, T>,
        mode: Mode,
        rcu: Rcu<'a>,
    ) -> Result<&'a Conn, NoConnection>
    where
        T::Address: LocalAddress,
    {
        if mode == Mode::FullNat {
            return self.connect_locally::<_, T>(flow, rcu);
        }
        let tuple = &flow.tuple;
        let address = flow.real_server()?;
        let client = (tuple.src(), tuple.sport());
        let key = T::between((address, flow.dest_port()), client, tuple.protocol());
        let keys = NatKeys {
            dest: (key, self.connections.hash(&key)),
            deltas: Deltas::new(tuple, &key.reversed()),
            shift: Shift::NONE,
            stage: match tuple.protocol() {
                SCTP => Stage::Chunks,
                _ => datagrams(flow),
            },
            helped: flow.is_helped(),
            toa_kind: 0,
        };
        self.insert_translated(flow, keys, rcu)?
            .ok_or(NoConnection::Port)
    }

    /// How to move a connection whose dest's packets carry `key`: to an initial sequence number
    /// as of RFC 6528, whose clock ticks every 64 ns as the kernel's does, and to timestamps in
    /// milliseconds. Both are ahead of what the last connection with the same key had, by how much
    /// nobody can tell to the last bits: SYN cookies of that one are of no use here.
    pub(super) fn shift(&self, key: &impl Tuple, opening: Option<&Opening>) -> Shift {
        let Some(opening) = opening else {
            return Shift::NONE;
        };
        let secret = key.hash(&self.sequence_key);
        let now = time::nanoseconds();
        let noise = hash::word(&self.sequence_key, now) as u16;
        let sequence = (secret as u32)
            .wrapping_add((now >> 6) as u32)
            .wrapping_add(noise.into());
        let timestamp = ((secret >> 32) as u32).wrapping_add((now / 1_000_000) as u32);
        Shift::new(opening, sequence, timestamp)
    }

    /// How a new connection's packets are treated, and in which option they tell the client's
    /// address.
    pub(super) fn stage<C: Pair<D>, D: Tuple>(&self, flow: &NewFlow<'_, C>) -> (Stage, u8) {
        if flow.tuple.protocol() == SCTP {
            return (Stage::Chunks, 0);
        }
        if flow.state == State::Listen {
            // It is the dest that opens it.
            return (Stage::Told, 0);
        }
        let kind = flow.schedule.toa();
        if flow.tuple.protocol() == UDP {
            // Headers have room for addresses of their family.
            let tells = kind == uoa::KIND && C::VERSION == D::VERSION;
            let stage = if tells {
                Stage::Datagrams
            } else {
                datagrams(flow)
            };
            return (stage, kind);
        }
        match (kind, self.settings.toa_kind()) {
            (0, _) | (TOA_INHERITED | uoa::KIND, 0) => (Stage::Told, 0),
            (TOA_INHERITED | uoa::KIND, kind) | (kind, _) => (Stage::Opening, kind),
        }
    }

    pub(super) fn insert_translated<'a, C: Pair<D>, D: Tuple>(
        &self,
        flow: &NewFlow<'_, C>,
        keys: NatKeys<D>,
        rcu: Rcu<'a>,
    ) -> Attempt<'a> {
        let client = (flow.tuple, flow.hash);
        self.insert(
            C::allocate(client, keys, flow.state, flow.dest.clone()),
            rcu,
        )
    }

    /// Puts a new connection in the table.
    fn insert<'a>(&self, conn: Option<NonNull<Conn>>, rcu: Rcu<'a>) -> Attempt<'a> {
        let conn = conn.ok_or(NoConnection::Memory)?;
        Ok(match self.connections.insert(conn, true, rcu) {
            Inserted::Taken => None,
            Inserted::Existing(conn) => Some(conn),
            Inserted::New(conn) => {
                self.has_begun(conn, rcu);
                self.has_changed(conn, rcu);
                Some(conn)
            }
        })
    }

    /// A connection is in the table.
    pub(super) fn has_begun(&self, conn: &Conn, rcu: Rcu<'_>) {
        trace::new_flow(self.net(), || conn.traced(conn.state()));
        match self.connections.is_crowded(rcu) {
            true => self.waking.hurry(),
            false => self.waking.wake(),
        }
    }
}

/// How packets are treated that tell nobody of the client: the first answer to a datagram is looked
/// for, as a dest that answers nobody is counted, and clients stay with one that does. TCP has states
/// that say when it came.
fn datagrams<T: Tuple>(flow: &NewFlow<'_, T>) -> Stage {
    if flow.tuple.protocol() == UDP {
        Stage::Unheard
    } else {
        Stage::Untouched
    }
}

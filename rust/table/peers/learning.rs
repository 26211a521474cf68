// SPDX-License-Identifier: GPL-2.0

//! Taking what other directors tell into the table.

use core::{net::SocketAddr, ptr::NonNull};

use kernel::sync::Arc;

use super::{
    super::{
        config::ConfigGuard,
        connections::{Conn, Inserted, NatKeys, Pair, Single, Stage},
        dest::Dest,
        netns::Netns,
    },
    counts::PeerCount,
};
use crate::{
    engine::{
        family::{Address, Tuple},
        rewrite::Deltas,
        seqadj::Shift,
        spec::{validate_toa_kind, Mode},
        sync::{Connection, Datagram, Own, Told},
        tuple::{TupleV4, TupleV6},
        wire::{SCTP, TCP},
    },
    kapi::{rcu::Rcu, trace::End},
};

/// The dest of a connection, and whether a helper follows that.
type To<'a> = (&'a Arc<Dest>, bool);

impl Netns {
    /// Takes what a datagram tells; of hearsay what is not known here. May sleep.
    #[inline(never)] // Entries take room.
    pub(crate) fn learn(&self, datagram: &Datagram<'_>, is_hearsay: bool) {
        let counts = &self.peers.counts;
        let mut config = self.config();
        for entry in datagram.entries() {
            match entry.and_then(|entry| Told::of(&entry)) {
                Ok(Told::Connection(told)) => {
                    counts.count(self.learn_connection(&mut config, &told, is_hearsay))
                }
                Ok(Told::Template(told)) => counts.count(config.learn_template(&told)),
                Err(fault) => counts.fault(fault),
            }
        }
    }

    fn learn_connection(
        &self,
        config: &mut ConfigGuard<'_>,
        told: &Connection,
        is_hearsay: bool,
    ) -> PeerCount {
        if told.client.is_ipv6() {
            self.learn_of::<TupleV6>(config, told, is_hearsay)
        } else {
            self.learn_of::<TupleV4>(config, told, is_hearsay)
        }
    }

    fn learn_of<T>(
        &self,
        config: &mut ConfigGuard<'_>,
        told: &Connection,
        is_hearsay: bool,
    ) -> PeerCount
    where
        T: Learn,
    {
        let protocol = told.protocol.number();
        let (Some(client), Some(virtual_address)) =
            (end::<T>(told.client), end::<T>(told.virtual_address))
        else {
            return PeerCount::Misfit;
        };
        let tuple = T::between(client, virtual_address, protocol);
        let hash = self.connections.hash(&tuple);
        let guard = kernel::sync::rcu::read_lock();
        let rcu = Rcu::of(&guard);
        let there = self.connections.lookup(&tuple, hash, rcu);
        if let Some((conn, _)) = there {
            let ours = conn.client_ends().client == told.client;
            if told.ended {
                return self.end_told(conn, told, rcu);
            }
            if is_hearsay {
                return PeerCount::Known;
            }
            let stays = || !conn.dest().is_gone() || config.present_dest(told).is_none();
            let is_that = conn.is_of(told) && conn.leads_to(told.dest);
            if !ours || (!is_that && told.inactive) {
                // The end of one that was replaced since.
                return PeerCount::Known;
            }
            if is_that && stays() {
                return match conn.take(told, &self.settings) {
                    true => PeerCount::Updated,
                    false => PeerCount::Known,
                };
            }
            self.connections.remove(conn, End::Replaced, rcu);
        }
        drop(guard);
        if told.ended {
            return PeerCount::Known;
        }
        if self.is_full() {
            return PeerCount::Full;
        }
        let dest = match config.dest_of(told) {
            Ok(dest) => dest,
            Err(why) => return why,
        };
        let helped = config.is_helped(&dest, told);
        let local = told.own.map(|own| own.local.ip());
        if local.is_some_and(|local| config.expect_answers(&dest, local).is_err()) {
            return PeerCount::Full;
        }
        T::begin(self, (tuple, hash), told, (&dest, helped))
    }

    /// One has ended there: so it does here, where it is that one and nothing is known better.
    fn end_told(&self, conn: &Conn, told: &Connection, rcu: Rcu<'_>) -> PeerCount {
        let is_that = conn.is_of(told) && conn.leads_to(told.dest);
        if !is_that || !conn.memo().is_of_others(conn.seen()) {
            return PeerCount::Known;
        }
        self.connections.remove(conn, End::Ended, rcu);
        PeerCount::Updated
    }

    /// Makes a connection that was told, of a client of IPv6 and a dest of IPv4.
    #[inline(never)]
    fn begin_crossing(
        &self,
        client: (TupleV6, u32),
        told: &Connection,
        dest: &Arc<Dest>,
    ) -> PeerCount {
        let protocol = told.protocol.number();
        let (Mode::FullNat, Some(own)) = (dest.mode(), &told.own) else {
            return PeerCount::Misfit;
        };
        let (Some(there), Some(local)) = (end::<TupleV4>(told.dest), end::<TupleV4>(own.local))
        else {
            return PeerCount::Misfit;
        };
        let key = TupleV4::between(there, local, protocol);
        // Of a helper that knows addresses of one family.
        let keys = self.keys(&client.0, key, Some(own), false);
        let charge = self.charge();
        let made = <TupleV6 as Pair<TupleV4>>::allocate(client, keys, told.state, dest.clone());
        drop(charge);
        match made {
            Some(conn) => self.insert_told(conn, told),
            None => PeerCount::Full,
        }
    }

    fn keys<D: Tuple>(
        &self,
        client: &impl Tuple,
        key: D,
        own: Option<&Own>,
        helped: bool,
    ) -> NatKeys<D> {
        let (stage, toa_kind) = stage(key.protocol(), own);
        let shift = |own: &Own| Shift::of_words([own.sequence, own.timestamps]);
        NatKeys {
            dest: (key, self.connections.hash(&key)),
            deltas: Deltas::new(client, &key.reversed()),
            shift: own.map_or(Shift::NONE, shift),
            stage,
            helped,
            toa_kind,
        }
    }

    /// Makes a connection that was told.
    fn begin_told<T>(
        &self,
        client: (T, u32),
        told: &Connection,
        (dest, helped): To<'_>,
    ) -> PeerCount
    where
        T: Pair<T> + Single,
    {
        let charge = self.charge();
        let made = match self.keys_of(&client.0, told, (dest, helped)) {
            Some(Some(keys)) => T::allocate(client, keys, told.state, dest.clone()),
            Some(None) => T::allocate_one(client, told.state, dest.clone()),
            None => return PeerCount::Misfit,
        };
        drop(charge);
        match made {
            Some(conn) => self.insert_told(conn, told),
            None => PeerCount::Full,
        }
    }

    fn insert_told(&self, conn: NonNull<Conn>, told: &Connection) -> PeerCount {
        let guard = kernel::sync::rcu::read_lock();
        let rcu = Rcu::of(&guard);
        match self.connections.insert(conn, false, rcu) {
            Inserted::New(conn) => {
                conn.begin_as(told, &self.settings);
                self.has_begun(conn, rcu);
                PeerCount::Learned
            }
            // A packet was faster, or the dest has another from the same port.
            _ => PeerCount::Known,
        }
    }

    /// The keys that it has besides the client's: none where its dest's packets do not come by. Not
    /// even that where its dest takes packets in another way than is told.
    fn keys_of<T: Tuple>(
        &self,
        tuple: &T,
        told: &Connection,
        (dest, helped): (&Dest, bool),
    ) -> Option<Option<NatKeys<T>>> {
        let (local, own) = match (dest.mode(), &told.own) {
            (Mode::FullNat, Some(own)) => (end::<T>(own.local)?, Some(own)),
            (Mode::Nat, None) => ((tuple.src(), tuple.sport()), None),
            (Mode::Dr | Mode::Tun | Mode::Local, None) => return Some(None),
            _ => return None,
        };
        let key = T::between(end::<T>(told.dest)?, local, tuple.protocol());
        Some(Some(self.keys(tuple, key, own, helped)))
    }
}

/// A family whose connections are taken from others.
trait Learn: Pair<Self> + Single {
    /// Makes one that was told.
    fn begin(netns: &Netns, client: (Self, u32), told: &Connection, to: To<'_>) -> PeerCount;
}

impl Learn for TupleV4 {
    fn begin(netns: &Netns, client: (Self, u32), told: &Connection, to: To<'_>) -> PeerCount {
        netns.begin_told(client, told, to)
    }
}

impl Learn for TupleV6 {
    fn begin(netns: &Netns, client: (Self, u32), told: &Connection, to: To<'_>) -> PeerCount {
        match told.dest.is_ipv4() {
            true => netns.begin_crossing(client, told, to.0),
            false => netns.begin_told(client, told, to),
        }
    }
}

/// How its packets are treated: as far as the other director was.
fn stage(protocol: u8, own: Option<&Own>) -> (Stage, u8) {
    match (protocol, own) {
        (SCTP, _) => (Stage::Chunks, 0),
        (TCP, Some(own)) => match validate_toa_kind(own.toa_kind) {
            Ok(()) if own.toa_kind != 0 => (Stage::of_peer(own.stage), own.toa_kind),
            _ => (Stage::Told, 0),
        },
        // The sweep has datagrams tell the client's address again.
        (_, own) => (Stage::Untouched, own.map_or(0, |own| own.toa_kind)),
    }
}

/// An end, of this family.
fn end<T: Tuple>(end: SocketAddr) -> Option<(T::Address, u16)> {
    Some((T::Address::of(end.ip())?, end.port()))
}

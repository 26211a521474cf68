// SPDX-License-Identifier: GPL-2.0

//! Making a namespace's connections again of what was recorded of them.

use core::{net::SocketAddr, ptr::NonNull};

use kernel::sync::Arc;

use super::{
    config::ConfigGuard,
    connections::{Conn, Inserted, NatKeys, Pair, Single, Stage},
    dest::Dest,
    netns::Netns,
};
use crate::{
    engine::{
        family::{Address, Tuple},
        record::{Connection, Ends, Record},
        rewrite::Deltas,
        seqadj::Shift,
        spec::Mode,
        tuple::{TupleV4, TupleV6},
    },
    kapi::rcu::Rcu,
};

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Restored {
    /// It is there again.
    New,
    /// So it is, but waits for its dest, which is not configured.
    Held,
    /// It was there: packets have come meanwhile, or its dest has another from the same port.
    Known,
    /// There was no room for it (`conn-max`), or no memory.
    Full,
    /// Its dest takes packets in another way, or what it is about is not there.
    Misfit,
}

/// How many of the above there are.
pub(crate) const RESTORED: usize = Restored::Misfit as usize + 1;

impl Netns {
    /// Makes again what a record is of. May sleep.
    pub(crate) fn restore(&self, config: &mut ConfigGuard<'_>, record: &Record<'_>) -> Restored {
        match record {
            Record::Connection(connection) => self.restore_connection(config, connection),
            Record::Template(template) => config.restore_template(template),
            Record::Counts(counts) => config.add_counts(counts),
        }
    }

    #[inline(never)] // For the frame of who calls it.
    fn restore_connection(&self, config: &mut ConfigGuard<'_>, record: &Connection) -> Restored {
        if self.is_full() {
            return Restored::Full;
        }
        let id = (record.service, record.dest);
        let Some((dest, is_held)) = config.dest_of_record(id, record.mode) else {
            return Restored::Full;
        };
        let translates = matches!(dest.mode(), Mode::Nat | Mode::FullNat);
        if translates != record.ends.is_some() {
            return Restored::Misfit;
        }
        let local = record.ends.as_ref().map(|ends| ends.local.ip());
        if local.is_some_and(|local| config.expect_answers(&dest, local).is_err()) {
            return Restored::Full;
        }
        let made = match (record.client.is_ipv6(), id.1.address.is_ipv6()) {
            (false, _) => self.again::<TupleV4, TupleV4>(record, &dest),
            (true, true) => self.again::<TupleV6, TupleV6>(record, &dest),
            (true, false) => self.again::<TupleV6, TupleV4>(record, &dest),
        };
        match made {
            Restored::New if is_held => Restored::Held,
            made => made,
        }
    }

    fn again<C, D>(&self, record: &Connection, dest: &Arc<Dest>) -> Restored
    where
        C: Pair<D> + Single,
        D: Tuple,
    {
        let (Some(client), Some(virtual_address)) =
            (end::<C>(record.client), end::<C>(record.virtual_address))
        else {
            return Restored::Misfit;
        };
        let tuple = C::between(client, virtual_address, record.protocol.number());
        let client = (tuple, self.connections.hash(&tuple));
        let charge = self.charge();
        let made = match &record.ends {
            None => C::allocate_one(client, record.state, dest.clone()),
            Some(ends) => {
                let Some(keys) = self.keys_again::<C, D>(&tuple, ends) else {
                    return Restored::Misfit;
                };
                C::allocate(client, keys, record.state, dest.clone())
            }
        };
        drop(charge);
        match made {
            Some(made) => self.put_again(made, record),
            None => Restored::Full,
        }
    }

    fn keys_again<C: Tuple, D: Tuple>(&self, client: &C, ends: &Ends) -> Option<NatKeys<D>> {
        let (dest, local) = (end::<D>(ends.dest)?, end::<D>(ends.local)?);
        let key = D::between(dest, local, client.protocol());
        let (stage, helped) = Stage::of_record(ends.stage);
        Some(NatKeys {
            dest: (key, self.connections.hash(&key)),
            deltas: Deltas::new(client, &key.reversed()),
            shift: Shift::of_words(ends.shift),
            stage,
            helped,
            toa_kind: ends.toa_kind,
        })
    }

    fn put_again(&self, made: NonNull<Conn>, record: &Connection) -> Restored {
        let guard = kernel::sync::rcu::read_lock();
        let rcu = Rcu::of(&guard);
        match self.connections.insert(made, false, rcu) {
            Inserted::New(conn) => {
                conn.begin_again(record);
                self.has_begun(conn, rcu);
                Restored::New
            }
            _ => Restored::Known,
        }
    }
}

/// An end, of this family.
fn end<T: Tuple>(end: SocketAddr) -> Option<(T::Address, u16)> {
    Some((T::Address::of(end.ip())?, end.port()))
}

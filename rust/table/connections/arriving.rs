// SPDX-License-Identifier: GPL-2.0

//! A third key of connections on the fast lane that the host's source NAT has changed: what their dests'
//! packets carry before connection tracking has changed them back.

use core::{ptr::NonNull, sync::atomic::Ordering};

use super::{
    conn::Conn,
    lane::Renamed,
    node::{Side, ARRIVING},
    table::Connections,
};
use crate::{engine::family::Tuple, kapi::rcu::Rcu};

impl Connections {
    /// The connection of a dest's packet that is as the host's source NAT has it.
    #[inline(always)]
    pub(crate) fn lookup_arriving<'a, T: Tuple>(
        &self,
        tuple: &T,
        hash: u32,
        rcu: Rcu<'a>,
    ) -> Option<(&'a Conn, Side)> {
        self.lookup_kind::<ARRIVING>(tuple, hash, rcu)
    }

    /// The host's source NAT has its dest's packets carry `tuple` as they arrive. False where they did
    /// not, or another connection's do.
    #[cold]
    pub(crate) fn rename<T: Tuple>(&self, conn: &Conn, tuple: T, rcu: Rcu<'_>) -> bool {
        let (Some(lane), Some(nat)) = (conn.nat_lane::<T>(), conn.nat::<T>()) else {
            return false;
        };
        if let Some(renamed) = lane.renamed.get() {
            return renamed.key.tuple == tuple;
        }
        let hash = self.hash(&tuple);
        let _guard = self.locks.lock(hash);
        let taken = self.lookup_arriving(&tuple, hash, rcu);
        if taken.is_some_and(|(other, _)| !other.is_ended()) {
            return false;
        }
        let renamed = Renamed::new(nat, (tuple, hash));
        let Some(renamed) = lane.renamed.fill(renamed) else {
            return false;
        };
        let current = self.current(rcu);
        let newest = current.future(rcu).unwrap_or(current);
        newest.push(NonNull::from(&renamed.key.node));
        self.changing.nodes.fetch_add(1, Ordering::Relaxed);
        self.changing.renamed.store(true, Ordering::Relaxed);
        true
    }

    /// Takes the node out that the dest's packets of a connection find it by as they arrive, after it was
    /// taken from the table and a grace period has passed. False where there is none.
    pub(super) fn take_arriving(&self, conn: &Conn) -> bool {
        let Some(node) = conn.arriving() else {
            return false;
        };
        let guard = kernel::sync::rcu::read_lock();
        let _stripe = self.locks.lock(node.hash());
        self.unlink(node, Rcu::of(&guard));
        true
    }
}

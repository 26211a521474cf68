// SPDX-License-Identifier: GPL-2.0

//! The connections of a namespace: one table, read under RCU without locks or counts.
//!
//! Readers walk a chain of nodes. Writers hold the stripe of [`StripedLock`] that the
//! hash selects; tables have at least as many buckets as there are stripes, so one stripe covers a
//! hash's bucket in every table. A connection is freed by the namespace's worker, a grace period
//! after it was taken out.
//!
//! [`StripedLock`]: crate::kapi::lock::StripedLock

mod account;
mod arriving;
mod buckets;
mod census;
mod conn;
mod lane;
mod nat;
mod node;
mod peers;
mod record;
mod resize;
mod slab;
mod sweep;
mod table;
mod view;
mod whole;

pub(crate) use self::{
    account::Account,
    conn::Conn,
    lane::{Lane, Renamed},
    nat::{NatConn, NatKeys, Stage},
    node::Side,
    slab::{caches, need_accounts, need_lanes, need_slabs, Caches, Pair, Single},
    table::Connections,
    view::{ConnCursor, ConnView},
};
pub(super) use self::{
    peers::{BriefOf, FullNatOf},
    table::{Inserted, BATCH},
};

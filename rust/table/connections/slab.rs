// SPDX-License-Identifier: GPL-2.0

//! Where connections are made and freed: a slab for each layout.

use core::ptr::NonNull;

use kernel::{prelude::*, sync::Arc};

use super::{
    super::dest::Dest,
    conn::{Conn, Layout, OneKey},
    nat::{NatConn, NatKeys},
    node::{Key, CLIENT_OFFSET},
};
use crate::{
    engine::{
        family::Tuple,
        proto::State,
        tuple::{TupleV4, TupleV6},
    },
    kapi::slab::{CacheHandle, StaticCache},
};

/// A slab of connections.
trait Slab: Sized + Send + 'static {
    /// What a [`Conn`] that is the first part of one says.
    const LAYOUT: Layout;

    fn cache() -> &'static StaticCache<Self>;

    /// Gives its first part to the slab, with the rest. None when there is no memory.
    fn place(self, state: State) -> Option<NonNull<Conn>> {
        match Self::cache().alloc(self) {
            Ok(placed) => Some(placed.cast()),
            Err(unplaced) => {
                unplaced.into_dest().connection_ends(state);
                None
            }
        }
    }

    fn into_dest(self) -> Arc<Dest>;
}

macro_rules! slab {
    ($type:ty, $layout:ident, $name:ident) => {
        static $name: StaticCache<$type> = StaticCache::new();

        impl Slab for $type {
            const LAYOUT: Layout = Layout::$layout;

            fn cache() -> &'static StaticCache<Self> {
                &$name
            }

            fn into_dest(self) -> Arc<Dest> {
                self.conn.dest
            }
        }
    };
}

slab!(OneKey<TupleV4>, OneV4, ONE_V4);
slab!(OneKey<TupleV6>, OneV6, ONE_V6);
slab!(NatConn<TupleV4>, NatV4, NAT_V4);
slab!(NatConn<TupleV6>, NatV6, NAT_V6);
slab!(NatConn<TupleV6, TupleV4>, Nat64, NAT_64);

/// The slabs of connections.
pub(crate) struct Caches {
    _one_v4: CacheHandle<OneKey<TupleV4>>,
    _one_v6: CacheHandle<OneKey<TupleV6>>,
    _nat_v4: CacheHandle<NatConn<TupleV4>>,
    _nat_v6: CacheHandle<NatConn<TupleV6>>,
    _nat_64: CacheHandle<NatConn<TupleV6, TupleV4>>,
}

/// Makes the slabs of connections, for as long as the handle lives.
pub(crate) fn create_caches() -> Result<Caches> {
    Ok(Caches {
        _one_v4: ONE_V4.create(c"rvs_conn")?,
        _one_v6: ONE_V6.create(c"rvs_conn_v6")?,
        _nat_v4: NAT_V4.create(c"rvs_conn_nat")?,
        _nat_v6: NAT_V6.create(c"rvs_conn_nat_v6")?,
        _nat_64: NAT_64.create(c"rvs_conn_nat64")?,
    })
}

/// A pair of families, of client and dest, that there are connections between.
pub(crate) trait Pair<D: Tuple>: Tuple {
    /// A new connection from the slab, in no table yet; none when there is no memory.
    fn allocate(
        client: (Self, u32),
        keys: NatKeys<D>,
        state: State,
        dest: Arc<Dest>,
    ) -> Option<NonNull<Conn>>;
}

impl<C: Tuple, D: Tuple> Pair<D> for C
where
    NatConn<C, D>: Slab,
{
    fn allocate(
        client: (Self, u32),
        keys: NatKeys<D>,
        state: State,
        dest: Arc<Dest>,
    ) -> Option<NonNull<Conn>> {
        let first = Conn::new(NatConn::<C, D>::LAYOUT, state, dest);
        let conn = NatConn::new(first, client, keys);
        conn.place(state)
    }
}

/// A family that there are connections of without a key of the dest.
pub(crate) trait Single: Tuple {
    /// A new connection from the slab, in no table yet; none when there is no memory.
    fn allocate_one(client: (Self, u32), state: State, dest: Arc<Dest>) -> Option<NonNull<Conn>>;
}

impl<T: Tuple> Single for T
where
    OneKey<T>: Slab,
{
    fn allocate_one(client: (Self, u32), state: State, dest: Arc<Dest>) -> Option<NonNull<Conn>> {
        let conn = OneKey {
            conn: Conn::new(OneKey::<T>::LAYOUT, state, dest),
            client: Key::new(client, CLIENT_OFFSET),
        };
        conn.place(state)
    }
}

/// Gives a connection back to the slab.
///
/// # Safety
///
/// It came from [`Pair::allocate`] or [`Single::allocate_one`], is in no table and known to nobody
/// else.
pub(super) unsafe fn free(conn: NonNull<Conn>) {
    // SAFETY: Nobody else knows it, says the caller.
    let this = unsafe { conn.as_ref() };
    if let Some(last) = this.end() {
        this.dest().connection_ends(last);
    }
    // SAFETY: As above, and the layout says what it is the first part of.
    unsafe {
        match this.layout {
            Layout::OneV4 => ONE_V4.free(conn.cast()),
            Layout::OneV6 => ONE_V6.free(conn.cast()),
            Layout::NatV4 => NAT_V4.free(conn.cast()),
            Layout::NatV6 => NAT_V6.free(conn.cast()),
            Layout::Nat64 => NAT_64.free(conn.cast()),
        }
    }
}

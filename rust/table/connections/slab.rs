// SPDX-License-Identifier: GPL-2.0

//! Where connections are made and freed: a slab for each layout.

use core::ptr::NonNull;

use kernel::{prelude::*, sync::Arc};

use super::{
    super::dest::Dest,
    account::Accounted,
    conn::{Conn, Layout, OneKey},
    lane::{Lane, Laned, NatLane},
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

    /// The lane behind those that have one.
    type Lane: Default + Send;

    /// Where those are that have one.
    fn laned_cache() -> &'static StaticCache<Laned<Self, Self::Lane>>;

    /// Where those are that have an account.
    fn accounted_cache() -> &'static StaticCache<Accounted<Self>>;

    /// Gives its first part to the slab, with the rest. None when there is no memory.
    fn place(self, state: State) -> Option<NonNull<Conn>> {
        let placed = if self.first().is_laned() {
            self.place_laned()
        } else if self.first().is_accounted() {
            self.place_accounted()
        } else {
            Self::cache().alloc(self).map(NonNull::cast)
        };
        match placed {
            Ok(placed) => Some(placed),
            Err(unplaced) => {
                unplaced.into_dest().connection_ends(state);
                None
            }
        }
    }

    #[inline(never)] // For the frame of the others.
    fn place_accounted(self) -> Result<NonNull<Conn>, Self> {
        match Self::accounted_cache().alloc(Accounted::new(self)) {
            Ok(placed) => Ok(placed.cast()),
            Err(unplaced) => Err(unplaced.conn),
        }
    }

    #[inline(never)] // For the frame of the others.
    fn place_laned(self) -> Result<NonNull<Conn>, Self> {
        match Self::laned_cache().alloc(Laned::new(self)) {
            Ok(placed) => Ok(placed.cast()),
            Err(unplaced) => Err(unplaced.accounted.conn),
        }
    }

    fn first(&self) -> &Conn;

    fn into_dest(self) -> Arc<Dest>;
}

macro_rules! slab {
    ($type:ty, $layout:ident, $name:ident $slabinfo:literal, $accounted:ident $slabinfo_accounted:literal,
     $laned:ident $lane:ty, $slabinfo_laned:literal) => {
        static $name: StaticCache<$type> = StaticCache::new($slabinfo);
        static $accounted: StaticCache<Accounted<$type>> = StaticCache::new($slabinfo_accounted);
        static $laned: StaticCache<Laned<$type, $lane>> = StaticCache::new($slabinfo_laned);

        impl Slab for $type {
            const LAYOUT: Layout = Layout::$layout;

            fn cache() -> &'static StaticCache<Self> {
                &$name
            }

            fn accounted_cache() -> &'static StaticCache<Accounted<Self>> {
                &$accounted
            }

            type Lane = $lane;

            fn laned_cache() -> &'static StaticCache<Laned<Self, $lane>> {
                &$laned
            }

            fn first(&self) -> &Conn {
                &self.conn
            }

            fn into_dest(self) -> Arc<Dest> {
                self.conn.dest
            }
        }
    };
}

slab!(OneKey<TupleV4>, OneV4, ONE_V4 c"rvs_conn", ONE_V4_ACCOUNTED c"rvs_conn_acct",
      ONE_V4_LANED Lane, c"rvs_conn_fast");
slab!(OneKey<TupleV6>, OneV6, ONE_V6 c"rvs_conn_v6", ONE_V6_ACCOUNTED c"rvs_conn_v6_acct",
      ONE_V6_LANED Lane, c"rvs_conn_v6_fast");
slab!(NatConn<TupleV4>, NatV4, NAT_V4 c"rvs_conn_nat", NAT_V4_ACCOUNTED c"rvs_conn_nat_acct",
      NAT_V4_LANED NatLane<TupleV4>, c"rvs_conn_nat_fast");
slab!(NatConn<TupleV6>, NatV6, NAT_V6 c"rvs_conn_nat_v6", NAT_V6_ACCOUNTED c"rvs_conn_nat_v6_acct",
      NAT_V6_LANED NatLane<TupleV6>, c"rvs_conn_nat_v6_fast");
slab!(NatConn<TupleV6, TupleV4>, Nat64, NAT_64 c"rvs_conn_nat64", NAT_64_ACCOUNTED c"rvs_conn_nat64_acct",
      NAT_64_LANED Lane, c"rvs_conn_nat64_fast");

/// Makes the slabs of connections to dests of a family, if they are not there. May sleep.
pub(crate) fn need_slabs(client_is_ipv6: bool, dest_is_ipv6: bool) -> Result {
    if !client_is_ipv6 {
        ONE_V4.need()?;
        return NAT_V4.need();
    }
    ONE_V6.need()?;
    if dest_is_ipv6 {
        NAT_V6.need()
    } else {
        NAT_64.need()
    }
}

/// Makes those of connections with accounts.
pub(crate) fn need_accounts(client_is_ipv6: bool) -> Result {
    if !client_is_ipv6 {
        ONE_V4_ACCOUNTED.need()?;
        return NAT_V4_ACCOUNTED.need();
    }
    ONE_V6_ACCOUNTED.need()?;
    NAT_V6_ACCOUNTED.need()?;
    NAT_64_ACCOUNTED.need()
}

/// Makes those of connections with lanes.
pub(crate) fn need_lanes() -> Result {
    ONE_V4_LANED.need()?;
    ONE_V6_LANED.need()?;
    NAT_V4_LANED.need()?;
    NAT_V6_LANED.need()?;
    NAT_64_LANED.need()
}

/// The slabs of connections of a layout, plain, with accounts and with lanes.
type Handles<T, L> = (
    CacheHandle<T>,
    CacheHandle<Accounted<T>>,
    CacheHandle<Laned<T, L>>,
);

/// The slabs of connections, which go with it.
pub(crate) struct Caches {
    _one_v4: Handles<OneKey<TupleV4>, Lane>,
    _one_v6: Handles<OneKey<TupleV6>, Lane>,
    _nat_v4: Handles<NatConn<TupleV4>, NatLane<TupleV4>>,
    _nat_v6: Handles<NatConn<TupleV6>, NatLane<TupleV6>>,
    _nat_64: Handles<NatConn<TupleV6, TupleV4>, Lane>,
}

/// Has the slabs of connections go with the result.
pub(crate) fn caches() -> Caches {
    Caches {
        _one_v4: handles(),
        _one_v6: handles(),
        _nat_v4: handles(),
        _nat_v6: handles(),
        _nat_64: handles(),
    }
}

fn handles<T: Slab>() -> Handles<T, T::Lane> {
    (
        T::cache().goes(),
        T::accounted_cache().goes(),
        T::laned_cache().goes(),
    )
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
            Layout::OneV4 => free_as::<OneKey<TupleV4>>(conn),
            Layout::OneV6 => free_as::<OneKey<TupleV6>>(conn),
            Layout::NatV4 => free_as::<NatConn<TupleV4>>(conn),
            Layout::NatV6 => free_as::<NatConn<TupleV6>>(conn),
            Layout::Nat64 => free_as::<NatConn<TupleV6, TupleV4>>(conn),
        }
    }
}

/// As [`free`].
///
/// # Safety
///
/// As there; it is the first part of a `T`, or of an `Accounted<T>` or a `Laned<T>` where it says so.
unsafe fn free_as<T: Slab>(conn: NonNull<Conn>) {
    // SAFETY: Nobody else knows it, says the caller.
    let (laned, accounted) = unsafe { (conn.as_ref().is_laned(), conn.as_ref().is_accounted()) };
    // SAFETY: `place` has put it there.
    unsafe {
        if laned {
            T::laned_cache().free(conn.cast());
        } else if accounted {
            T::accounted_cache().free(conn.cast());
        } else {
            T::cache().free(conn.cast());
        }
    }
}

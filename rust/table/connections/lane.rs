// SPDX-License-Identifier: GPL-2.0

//! The fast lane of a connection, in namespaces that have one beside the host's connection tracking:
//! how long packets of each side may take it, and under which addresses.
//!
//! Each side's lane is open for a moment after one of its packets went all the way, past connection
//! tracking and all rules. Nothing of the host's is held meanwhile.

use core::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    account::Accounted,
    conn::Conn,
    nat::NatConn,
    node::{Key, Node, Side, ARRIVING},
};
use crate::{
    engine::{
        family::Tuple,
        rewrite::Deltas,
        tuple::{TupleV4, TupleV6},
    },
    kapi::{
        lane::{self, Carried},
        netns::Net,
        once::Once,
        time,
    },
};

/// Ticks for which a lane is open.
const OPEN: u32 = time::HZ / 2;

/// In [`Lane::carried`]: where the number of packets is, above that of bytes. A lane is settled each time
/// it is opened, and in half a second comes less than a terabyte.
const PACKETS_SHIFT: u32 = 40;

/// A connection of any layout with its lane.
#[repr(C)]
pub(super) struct Laned<T, L> {
    pub(super) accounted: Accounted<T>,
    pub(super) lane: L,
}

/// One with two keys of one family.
pub(super) type LanedNat<T> = Laned<NatConn<T>, NatLane<T>>;

impl<T, L: Default> Laned<T, L> {
    /// A connection that begins, whose lane is closed.
    pub(super) fn new(conn: T) -> Self {
        Self {
            accounted: Accounted::new(conn),
            lane: L::default(),
        }
    }
}

/// The lane, by [`Side`] of the sender.
#[derive(Default)]
pub(crate) struct Lane {
    /// The tick until which it is open in the low half, the number of the device that packets come by
    /// in the high half.
    open: [AtomicU64; 2],
    /// What took it, of which the host's entry does not know yet.
    carried: [AtomicU64; 2],
}

impl Lane {
    /// Whether packets of `side` that come by that device may take it.
    #[inline(always)]
    pub(crate) fn is_open(&self, side: Side, device: u32) -> bool {
        let open = self.word(side).load(Ordering::Relaxed);
        let left = (open as u32).wrapping_sub(time::now());
        (open >> 32) as u32 == device && left.wrapping_sub(1) < OPEN
    }

    /// Opens it for packets of `side` that come by that device.
    pub(crate) fn open(&self, side: Side, device: u32) {
        let until = time::now().wrapping_add(OPEN);
        let word = u64::from(device) << 32 | u64::from(until);
        self.word(side).store(word, Ordering::Relaxed);
    }

    /// Closes it: what comes now is for the host to see.
    #[cold]
    pub(crate) fn close(&self) {
        let open = self.open.iter();
        open.for_each(|word| word.store(0, Ordering::Relaxed));
    }

    #[inline(always)]
    fn word(&self, side: Side) -> &AtomicU64 {
        let [client, dest] = &self.open;
        match side {
            Side::Client => client,
            Side::Dest => dest,
        }
    }

    /// Counts a packet of `side` that took it, of so many bytes from the IP header on.
    #[inline(always)]
    pub(crate) fn carries(&self, side: Side, bytes: u32) {
        let [client, dest] = &self.carried;
        let sum = match side {
            Side::Client => client,
            Side::Dest => dest,
        };
        sum.fetch_add(1 << PACKETS_SHIFT | u64::from(bytes), Ordering::Relaxed);
    }

    /// What took it since this was last asked.
    pub(crate) fn take(&self) -> Carried {
        let sums = self.carried.each_ref();
        let sums = sums.map(|sum| match sum.load(Ordering::Relaxed) {
            0 => 0,
            _ => sum.swap(0, Ordering::Relaxed),
        });
        Carried {
            packets: sums.map(|sum| sum >> PACKETS_SHIFT),
            bytes: sums.map(|sum| sum & ((1 << PACKETS_SHIFT) - 1)),
        }
    }
}

/// That of a connection whose packets the host's source NAT may change on their way to the dest.
#[repr(C)]
pub(super) struct NatLane<T> {
    pub(super) lane: Lane,
    pub(super) renamed: Once<Renamed<T>>,
}

impl<T> Default for NatLane<T> {
    fn default() -> Self {
        Self {
            lane: Lane::default(),
            renamed: Once::new(),
        }
    }
}

/// What the host's source NAT has made of a connection, once and for all.
#[repr(C)]
pub(crate) struct Renamed<T> {
    /// What the dest's packets carry as they arrive.
    pub(super) key: Key<T>,
    /// From the client's tuple to the one that the dest sees.
    deltas: Deltas,
}

impl<T: Tuple> Renamed<T> {
    /// The dest's packets of `nat` carry that tuple as they arrive.
    pub(super) fn new(nat: &NatConn<T>, (tuple, hash): (T, u32)) -> Self {
        let offset = offset_of!(LanedNat<T>, lane.renamed).wrapping_add(Once::<Self>::OFFSET);
        Self {
            key: Key::of_kind((tuple, hash), offset, ARRIVING),
            deltas: Deltas::new(&nat.client_tuple(), &tuple.reversed()),
        }
    }

    /// What a packet of `side` of that connection becomes, and the change of its checksums.
    #[inline(always)]
    pub(crate) fn translation(&self, nat: &NatConn<T>, side: Side) -> (T, Deltas) {
        match side {
            Side::Client => (self.key.tuple.reversed(), self.deltas),
            Side::Dest => (nat.client_tuple().reversed(), self.deltas.reversed()),
        }
    }
}

impl Conn {
    /// What the host's source NAT has made of it.
    #[inline(always)]
    pub(crate) fn renamed<T: Tuple>(&self) -> Option<&Renamed<T>> {
        self.nat_lane::<T>()?.renamed.get()
    }

    /// Tells the host's entry what took the lane.
    #[inline]
    pub(super) fn settle(&self, net: &Net) {
        if let Some(lane) = self.lane() {
            self.settle_lane(net, lane);
        }
    }

    #[cold]
    fn settle_lane(&self, net: &Net, lane: &Lane) {
        let carried = lane.take();
        if self.is_tracked() && !carried.is_nothing() {
            let ends = self.client_ends();
            lane::account(
                net,
                ends.protocol,
                ends.client,
                ends.virtual_address,
                &carried,
            );
        }
    }

    /// The node that its dest's packets find it by as they arrive, where the host's source NAT has
    /// changed it.
    pub(super) fn arriving(&self) -> Option<&Node> {
        let v4 = || Some(&self.renamed::<TupleV4>()?.key.node);
        let v6 = || Some(&self.renamed::<TupleV6>()?.key.node);
        v4().or_else(v6)
    }
}

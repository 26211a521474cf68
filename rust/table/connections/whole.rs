// SPDX-License-Identifier: GPL-2.0

//! What follows a connection's first part: its keys, and what a connection with two has.

use core::{net::SocketAddr, ptr};

use super::{
    super::ports::Place,
    account::{Accounted, Ledger},
    conn::{Conn, Layout, OneKey},
    lane::{Lane, Laned, LanedNat, NatLane},
    nat::{NatConn, Stage},
    node::AnyKey,
};
use crate::engine::{
    family::{Address, Tuple},
    proto::State,
    spec::Mode,
    tuple::{TupleV4, TupleV6},
};

/// A connection as its client sees it.
#[derive(Clone, Copy)]
pub(crate) struct ClientEnds {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    /// The client.
    pub(crate) client: SocketAddr,
    /// Virtual address and port.
    pub(crate) virtual_address: SocketAddr,
}

impl ClientEnds {
    fn of(tuple: &impl Tuple) -> Self {
        Self {
            protocol: tuple.protocol(),
            client: tuple.source(),
            virtual_address: tuple.destination(),
        }
    }
}

impl Conn {
    /// All of it, as a `T`.
    ///
    /// # Safety
    ///
    /// Its layout says that it is one.
    #[inline(always)]
    pub(super) unsafe fn whole<T>(&self) -> &T {
        // SAFETY: The caller vouches for it.
        unsafe { &*ptr::from_ref(self).cast::<T>() }
    }

    /// All of it, if it has two keys of the family of `T`.
    #[inline(always)]
    pub(crate) fn nat<T: Tuple>(&self) -> Option<&NatConn<T>> {
        let layout = const {
            match T::VERSION {
                4 => Layout::NatV4,
                _ => Layout::NatV6,
            }
        };
        // SAFETY: Its layout says so, and there is one tuple a family.
        (self.layout == layout).then(|| unsafe { self.whole() })
    }

    /// All of it, if its client is IPv6 and its dest is IPv4.
    #[inline]
    pub(crate) fn nat64(&self) -> Option<&NatConn<TupleV6, TupleV4>> {
        // SAFETY: Its layout says so.
        (self.layout == Layout::Nat64).then(|| unsafe { self.whole() })
    }

    /// Its account, if it has one.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        if !self.is_accounted() {
            return None;
        }
        // SAFETY: An accounted connection of a layout is made as an `Accounted` of it.
        Some(unsafe {
            match self.layout {
                Layout::OneV4 => &self.whole::<Accounted<OneKey<TupleV4>>>().ledger,
                Layout::OneV6 => &self.whole::<Accounted<OneKey<TupleV6>>>().ledger,
                Layout::NatV4 => &self.whole::<Accounted<NatConn<TupleV4>>>().ledger,
                Layout::NatV6 => &self.whole::<Accounted<NatConn<TupleV6>>>().ledger,
                Layout::Nat64 => &self.whole::<Accounted<NatConn<TupleV6, TupleV4>>>().ledger,
            }
        })
    }

    /// Its lane, if it was made with one.
    #[inline(always)]
    pub(crate) fn lane(&self) -> Option<&Lane> {
        if !self.is_laned() {
            return None;
        }
        // SAFETY: A connection with a lane of a layout is made as a `Laned` of it.
        Some(unsafe {
            match self.layout {
                Layout::OneV4 => &self.whole::<Laned<OneKey<TupleV4>, Lane>>().lane,
                Layout::OneV6 => &self.whole::<Laned<OneKey<TupleV6>, Lane>>().lane,
                Layout::NatV4 => &self.whole::<LanedNat<TupleV4>>().lane.lane,
                Layout::NatV6 => &self.whole::<LanedNat<TupleV6>>().lane.lane,
                Layout::Nat64 => &self.whole::<Laned<NatConn<TupleV6, TupleV4>, Lane>>().lane,
            }
        })
    }

    /// The same with what the host's source NAT has made of it, if it has two keys of the family of `T`.
    #[inline(always)]
    pub(super) fn nat_lane<T: Tuple>(&self) -> Option<&NatLane<T>> {
        let has_one = self.is_laned() && self.nat::<T>().is_some();
        // SAFETY: As above, and there is one tuple a family.
        has_one.then(|| unsafe { &self.whole::<LanedNat<T>>().lane })
    }

    /// The key that its client's packets find it by.
    pub(super) fn client_key(&self) -> AnyKey<'_> {
        // SAFETY: The layouts say so; the client's key is at the same place in all of them.
        unsafe {
            match self.layout {
                Layout::OneV4 | Layout::NatV4 => AnyKey::V4(&self.whole::<OneKey<_>>().client),
                Layout::OneV6 | Layout::NatV6 | Layout::Nat64 => {
                    AnyKey::V6(&self.whole::<OneKey<_>>().client)
                }
            }
        }
    }

    /// The key that its dest's packets find it by.
    pub(super) fn dest_key(&self) -> Option<AnyKey<'_>> {
        if let Some(nat) = self.nat::<TupleV4>() {
            return Some(AnyKey::V4(&nat.dest_side));
        }
        if let Some(nat) = self.nat::<TupleV6>() {
            return Some(AnyKey::V6(&nat.dest_side));
        }
        self.nat64().map(|nat| AnyKey::V4(&nat.dest_side))
    }

    /// See [`NatConn::tell_again`]. Reads more of it than its first part only where it has UDP.
    pub(super) fn tell_again(&self, now: u32) {
        if self.state() != State::Udp {
            return;
        }
        if let Some(nat) = self.nat::<TupleV4>() {
            nat.tell_again(now);
        } else if let Some(nat) = self.nat::<TupleV6>() {
            nat.tell_again(now);
        }
    }

    /// Its client and virtual address.
    pub(crate) fn client_ends(&self) -> ClientEnds {
        match self.client_key() {
            AnyKey::V4(key) => ClientEnds::of(&key.tuple),
            AnyKey::V6(key) => ClientEnds::of(&key.tuple),
        }
    }

    /// Its dest and what that sees in the client's place, where they are known.
    pub(crate) fn dest_ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some(match self.dest_key()? {
            AnyKey::V4(key) => (key.tuple.source(), key.tuple.destination()),
            AnyKey::V6(key) => (key.tuple.source(), key.tuple.destination()),
        })
    }

    /// Where the dest sees it come from, if that is a local port of this host.
    pub(super) fn local_place(&self) -> Option<Place> {
        let (address, port) = match self.dest_key()? {
            AnyKey::V4(key) => (key.tuple.dst().folded(), key.tuple.dport()),
            AnyKey::V6(key) => (key.tuple.dst().folded(), key.tuple.dport()),
        };
        (self.dest.mode() == Mode::FullNat).then(|| Place::new(address, port))
    }

    /// Whether nothing has come of it: the handshake was not finished, or none of the answers came
    /// that would have come by here.
    pub(super) fn is_unanswered(&self) -> bool {
        match self.state() {
            State::SynRecv | State::SynAck | State::SctpInit1 | State::SctpInit => true,
            State::Udp => matches!(self.stage(), Some(Stage::Unheard | Stage::Datagrams)),
            _ => false,
        }
    }

    /// How its packets are treated, if it has two keys.
    pub(super) fn stage(&self) -> Option<Stage> {
        if let Some(nat) = self.nat::<TupleV4>() {
            return Some(nat.stage());
        }
        if let Some(nat) = self.nat::<TupleV6>() {
            return Some(nat.stage());
        }
        self.nat64().map(|nat| nat.stage())
    }
}

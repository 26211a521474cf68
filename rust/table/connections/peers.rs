// SPDX-License-Identifier: GPL-2.0

//! A connection as other directors are told of it, and as they tell of it.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::Ordering,
};

use super::{
    conn::{Conn, AHEAD_MAX},
    nat::NatConn,
    node::AnyKey,
};
use crate::{
    engine::{
        family::Tuple,
        proto::State,
        spec::{Mode, Protocol},
        sync::{memo::Memo, Brief, Connection, Entry, Own},
        tuple::{TupleV4, TupleV6},
    },
    kapi::time,
    table::settings::LiveSettings,
};

/// What an entry without options is made of, whose ends are all of one family: beside its ends, of the
/// client's tuple, and of the dest's address.
pub(in crate::table) enum BriefOf<'a> {
    /// Of IPv4.
    V4(Brief, &'a TupleV4, Ipv4Addr),
    /// Of IPv6.
    V6(Brief, &'a TupleV6, Ipv6Addr),
}

/// The same of FullNAT, and what RVS adds with the address that the dest sees.
pub(in crate::table) enum FullNatOf {
    /// Of IPv4.
    V4(Brief, TupleV4, Ipv4Addr, (Own, Ipv4Addr)),
    /// Of IPv6.
    V6(Brief, TupleV6, Ipv6Addr, (Own, Ipv6Addr)),
}

impl Conn {
    /// How much of it others know.
    pub(in crate::table) fn memo(&self) -> Memo {
        Memo(self.memo.load(Ordering::Relaxed))
    }

    pub(in crate::table) fn set_memo(&self, memo: Memo) {
        self.memo.store(memo.0, Ordering::Relaxed);
    }

    /// Tick of its last packet.
    pub(in crate::table) fn seen(&self) -> u32 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Ticks of silence that its state lasts.
    pub(in crate::table) fn lasts(&self, settings: &LiveSettings) -> u32 {
        self.dest.timeout(self.state(), settings)
    }

    /// As others are told of it; none where they could not understand it.
    pub(in crate::table) fn entry(&self, settings: &LiveSettings) -> Option<Entry<'static>> {
        let ends = self.client_ends();
        let (dest, mode) = (self.dest(), self.dest().mode());
        let port = match self.dest_ends() {
            // A flow that another has told of goes to a port of its own.
            Some((real, _)) => real.port(),
            None => dest.port(ends.virtual_address.port()),
        };
        let (address, state) = (dest.id().address, self.state());
        let translates = matches!(mode, Mode::Nat | Mode::FullNat);
        let crosses = address.is_ipv6() != ends.client.is_ipv6();
        // A mode that was changed is not that of its connections.
        if crosses != self.nat64().is_some() || translates != self.has_two_keys() {
            return None;
        }
        let own = match mode {
            Mode::FullNat => Some(self.own()?),
            _ => None,
        };
        Some(Entry::from(&Connection {
            protocol: Protocol::from_number(ends.protocol)?,
            client: ends.client,
            virtual_address: ends.virtual_address,
            dest: SocketAddr::new(address, port),
            mode,
            state,
            mark: dest.service().mark(),
            seconds: self.expires(settings).div_ceil(1000).max(1),
            own,
            inactive: !state.is_active(),
            ended: false,
            lengths: self.both_lengths(),
        }))
    }

    /// The same where it has no options, and all its ends are of one family. It has so many seconds left.
    #[inline(always)] // In the middle of a packet's way.
    pub(in crate::table) fn brief(&self, seconds: u32) -> Option<BriefOf<'_>> {
        let (dest, mode) = (self.dest(), self.dest().mode());
        let translates = match mode {
            Mode::Nat => true,
            Mode::FullNat => return None,
            _ => false,
        };
        if translates != self.has_two_keys() || self.both_lengths().is_some() {
            return None;
        }
        let client = self.client_key();
        let port = match (self.dest_key(), client) {
            (Some(AnyKey::V4(key)), _) => key.tuple.sport(),
            (Some(AnyKey::V6(key)), _) => key.tuple.sport(),
            (None, AnyKey::V4(key)) => dest.port(key.tuple.dport()),
            (None, AnyKey::V6(key)) => dest.port(key.tuple.dport()),
        };
        let brief = self.brief_of(mode, port, seconds);
        match (client, dest.address()) {
            (AnyKey::V4(key), IpAddr::V4(to)) => Some(BriefOf::V4(brief, &key.tuple, to)),
            (AnyKey::V6(key), IpAddr::V6(to)) => Some(BriefOf::V6(brief, &key.tuple, to)),
            _ => None,
        }
    }

    /// The same of FullNAT that no helper follows.
    #[inline(always)]
    pub(in crate::table) fn fullnat_brief(&self, seconds: u32) -> Option<FullNatOf> {
        let (dest, mode) = (self.dest(), self.dest().mode());
        if mode != Mode::FullNat || self.both_lengths().is_some() {
            return None;
        }
        match dest.address() {
            IpAddr::V4(to) => {
                let nat = self.nat::<TupleV4>()?;
                let tuple = nat.dest_tuple();
                let brief = self.brief_of(mode, tuple.sport(), seconds);
                let own = (nat.own(), tuple.dst());
                Some(FullNatOf::V4(brief, nat.client_tuple(), to, own))
            }
            IpAddr::V6(to) => {
                let nat = self.nat::<TupleV6>()?;
                let tuple = nat.dest_tuple();
                let brief = self.brief_of(mode, tuple.sport(), seconds);
                let own = (nat.own(), tuple.dst());
                Some(FullNatOf::V6(brief, nat.client_tuple(), to, own))
            }
        }
    }

    #[inline(always)]
    fn brief_of(&self, mode: Mode, port: u16, seconds: u32) -> Brief {
        Brief {
            mode,
            state: self.state(),
            port,
            mark: self.dest().mark(),
            seconds,
        }
    }

    fn own(&self) -> Option<Own> {
        if let Some(nat) = self.nat::<TupleV4>() {
            return Some(nat.own());
        }
        match self.nat::<TupleV6>() {
            Some(nat) => Some(nat.own()),
            None => self.nat64().map(NatConn::own),
        }
    }

    /// Whether it goes to that dest.
    pub(in crate::table) fn leads_to(&self, dest: SocketAddr) -> bool {
        match self.dest_ends() {
            Some((real, _)) => real == dest,
            None => {
                let wanted = self.client_ends().virtual_address.port();
                self.dest.id().address == dest.ip() && self.dest.port(wanted) == dest.port()
            }
        }
    }

    /// Whether it is that one of its client, by the address that its dest sees.
    pub(in crate::table) fn is_of(&self, told: &Connection) -> bool {
        let local = || self.dest_ends().map(|(_, local)| local);
        self.client_ends().client == told.client
            && told.own.is_none_or(|own| local() == Some(own.local))
    }

    /// Makes it what others tell of it. False where more is known here: packets have come since.
    pub(in crate::table) fn take(&self, told: &Connection, settings: &LiveSettings) -> bool {
        let before = self.seen();
        let said = seen(told, self.dest.timeout(told.state, settings));
        let is_older = before.wrapping_sub(said) as i32 > 0;
        if is_older && !self.memo().is_of_others(before) {
            return false;
        }
        self.step(|_| told.state);
        self.seen.store(said, Ordering::Relaxed);
        self.set_memo(Memo::learned(said));
        self.set_both_lengths(told.lengths);
        true
    }

    /// As [`Conn::take`], for one that was just made of it.
    pub(in crate::table) fn begin_as(&self, told: &Connection, settings: &LiveSettings) {
        let said = seen(told, self.dest.timeout(told.state, settings));
        self.seen.store(said, Ordering::Relaxed);
        self.set_memo(Memo::learned(said));
        self.set_both_lengths(told.lengths);
        if let Some(own) = &told.own {
            if let Some(nat) = self.nat::<TupleV4>() {
                nat.set_telling(own.telling);
            } else if let Some(nat) = self.nat::<TupleV6>() {
                nat.set_telling(own.telling);
            } else if let Some(nat) = self.nat64() {
                nat.set_telling(own.telling);
            }
        }
    }
}

/// Tick of the last packet of a connection that has so long left as it is told, where its state lasts
/// for so many ticks.
fn seen(told: &Connection, timeout: u32) -> u32 {
    let left = match told.seconds {
        0 => timeout,
        seconds => time::seconds(seconds),
    };
    // It may last longer there: then its last packet is yet to come.
    let ahead = left.saturating_sub(timeout).min(AHEAD_MAX);
    time::now()
        .wrapping_sub(timeout.saturating_sub(left))
        .wrapping_add(ahead)
}

impl<C: Tuple, D: Tuple> NatConn<C, D> {
    /// What RVS tells RVS of a FullNAT connection.
    fn own(&self) -> Own {
        let [sequence, timestamps] = self.shift().words();
        let is_udp = self.conn.state() == State::Udp;
        Own {
            local: self.dest_tuple().destination(),
            sequence,
            timestamps,
            stage: self.recorded_stage(),
            toa_kind: self.toa_kind(),
            // Of datagrams it is a tick of this host.
            telling: if is_udp { [0; 2] } else { self.telling() },
        }
    }
}

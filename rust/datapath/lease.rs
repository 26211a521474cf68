// SPDX-License-Identifier: GPL-2.0

//! A connection's fast lane is opened, by a packet that went all the way.

use core::net::SocketAddr;

use super::{context::Context, gate::Balanced};
use crate::{
    engine::{address::Address, family::Tuple},
    kapi::{
        lane::{self, Allowed, Ends, Watch},
        skb::Skb,
    },
    table::{Conn, Lane, Side, Stage},
};

/// A packet on its way that may open the lane for those that follow it.
pub(super) struct Lease<'a> {
    lane: &'a Lane,
    side: Side,
    device: u32,
    watch: Watch,
}

impl<'a> Lease<'a> {
    /// None where the connection has no lane, or the packet is one that a program here has sent.
    pub(super) fn begin(
        cx: Context<'a>,
        conn: &'a Conn,
        side: Side,
        skb: &Skb<'_>,
    ) -> Option<Self> {
        if cx.place.is_local_out() {
            return None;
        }
        Some(Self {
            lane: conn.lane()?,
            side,
            device: skb.arrived_by(),
            watch: Watch::begin(skb),
        })
    }

    /// The packet has been sent, or kept, or dropped by others.
    #[cold]
    #[inline(never)]
    pub(super) fn end<F: Balanced>(self, cx: Context<'a>, conn: &Conn) {
        if !self.watch.has_passed() {
            return;
        }
        let ends = conn.client_ends();
        let ends = Ends {
            protocol: ends.protocol,
            client: ends.client,
            virtual_address: ends.virtual_address,
            dest: conn.dest_ends().map(|(dest, _)| dest),
        };
        if conn.is_tracked() {
            // Of those that it has not seen.
            self.watch.account(&ends, &self.lane.take());
        }
        let waits = self.side == Side::Dest && F::gate(cx.netns).replies_wait();
        let is_usual = conn.is_established() && !waits && !lane::has_policies(cx.netns.net());
        if is_usual && !is_helped::<F>(conn) && self.is_known::<F>(cx, conn, &ends) {
            self.lane.open(self.side, self.device);
        }
    }

    /// Whether it is known what the host makes of a connection's packets.
    fn is_known<F: Balanced>(&self, cx: Context<'a>, conn: &Conn, ends: &Ends) -> bool {
        if !conn.is_tracked() {
            return true;
        }
        match self.watch.allowed(ends) {
            Allowed::Nothing => false,
            Allowed::Plain => conn.renamed::<F::Tuple>().is_none(),
            Allowed::Renamed(source) => rename::<F>(cx, conn, source),
        }
    }
}

/// Has a dest's packets known that are to `source`.
fn rename<F: Balanced>(cx: Context<'_>, conn: &Conn, source: SocketAddr) -> bool {
    let Some(nat) = conn.nat::<F::Tuple>() else {
        return false;
    };
    let Some(address) = Address::of(source.ip()) else {
        return false;
    };
    let key = nat.dest_tuple();
    let tuple = Tuple::between(
        (key.src(), key.sport()),
        (address, source.port()),
        key.protocol(),
    );
    cx.netns.connections.rename::<F::Tuple>(conn, tuple, cx.rcu)
}

/// Whether a helper reads its packets.
fn is_helped<F: Balanced>(conn: &Conn) -> bool {
    conn.nat::<F::Tuple>()
        .is_some_and(|nat| nat.stage() == Stage::Helped)
}

// SPDX-License-Identifier: GPL-2.0

//! The fast lane: packets of established flows that go past rules and the host's connection tracking, as one
//! of theirs went all the way a moment ago. Whatever is out of the usual goes all the way.

use super::{
    context::Context,
    forward,
    xmit::{self, Crosses},
};
use crate::{
    engine::{
        family::IpHeader,
        wire::{Packet, TcpFlags},
    },
    kapi::{
        netfilter::{Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Conn, Counter, Lane, Netns, Side, Turn},
};

/// Bytes that headers of the usual kind have, at most: those of IPv6 and of TCP.
const HEADERS_MAX: usize = 100;

/// Flags of segments that connection tracking has to see.
const TURNS: TcpFlags = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);

/// A packet that is perhaps of a service.
#[inline(always)]
pub(super) fn take<'a, F: Crosses>(netns: &'a Netns, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
    let packet = match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => packet,
        Err(_) => return pulled::<F>(netns, skb, rcu),
    };
    read(netns, skb, &packet, rcu)
}

/// A packet whose headers are not linear yet, or are not the usual ones.
#[cold]
#[inline(never)]
fn pulled<'a, F: Crosses>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
    let wanted = HEADERS_MAX.min(skb.len() as usize);
    if skb.head().len() >= wanted || !skb.pull(wanted) {
        return Verdict::Accept(skb);
    }
    match Packet::<F>::frequent(skb.head(), skb.len() as usize) {
        Ok(packet) => read(netns, skb, &packet, rcu),
        Err(_) => Verdict::Accept(skb),
    }
}

#[inline(always)]
fn read<'a, F: Crosses>(
    netns: &'a Netns,
    skb: Skb<'a>,
    packet: &Packet<F>,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let hash = netns.connections.hash(&packet.tuple);
    let (found, arrives) = match netns.connections.lookup(&packet.tuple, hash, rcu) {
        Some(found) => (found, false),
        None => match netns.connections.lookup_arriving(&packet.tuple, hash, rcu) {
            Some(found) => (found, true),
            None => return Verdict::Accept(skb),
        },
    };
    let (conn, side) = found;
    match conn.lane() {
        Some(lane) if lane.is_open(side, skb.arrived_by()) => {
            let going = Going {
                netns,
                conn,
                lane,
                side,
                arrives,
                rcu,
            };
            going.go(skb, packet)
        }
        _ => Verdict::Accept(skb),
    }
}

/// A packet of a connection whose lane is open.
struct Going<'a> {
    netns: &'a Netns,
    conn: &'a Conn,
    lane: &'a Lane,
    side: Side,
    /// It is as the host's source NAT has it.
    arrives: bool,
    rcu: Rcu<'a>,
}

impl<'a> Going<'a> {
    #[inline(always)]
    fn go<F: Crosses>(self, skb: Skb<'a>, packet: &Packet<F>) -> Verdict<'a> {
        let (netns, conn, side) = (self.netns, self.conn, self.side);
        if packet.segment.flags.has(TURNS) {
            self.lane.close();
            return Verdict::Accept(skb);
        }
        if !conn.is_established()
            || conn.dest().needs_care()
            || packet.ip.header_len() != F::Ip::FIXED_LEN
            || packet.ip.ttl() <= 1
            || !conn.touch(&netns.settings)
        {
            return Verdict::Accept(skb);
        }
        let cx = Context::new(netns, Place::PreRouting, Turn::Fast, self.rcu);
        let len = skb.len();
        let verdict = match (conn.renamed::<F::Tuple>(), conn.nat::<F::Tuple>()) {
            (Some(names), Some(nat)) if self.arrives == (side == Side::Dest) => {
                xmit::renamed(cx, conn, (nat, names), side, skb, packet)
            }
            (None, _) if !self.arrives => forward::onward(cx, conn, side, skb, packet),
            // It is as it was before the host's source NAT had another entry.
            _ => Verdict::Accept(skb),
        };
        if let Verdict::Stolen(_) = verdict {
            forward::count(conn, side, len);
            self.lane.carries(side, len);
            netns.counters.count(Counter::ConntrackFast);
        }
        verdict
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The first packet of a flow, and flows whose connection is of no more use.

use super::{hook, xmit};
use crate::{
    engine::{
        proto::{
            tcp::{self, Table},
            State,
        },
        sched::Flow,
        wire::{PacketV4, TCP, UDP},
    },
    kapi::{
        icmp::Answer,
        netfilter::{Place, Verdict},
        rcu::Rcu,
        skb::Skb,
    },
    table::{Conn, Counter, Netns},
};

/// A packet that no connection is known for.
#[cold]
pub(super) fn begin<'a>(
    netns: &'a Netns,
    skb: Skb<'a>,
    packet: &PacketV4,
    hash: u32,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let Some(schedule) = netns.schedule(&packet.tuple, rcu) else {
        return Verdict::Accept(skb);
    };
    let state = match packet.ip.protocol {
        TCP if !packet.segment.flags.opens() => {
            netns.counters.count(Counter::NotSyn);
            return Verdict::Accept(skb);
        }
        TCP => tcp::next(Table::InOnly, packet.segment.flags, State::None),
        _ => State::Udp,
    };
    let flow = Flow {
        tuple: packet.tuple,
    };
    let Some(dest) = schedule.pick(&flow) else {
        netns.counters.count(Counter::DropNoDest);
        return hook::refuse(skb, Answer::PortUnreachable);
    };
    if netns.is_full() {
        netns.counters.count(Counter::DropConnMax);
        return Verdict::Drop(skb);
    }
    let Some(conn) = netns.connect(packet.tuple, hash, state, dest, rcu) else {
        netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    };
    let dest = conn.dest();
    dest.packet_in(skb.len());
    xmit::dr(netns, dest, skb, &packet.ip, place, rcu)
}

/// Whether a connection that has expired or lost its dest takes another packet all the same: TCP
/// connections of a removed dest go on until they end, unless the operator wants otherwise.
#[cold]
pub(super) fn may_stay(netns: &Netns, conn: &Conn) -> bool {
    conn.tuple().protocol() == TCP
        && conn.dest().is_gone()
        && !netns.settings.expire_nodest()
        && conn.touch(&netns.settings)
}

/// Whether a SYN finds a connection that it shall not revive but have scheduled anew, as `ip_vs`
/// has it by default (`conn_reuse_mode` 1): one that has ended, or, where connections are to leave
/// dests at once, one whose dest takes no more.
#[cold]
pub(super) fn is_over(netns: &Netns, conn: &Conn) -> bool {
    matches!(conn.state(), State::TimeWait | State::Close)
        || netns.settings.expire_nodest() && conn.dest().spec().weight == 0
}

/// A packet of a connection that cannot stay.
///
/// As in `ip_vs`, a TCP packet whose dest is gone is dropped with the connection; the client's
/// next attempt finds another dest. UDP goes to another at once.
#[cold]
pub(super) fn replace<'a>(
    netns: &'a Netns,
    conn: &'a Conn,
    skb: Skb<'a>,
    packet: &PacketV4,
    hash: u32,
    place: Place,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let gone = conn.dest().is_gone();
    netns.disconnect(conn, rcu);
    if gone && packet.ip.protocol != UDP && !packet.segment.flags.opens() {
        netns.counters.count(Counter::DropDestGone);
        return Verdict::Drop(skb);
    }
    begin(netns, skb, packet, hash, place, rcu)
}

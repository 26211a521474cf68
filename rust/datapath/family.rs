// SPDX-License-Identifier: GPL-2.0

//! What the datapath asks of an IP version.

use super::{context::Context, xmit::nat64};
use crate::{
    engine::{
        family::{V4, V6},
        tuple::{TupleV4, TupleV6},
        uoa::Carrier,
        wire::{IcmpError, IcmpFamily, Packet},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Connect, Gate, NatConn, Netns},
};

/// An IP version whose packets are balanced.
pub(super) trait Balanced: IcmpFamily<Tuple: Connect> + Carrier {
    /// Where the header has the payload's protocol, or the first extension's.
    const PROTOCOL_AT: usize;

    /// What of its packets is looked at.
    fn gate(netns: &Netns) -> &Gate;

    /// Source address of a packet as the gate knows it.
    fn source(skb: &Skb<'_>) -> u32;

    /// Destination address of a packet as the gate knows it.
    fn destination(skb: &Skb<'_>) -> u32;

    /// Sends a packet of a connection between two families on to the other side.
    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a>;

    /// Tells the other side of such a connection of an ICMP error. The message is linear.
    fn cross_error<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a>;
}

impl Balanced for V4 {
    const PROTOCOL_AT: usize = 9;

    #[inline(always)]
    fn gate(netns: &Netns) -> &Gate {
        &netns.gate_v4
    }

    #[inline(always)]
    fn source(skb: &Skb<'_>) -> u32 {
        skb.ipv4_source()
    }

    #[inline(always)]
    fn destination(skb: &Skb<'_>) -> u32 {
        skb.ipv4_destination()
    }

    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a> {
        nat64::toward_client(cx, conn, nat, skb, packet)
    }

    fn cross_error<'a>(
        cx: Context<'a>,
        _conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a> {
        nat64::error_toward_client(cx, nat, skb, error)
    }
}

impl Balanced for V6 {
    const PROTOCOL_AT: usize = 6;

    #[inline(always)]
    fn gate(netns: &Netns) -> &Gate {
        &netns.gate_v6
    }

    #[inline(always)]
    fn source(skb: &Skb<'_>) -> u32 {
        skb.ipv6_source()
    }

    #[inline(always)]
    fn destination(skb: &Skb<'_>) -> u32 {
        skb.ipv6_destination()
    }

    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a> {
        nat64::toward_dest(cx, conn, nat, skb, packet)
    }

    fn cross_error<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a NatConn<TupleV6, TupleV4>,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a> {
        nat64::error_toward_dest(cx, conn, nat, skb, error)
    }
}

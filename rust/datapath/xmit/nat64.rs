// SPDX-License-Identifier: GPL-2.0

//! FullNAT between an IPv6 client and an IPv4 dest.
//!
//! A packet is measured as it came, which is 20 bytes more than what leaves toward the dest, and
//! toward the client as what leaves: so MTUs are kept and told as either side sees them.

use kernel::{
    alloc::flags::{GFP_ATOMIC, __GFP_NOWARN},
    prelude::*,
};

use super::{
    fullnat,
    own::make_and_send,
    path,
    translate::quoted,
    transmit::{transmit, way_back, way_to, with_one_header, Edit},
};
use crate::{
    datapath::{
        answer::{discard, no_way},
        call,
        context::Context,
        gate::Balanced,
    },
    engine::{
        family::{IpHeader, Tuple, V4, V6},
        nat64::{self, ERROR_MAX, GROWTH},
        rewrite::{self, Checksum},
        toa::insert::Told,
        tuple::{TupleV4, TupleV6},
        wire::{ipv4, ipv6, IcmpError, IcmpFamily, Ipv4, Packet, TCP, UDP},
    },
    kapi::{errno::EHOSTUNREACH, netfilter::Verdict, random, route::NextHop, skb::Skb},
    table::{Conn, Counter, NatConn, Side, Stage},
};

/// A connection of an IPv6 client with an IPv4 dest.
pub(in crate::datapath) type Nat64 = NatConn<TupleV6, TupleV4>;

/// An IP version whose packets may have to leave as those of the other.
pub(in crate::datapath) trait Crosses: Balanced {
    /// Sends a packet of a connection between both on to the other side.
    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a>;

    /// Tells the other side of such a connection of an ICMP error. The message is linear.
    fn cross_error<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a>;
}

impl Crosses for V4 {
    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a> {
        toward_client(cx, conn, nat, skb, packet)
    }

    fn cross_error<'a>(
        cx: Context<'a>,
        _conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a> {
        error_toward_client(cx, nat, skb, error)
    }
}

impl Crosses for V6 {
    fn cross<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        packet: &Packet<Self>,
    ) -> Verdict<'a> {
        toward_dest(cx, conn, nat, skb, packet)
    }

    fn cross_error<'a>(
        cx: Context<'a>,
        conn: &'a Conn,
        nat: &'a Nat64,
        skb: Skb<'a>,
        error: &IcmpError<Self>,
    ) -> Verdict<'a> {
        error_toward_dest(cx, conn, nat, skb, error)
    }
}

/// Sends a packet of the client on to the dest.
#[cold]
fn toward_dest<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a Nat64,
    skb: Skb<'a>,
    packet: &Packet<V6>,
) -> Verdict<'a> {
    let mut skb = match with_one_header(cx, skb, &packet.ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    let writes = packet.headers_len();
    if skb.head().len() < writes && !skb.pull(writes) {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    let way = way_to(cx, conn.dest());
    // What an IPv6 client cannot make smaller may be cut on an IPv4 path that takes less (RFC 7915,
    // section 5.1).
    let may_fragment = skb.came_in_fragments_v6() || skb.fits(V6::MTU_MIN);
    let id = may_fragment.then(|| random::u64() as u16);
    let option = (packet.ip.protocol() == TCP && fullnat::tells(nat, &skb, packet))
        .then(|| Told::new(nat.toa_kind(), &nat.client_tuple()));
    // The header that becomes shorter makes room for the option.
    const { assert!(ipv6::LEN - ipv4::MIN_LEN >= crate::engine::toa::V6_LEN) };
    let edit = Edit {
        writes,
        pushes: 0,
        edit: |skb: &mut Skb<'_>| {
            let ttl = hop_limit(skb)?;
            let to = nat.dest_tuple().reversed();
            translate(skb, nat, Side::Client, packet, to.ports())?;
            let payload = packet.ip.total_len.checked_sub(packet.ip.header_len)?;
            let header = nat64::header_v4(&packet.ip, &to, payload, ttl, id);
            skb.swap_ip_header(packet.ip.header_len, &header)?;
            if let Some(told) = &option {
                let header_len = packet.segment.header_len;
                fullnat::insert::<Ipv4>(skb, ipv4::MIN_LEN, header_len, told)?;
            }
            Some(())
        },
    };
    across::<V6>(cx, way, skb, &packet.ip, edit)
}

/// Sends a packet of the dest on to the client.
#[cold]
fn toward_client<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a Nat64,
    skb: Skb<'a>,
    packet: &Packet<V4>,
) -> Verdict<'a> {
    let mut skb = match with_one_header(cx, skb, &packet.ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    if nat.stage() == Stage::Unheard {
        nat.heard();
        call::answered(conn, &mut skb, packet);
    }
    let writes = packet.headers_len();
    if skb.head().len() < writes && !skb.pull(writes) {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    let edit = Edit {
        writes,
        pushes: GROWTH,
        edit: |skb: &mut Skb<'_>| {
            let hops = *skb.head().get(8)?;
            let to = nat.client_tuple().reversed();
            let is_unsummed = packet.ip.protocol == UDP && checksum(skb, packet)? == [0; 2];
            translate(skb, nat, Side::Dest, packet, to.ports())?;
            let payload = packet.ip.total_len.checked_sub(packet.ip.header_len)?;
            let header = nat64::header_v6(&packet.ip, &to, payload, hops);
            skb.swap_ip_header(packet.ip.header_len, &header)?;
            if is_unsummed {
                // IPv6 does not know datagrams without a checksum (RFC 8200, section 8.1).
                let sum = nat64::pseudo_sum(&to, UDP, payload);
                skb.sum_later(ipv6::LEN, UDP_CHECKSUM, sum)?;
            }
            Some(())
        },
    };
    let way = way_back(cx, nat, &skb);
    across::<V4>(cx, way, skb, &packet.ip, edit)
}

/// Where the checksum is in a UDP header.
const UDP_CHECKSUM: usize = 6;

/// A datagram's checksum.
fn checksum(skb: &Skb<'_>, packet: &Packet<V4>) -> Option<[u8; 2]> {
    let at = packet.ip.header_len.checked_add(UDP_CHECKSUM)?;
    skb.head().get(at..)?.first_chunk().copied()
}

/// The hop limit that an IPv6 packet leaves with.
fn hop_limit(skb: &Skb<'_>) -> Option<u8> {
    skb.head().get(7).copied()
}

/// Gives the transport header the numbers and ports that the other side knows, and the checksum
/// that goes with its addresses.
fn translate<F: Balanced>(
    skb: &mut Skb<'_>,
    nat: &Nat64,
    side: Side,
    packet: &Packet<F>,
    ports: u32,
) -> Option<()> {
    skb.forget_checksum();
    let protocol = packet.ip.protocol();
    let deltas = match side {
        Side::Client => nat.deltas(),
        Side::Dest => nat.deltas().reversed(),
    };
    let deltas = match protocol {
        TCP => deltas.and(fullnat::numbers(skb, nat, side, packet)?),
        _ => deltas,
    };
    let checksum = if skb.is_checksum_partial() {
        Checksum::PseudoHeader
    } else {
        Checksum::Whole
    };
    let transport = skb.head_mut().get_mut(packet.ip.header_len()..)?;
    rewrite::segment(transport, protocol, ports, deltas, checksum)
}

/// Tells the client of an ICMP error about its packet, which somebody on the dest's side sent. The
/// message is linear.
#[cold]
fn error_toward_client<'a>(
    cx: Context<'a>,
    nat: &'a Nat64,
    skb: Skb<'a>,
    error: &IcmpError<V4>,
) -> Verdict<'a> {
    let about = nat.client_tuple();
    let added = path::added(nat, &skb, error);
    send_error(cx, way_back(cx, nat, &skb), ipv6::LEN, |into| {
        nat64::error_v6(into, skb.head(), error, &about, added, |quote| {
            quoted(nat.shift(), quote, true)
        })
    });
    Verdict::Drop(skb)
}

/// Tells the dest of an ICMPv6 error about its packet, likewise.
#[cold]
fn error_toward_dest<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a Nat64,
    mut skb: Skb<'a>,
    error: &IcmpError<V6>,
) -> Verdict<'a> {
    // Its dest may leave it to routers to cut packets, and those of IPv6 do not.
    path::learn(cx, &mut skb, error);
    let about = nat.dest_tuple();
    send_error(cx, way_to(cx, conn.dest()), ipv4::MIN_LEN, |into| {
        nat64::error_v4(into, skb.head(), error, &about, |quote| {
            quoted(nat.shift(), quote, false)
        })
    });
    Verdict::Drop(skb)
}

/// Sends the error that `make` writes, if it does, with an IP header of `ip_len` bytes.
fn send_error<'a>(
    cx: Context<'a>,
    way: Result<&'a NextHop>,
    ip_len: usize,
    make: impl FnOnce(&mut [u8]) -> Option<usize>,
) {
    let Ok(way) = way else {
        return;
    };
    if way.is_local() {
        return;
    }
    let Ok(mut error) = KVec::from_elem(0, ERROR_MAX, GFP_ATOMIC | __GFP_NOWARN) else {
        cx.netns.counters.count(Counter::DropNoMemory);
        return;
    };
    let len = make(&mut error);
    if let Some(bytes) = len.and_then(|len| error.get(..len)) {
        make_and_send(cx, way, bytes, ip_len);
    }
}

/// Sends a packet on a way that leads to another host. Neither client nor dest may be this one: the
/// host would have to take the packet in again, in the other family.
fn across<'a, F: Balanced>(
    cx: Context<'a>,
    way: Result<&'a NextHop>,
    skb: Skb<'a>,
    ip: &F::Ip,
    edit: Edit<impl FnOnce(&mut Skb<'_>) -> Option<()>>,
) -> Verdict<'a> {
    match way {
        Ok(way) if !way.is_local() => transmit::<F>(cx, way, skb, ip, edit),
        Ok(_) => no_way(cx, skb, F::VERSION, EHOSTUNREACH),
        Err(error) => no_way(cx, skb, F::VERSION, error),
    }
}

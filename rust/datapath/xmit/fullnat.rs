// SPDX-License-Identifier: GPL-2.0

//! FullNAT's TCP segments: moved sequence numbers, and the client's address in an option.

use super::{
    nat::{send, translate},
    way_to, Edit,
};
use crate::{
    datapath::{context::Context, family::Balanced},
    engine::{
        carry::{self, Told},
        csum::Delta,
        family::{IpHeader, Tuple},
        shift,
        wire::{transport::TCP_MIN_LEN, Packet, TcpFlags},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, NatConn, Side, Stage},
};

/// Sends a segment of `side` on to the other.
#[inline]
pub(super) fn segment<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let writes = packet.headers_len();
    if skb.head().len() < writes && !skb.pull(writes) {
        cx.netns.counters.count(Counter::DropNoMemory);
        return Verdict::Drop(skb);
    }
    if nat.stage() != Stage::Told && side == Side::Client && tells(nat, &skb, packet) {
        return tell(cx, conn, nat, skb, packet);
    }
    let edit = Edit {
        writes,
        pushes: 0,
        edit: |skb: &mut Skb<'_>| rewrite(skb, nat, side, packet),
    };
    send::<F>(cx, conn, nat, side, skb, &packet.ip, edit)
}

/// Whether a client's segment is one that tells the client's address.
#[cold]
pub(super) fn tells<F: Balanced, C: Tuple, D: Tuple>(
    nat: &NatConn<C, D>,
    skb: &Skb<'_>,
    packet: &Packet<F>,
) -> bool {
    let Some(header) = header(skb, packet) else {
        return false;
    };
    let flags = packet.segment.flags;
    if flags.has(TcpFlags::SYN) {
        return carry::opens_at_once(header);
    }
    if nat.stage() != Stage::Telling || flags.has(TcpFlags::RST) {
        return false;
    }
    // Whoever has had payload of the dest, the dest has a socket for.
    let knows = carry::acknowledges_more(header, nat.expected());
    if knows {
        nat.told();
    }
    !knows
}

/// Sends a client's segment with the option: in it, or in one ahead of it that has no payload.
#[cold]
fn tell<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let option = Told::new(nat.toa_kind(), &nat.client_tuple());
    let more = option.size() as u32;
    let ip_len = packet.ip.header_len();
    let way = way_to(cx, conn.dest()).ok();
    // A dest on this host has no path to be too long for.
    let mtu = way.map_or(
        u32::MAX,
        |way| if way.is_local() { u32::MAX } else { way.mtu() },
    );
    let mtu = mtu.saturating_sub(more);
    let fits = skb.len() <= mtu || (skb.is_gso() && skb.gso_fits(mtu));
    if fits && option.has_room(packet.segment.header_len) {
        let edit = Edit {
            writes: packet.headers_len(),
            pushes: more,
            edit: |skb: &mut Skb<'_>| {
                rewrite(skb, nat, Side::Client, packet)?;
                skb.open_gap(ip_len.checked_add(TCP_MIN_LEN)?, option.size(), ip_len)?;
                let is_partial = skb.is_checksum_partial();
                carry::fill::<F::Ip>(skb.head_mut(), ip_len, &option, is_partial)
            },
        };
        return send::<F>(cx, conn, nat, Side::Client, skb, &packet.ip, edit);
    }
    let edit = Edit {
        writes: packet.headers_len(),
        pushes: 0,
        edit: |skb: &mut Skb<'_>| {
            rewrite(skb, nat, Side::Client, packet)?;
            let (bytes, len) = carry::bare_ack::<F::Ip>(skb.head(), ip_len, &option)?;
            if let Some(way) = way.filter(|way| !way.is_local()) {
                match Skb::with_packet(bytes.get(..len)?, F::Ip::FIXED_LEN, way.headroom()) {
                    Some(ack) => drop(way.send(ack, cx.rcu)),
                    // The next segment tells it.
                    None => cx.netns.counters.count(Counter::DropNoMemory),
                }
            }
            Some(())
        },
    };
    send::<F>(cx, conn, nat, Side::Client, skb, &packet.ip, edit)
}

/// Gives a segment of `side` the numbers and the tuple that the other knows.
#[inline(always)]
fn rewrite<F: Balanced>(
    skb: &mut Skb<'_>,
    nat: &NatConn<F::Tuple>,
    side: Side,
    packet: &Packet<F>,
) -> Option<()> {
    let changed = numbers(skb, nat, side, packet)?;
    translate(skb, nat, side, packet, changed)
}

/// Gives a segment of `side` the numbers that the other knows, and the options. Returns what that
/// adds to its checksum.
#[inline(always)]
pub(super) fn numbers<F: Balanced, C: Tuple, D: Tuple>(
    skb: &mut Skb<'_>,
    nat: &NatConn<C, D>,
    side: Side,
    packet: &Packet<F>,
) -> Option<Delta> {
    let end = packet.headers_len();
    let header = skb.head_mut().get_mut(packet.ip.header_len()..end)?;
    match side {
        Side::Client => {
            let moved = nat.shift().toward_dest(header)?;
            if header.len() == TCP_MIN_LEN || shift::has_only_timestamps(header) {
                return Some(moved);
            }
            // Nobody but a director is to tell a client's address.
            Some(moved.and(carry::blank(header, nat.toa_kind())?))
        }
        Side::Dest => {
            let moved = nat.shift().toward_client(header)?;
            if packet.segment.flags.has(TcpFlags::SYN) && nat.stage() != Stage::Told {
                return Some(moved.and(answer(nat, header)?));
            }
            Some(moved)
        }
    }
}

/// A dest's SYN: what acknowledges it is noted, and it leaves room for the option.
#[cold]
fn answer<C: Tuple, D: Tuple>(nat: &NatConn<C, D>, header: &mut [u8]) -> Option<Delta> {
    nat.answered(carry::expected_next(header)?);
    carry::lower_mss(header, C::VERSION)
}

/// The TCP header of a packet, with its options.
fn header<'s, F: Balanced>(skb: &'s Skb<'_>, packet: &Packet<F>) -> Option<&'s [u8]> {
    skb.head().get(packet.ip.header_len()..packet.headers_len())
}

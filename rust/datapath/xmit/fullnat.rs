// SPDX-License-Identifier: GPL-2.0

//! FullNAT's TCP segments: moved sequence numbers, and the client's address in an option.

use super::{
    nat::{send, translate},
    way_to, Edit,
};
use crate::{
    datapath::context::Context,
    engine::{
        carry,
        csum::Delta,
        shift,
        wire::{transport::TCP_MIN_LEN, PacketV4, TcpFlags},
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, NatConn, Side, Stage},
};

/// Sends a segment of `side` on to the other.
#[inline]
pub(super) fn segment<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn,
    side: Side,
    mut skb: Skb<'a>,
    packet: &PacketV4,
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
    send(cx, conn, nat, side, skb, &packet.ip, edit)
}

/// Whether a client's segment is one that tells the client's address.
#[cold]
fn tells(nat: &NatConn, skb: &Skb<'_>, packet: &PacketV4) -> bool {
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
fn tell<'a>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn,
    skb: Skb<'a>,
    packet: &PacketV4,
) -> Verdict<'a> {
    let option = carry::option(nat.toa_kind(), &conn.tuple());
    let ip_len = packet.ip.header_len;
    let way = way_to(cx, conn.dest()).ok();
    // A dest on this host has no path to be too long for.
    let mtu = way.map_or(
        u32::MAX,
        |way| if way.is_local() { u32::MAX } else { way.mtu() },
    );
    let mtu = mtu.saturating_sub(carry::LEN as u32);
    let fits = skb.len() <= mtu || (skb.is_gso() && skb.gso_fits(mtu));
    if fits && carry::has_room(packet.segment.header_len) {
        let edit = Edit {
            writes: packet.headers_len(),
            pushes: carry::LEN as u32,
            edit: |skb: &mut Skb<'_>| {
                rewrite(skb, nat, Side::Client, packet)?;
                skb.open_gap::<{ carry::LEN }>(ip_len.checked_add(TCP_MIN_LEN)?)?;
                let is_partial = skb.is_checksum_partial();
                carry::fill(skb.head_mut(), ip_len, option, is_partial)
            },
        };
        return send(cx, conn, nat, Side::Client, skb, &packet.ip, edit);
    }
    let edit = Edit {
        writes: packet.headers_len(),
        pushes: 0,
        edit: |skb: &mut Skb<'_>| {
            rewrite(skb, nat, Side::Client, packet)?;
            let (bytes, len) = carry::bare_ack(skb.head(), ip_len, option)?;
            if let Some(way) = way.filter(|way| !way.is_local()) {
                match Skb::with_packet(bytes.get(..len)?, way.headroom()) {
                    Some(ack) => drop(way.send(ack, cx.rcu)),
                    // The next segment tells it.
                    None => cx.netns.counters.count(Counter::DropNoMemory),
                }
            }
            Some(())
        },
    };
    send(cx, conn, nat, Side::Client, skb, &packet.ip, edit)
}

/// Gives a segment of `side` the numbers and the tuple that the other knows.
#[inline(always)]
fn rewrite(skb: &mut Skb<'_>, nat: &NatConn, side: Side, packet: &PacketV4) -> Option<()> {
    let end = packet.headers_len();
    let header = skb.head_mut().get_mut(packet.ip.header_len..end)?;
    let changed = match side {
        Side::Client => {
            let moved = nat.shift().toward_dest(header)?;
            if header.len() == TCP_MIN_LEN || shift::has_only_timestamps(header) {
                moved
            } else {
                // Nobody but a director is to tell a client's address.
                moved.and(carry::blank(header, nat.toa_kind())?)
            }
        }
        Side::Dest => {
            let moved = nat.shift().toward_client(header)?;
            if packet.segment.flags.has(TcpFlags::SYN) && nat.stage() != Stage::Told {
                moved.and(answer(nat, header)?)
            } else {
                moved
            }
        }
    };
    translate(skb, nat, side, packet, changed)
}

/// A dest's SYN: what acknowledges it is noted, and it leaves room for the option.
#[cold]
fn answer(nat: &NatConn, header: &mut [u8]) -> Option<Delta> {
    nat.answered(carry::expected_next(header)?);
    carry::lower_mss(header)
}

/// The TCP header of a packet, with its options.
fn header<'s>(skb: &'s Skb<'_>, packet: &PacketV4) -> Option<&'s [u8]> {
    skb.head().get(packet.ip.header_len..packet.headers_len())
}

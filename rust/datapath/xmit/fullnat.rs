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
        squeeze::{replace, squeeze, HEADER_MAX},
        wire::{options, transport::TCP_MIN_LEN, Packet, TcpFlags},
    },
    kapi::{netfilter::Verdict, route::NextHop, skb::Skb},
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
    if nat.stage() != Stage::Told {
        match side {
            Side::Client if tells(nat, &skb, packet) => return tell(cx, conn, nat, skb, packet),
            Side::Client => {}
            Side::Dest => watch(nat, &skb, packet),
        }
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
    if !matches!(nat.stage(), Stage::Telling | Stage::Shown) || flags.has(TcpFlags::RST) {
        return false;
    }
    // Whoever has had payload of the dest, the dest has a socket for.
    let knows = carry::acknowledges_more(header, nat.expected());
    if knows {
        nat.told();
    }
    !knows
}

/// Looks for payload of a dest: where that comes from there is a socket.
#[cold]
fn watch<F: Balanced>(nat: &NatConn<F::Tuple>, skb: &Skb<'_>, packet: &Packet<F>) {
    let has_payload = skb.len() as usize > packet.headers_len();
    if has_payload && nat.stage() == Stage::Telling {
        nat.shown();
    }
}

/// Sends a client's segment with the option: in it if that can be, since it may be the one that
/// makes the dest's socket; else in one ahead of it that has no payload.
#[cold]
fn tell<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let kind = nat.toa_kind();
    let option = Told::new(kind, &nat.client_tuple());
    let ip_len = packet.ip.header_len();
    let header_len = packet.segment.header_len;
    let way = way_to(cx, conn.dest()).ok();
    // A client that has had no payload acknowledges none selectively.
    let keeps_sack = nat.stage() == Stage::Shown;
    let keeps = |other| !carry::claims(other, kind) && (keeps_sack || other != options::SACK);
    let squeezed = |header: &[u8]| squeeze(header, option.bytes(), keeps);
    let has_room = option.has_room(header_len);
    let gap = if has_room {
        Some(option.size())
    } else {
        let fits = header(&skb, packet).and_then(squeezed);
        fits.and(HEADER_MAX.checked_sub(header_len))
    };
    if let Some(gap) = gap.filter(|gap| fit(way, &mut skb, packet, *gap)) {
        let edit = Edit {
            writes: packet.headers_len(),
            pushes: gap as u32,
            edit: |skb: &mut Skb<'_>| {
                rewrite(skb, nat, Side::Client, packet)?;
                let options = header(skb, packet).and_then(squeezed);
                skb.open_gap(ip_len.checked_add(TCP_MIN_LEN)?, gap, ip_len)?;
                let is_partial = skb.is_checksum_partial();
                let head = skb.head_mut();
                if has_room {
                    carry::fill::<F::Ip>(head, ip_len, &option, is_partial)
                } else {
                    replace::<F::Ip>(head, ip_len, header_len, &options?, is_partial)
                }
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
                    Some(ack) if way.straight() == 0 => {
                        let refused = || cx.netns.counters.count(Counter::DropOutput);
                        drop(way.send_slowly(ack, cx.rcu, refused));
                    }
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

/// Makes sure that a segment with `gap` more bytes of header fits the way, by having it cut if need
/// be. False when it does not.
fn fit<F: Balanced>(
    way: Option<&NextHop>,
    skb: &mut Skb<'_>,
    packet: &Packet<F>,
    gap: usize,
) -> bool {
    // A dest on this host has no path to be too long for.
    let Some(way) = way.filter(|way| !way.is_local()) else {
        return true;
    };
    let gap = gap as u32;
    let fits = |skb: &Skb<'_>, mtu| skb.len() <= mtu || (skb.is_gso() && skb.gso_fits(mtu));
    let mtu = way.mtu().saturating_sub(gap);
    if fits(skb, mtu) {
        return true;
    }
    if !fits(skb, way.mtu()) {
        // Too big as it is: its sender is to learn of that.
        return false;
    }
    let writes = packet.headers_len();
    let size = mtu.checked_sub(writes as u32).filter(|size| *size > 0);
    size.is_some_and(|size| {
        skb.make_writable(writes, way.headroom().saturating_add(gap))
            && skb.cut_into(packet.ip.header_len(), size)
    })
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

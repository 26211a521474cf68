// SPDX-License-Identifier: GPL-2.0

//! FullNAT's TCP segments: moved sequence numbers, and the client's address in an option.

use super::{
    translate::{ready, to_other_side, translate},
    transmit::{way_to, Edit},
};
use crate::{
    datapath::{answer::discard, context::Context, gate::Balanced},
    engine::{
        csum::Delta,
        family::{IpHeader, Tuple},
        seqadj,
        toa::insert::{self, Told},
        toa::room::{replace, squeeze, HEADER_MAX},
        toa::telling,
        wire::{transport::TCP_MIN_LEN, Packet, TcpFlags},
    },
    kapi::{editable::Editable, netfilter::Verdict, route::NextHop, skb::Skb},
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
        return discard(cx, skb, Counter::DropNoMemory);
    }
    if side == Side::Client && !is_middle(nat, &skb, packet) && tells(nat, &skb, packet) {
        return tell(cx, conn, nat, skb, packet);
    }
    let mut ready = match ready::<F>(cx, conn, nat, side, skb, &packet.ip, (writes, 0)) {
        Ok(ready) => ready,
        Err(verdict) => return verdict,
    };
    let edited = rewrite(&mut ready.skb, nat, side, packet);
    ready.leave(cx, edited)
}

/// Whether a client's segment is in the middle of a connection whose dest has a socket.
#[inline(always)]
pub(super) fn is_middle<F: Balanced>(
    nat: &NatConn<F::Tuple>,
    at: &impl Editable,
    packet: &Packet<F>,
) -> bool {
    let sequence = || {
        let begin = packet.ip.header_len().checked_add(SEQUENCE)?;
        Some(u32::from_be_bytes(*at.head().get(begin..)?.first_chunk()?))
    };
    nat.stage() == Stage::Told
        && !packet.segment.flags.has(telling::TURNS)
        && sequence() != Some(nat.first())
}

/// Where the sequence number is in the TCP header.
const SEQUENCE: usize = 4;

/// Follows a client's segment, and says whether it tells the client's address.
#[cold]
pub(super) fn tells<F: Balanced, C: Tuple, D: Tuple>(
    nat: &NatConn<C, D>,
    skb: &Skb<'_>,
    packet: &Packet<F>,
) -> bool {
    let has_payload = skb.len() as usize > packet.headers_len();
    header(skb, packet).is_some_and(|header| {
        let tells = nat.follow(|telling| telling.client(header, has_payload));
        tells.unwrap_or(false)
    })
}

/// Sends a client's segment with the option in it, since it may be the one that makes the dest's
/// socket.
#[cold]
fn tell<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Verdict<'a> {
    let option = Told::new(nat.toa_kind(), &nat.client_tuple());
    let gap = gap(&option, packet);
    if !fit(way_to(cx, conn.dest()).ok(), &mut skb, packet, gap) {
        // It comes again, and without the option it must not go.
        return discard(cx, skb, Counter::DropNoMemory);
    }
    let ip_len = packet.ip.header_len();
    let edit = Edit {
        writes: packet.headers_len(),
        pushes: gap as u32,
        edit: |skb: &mut Skb<'_>| {
            rewrite(skb, nat, Side::Client, packet)?;
            insert::<F::Ip>(skb, ip_len, packet.segment.header_len, &option)
        },
    };
    to_other_side::<F>(cx, conn, nat, Side::Client, skb, &packet.ip, edit)
}

/// By how much a segment grows that gets the option.
fn gap<F: Balanced>(option: &Told, packet: &Packet<F>) -> usize {
    let header_len = packet.segment.header_len;
    if option.has_room(header_len) {
        option.size()
    } else {
        HEADER_MAX.saturating_sub(header_len)
    }
}

/// Puts the option in a packet whose IP header is `ip_len` bytes long and whose TCP header, with
/// options that only TCP uses, `header_len`. As much room as [`gap`] says is in front.
pub(super) fn insert<I: IpHeader>(
    skb: &mut Skb<'_>,
    ip_len: usize,
    header_len: usize,
    option: &Told,
) -> Option<()> {
    let at = ip_len.checked_add(TCP_MIN_LEN)?;
    let is_partial = skb.is_checksum_partial();
    if option.has_room(header_len) {
        skb.open_gap(at, option.size(), ip_len)?;
        return insert::fill::<I>(skb.head_mut(), ip_len, option, is_partial);
    }
    let end = ip_len.checked_add(header_len)?;
    let options = squeeze(skb.head().get(ip_len..end)?, option.bytes())?;
    skb.open_gap(at, HEADER_MAX.checked_sub(header_len)?, ip_len)?;
    replace::<I>(skb.head_mut(), ip_len, header_len, &options, is_partial)
}

/// Has a segment that is too long for the way with `gap` more bytes of header cut. One that is too
/// long without them stays: its sender is to learn of that, or it goes in fragments. So does a SYN,
/// of which there is one. False when there is no memory.
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
    let mtu = way.mtu().saturating_sub(gap);
    if skb.fits(mtu) || !skb.fits(way.mtu()) || packet.segment.flags.has(TcpFlags::SYN) {
        return true;
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
pub(super) fn rewrite<F: Balanced>(
    at: &mut impl Editable,
    nat: &NatConn<F::Tuple>,
    side: Side,
    packet: &Packet<F>,
) -> Option<()> {
    let changed = numbers(at, nat, side, packet)?;
    translate(at, nat, side, packet, changed)
}

/// Gives a segment of `side` the numbers that the other knows, and the options. Returns what that
/// adds to its checksum.
#[inline(always)]
pub(super) fn numbers<F: Balanced, C: Tuple, D: Tuple>(
    at: &mut impl Editable,
    nat: &NatConn<C, D>,
    side: Side,
    packet: &Packet<F>,
) -> Option<Delta> {
    let end = packet.headers_len();
    let has_payload = at.len() as usize > end;
    let flags = packet.segment.flags;
    let header = at.head_mut().get_mut(packet.ip.header_len()..end)?;
    match side {
        Side::Client => {
            let moved = nat.shift().toward_dest(header)?;
            if header.len() == TCP_MIN_LEN || seqadj::has_only_timestamps(header) {
                return Some(moved);
            }
            // Nobody but a director is to tell a client's address.
            Some(moved.and(clean(nat, header, flags)?))
        }
        Side::Dest => {
            let moved = nat.shift().toward_client(header)?;
            if nat.stage() != Stage::Told || flags.has(telling::TURNS) {
                return Some(moved.and(follow(nat, header, flags, has_payload)?));
            }
            Some(moved)
        }
    }
}

/// Leaves only those of a client's options that TCP itself uses.
fn clean<C: Tuple, D: Tuple>(
    nat: &NatConn<C, D>,
    header: &mut [u8],
    flags: TcpFlags,
) -> Option<Delta> {
    if flags.has(TcpFlags::SYN) && nat.toa_kind() != 0 {
        return insert::blank_syn(header, C::VERSION);
    }
    insert::blank(header)
}

/// Follows a dest's segment. Its SYN leaves room for the option.
#[cold]
fn follow<C: Tuple, D: Tuple>(
    nat: &NatConn<C, D>,
    header: &mut [u8],
    flags: TcpFlags,
    has_payload: bool,
) -> Option<Delta> {
    let tells = nat.follow(|telling| telling.server(header, has_payload));
    if tells.is_some() && flags.has(TcpFlags::SYN) {
        return insert::lower_mss(header, C::VERSION);
    }
    Some(Delta::NONE)
}

/// The TCP header of a packet, with its options.
fn header<'s, F: Balanced>(skb: &'s Skb<'_>, packet: &Packet<F>) -> Option<&'s [u8]> {
    skb.head().get(packet.ip.header_len()..packet.headers_len())
}

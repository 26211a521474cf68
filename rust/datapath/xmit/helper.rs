// SPDX-License-Identifier: GPL-2.0

//! Connections that tell of others in what they say: it is read, and where it names addresses that the
//! other side does not know, written anew. As that makes lines longer or shorter, all later numbers move.

use core::ops::Range;

use crate::{
    datapath::{answer::discard, context::Context, gate::Balanced},
    engine::{
        family::{IpHeader, Tuple},
        helper::{
            ftp::{self, Command, Text},
            lengths, payload,
        },
        wire::Packet,
    },
    kapi::{netfilter::Verdict, skb::Skb},
    table::{Conn, Counter, NatConn, Side, ToldOf},
};

/// Where the sequence number and the checksum are in the TCP header.
const SEQUENCE: usize = 4;
const CHECKSUM: usize = 16;

/// Ports from here on are what programs wait at for data; others are services' own.
const LEAST_PORT: u16 = 1024;

/// A segment of `side` of a helped connection, with what it says written anew and numbers as the other side
/// has them, but for what FullNAT does to these.
pub(super) fn written_anew<'a, F: Balanced>(
    cx: Context<'a>,
    conn: &'a Conn,
    nat: &'a NatConn<F::Tuple>,
    side: Side,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
) -> Result<(Skb<'a>, Packet<F>), Verdict<'a>> {
    let (begin, end) = (packet.headers_len(), packet.ip.total_len());
    let payload = end.saturating_sub(begin);
    // What is cut on its way out, or longer than a line, says nothing that is meant.
    let is_read = (1..=ftp::PAYLOAD_MAX).contains(&payload) && !skb.is_gso();
    let is_ready = if is_read {
        skb.make_plain(packet.ip.header_len())
    } else {
        (skb.head().len() >= begin || skb.pull(begin)) && skb.make_writable(begin, 0)
    };
    if !is_ready {
        return Err(discard(cx, skb, Counter::DropNoMemory));
    }
    let (sequence, mut own) = (sequence(&skb, packet), conn.lengths(side));
    let edit = is_read.then(|| edit::<F>(cx, conn, nat, side, skb.head().get(begin..end)?));
    if let Some((range, text)) = edit.flatten() {
        let bytes = text.bytes().len() as i32 - range.len() as i32;
        let longer = own.and(sequence, bytes);
        if let Some(longer) = longer.filter(|longer| conn.set_lengths(side, *longer)) {
            own = longer;
            // Another director could not go on with it without.
            cx.netns.has_changed(conn, cx.rcu);
            let range = range.start.saturating_add(begin)..range.end.saturating_add(begin);
            if replace(&mut skb, packet, range, &text).is_none() {
                return Err(discard(cx, skb, Counter::DropNoMemory));
            }
        }
    }
    let (other, shift) = match side {
        Side::Client => (conn.lengths(Side::Dest), 0),
        Side::Dest => (conn.lengths(Side::Client), nat.shift().words()[0]),
    };
    let written = number(&mut skb, packet, own, other, shift).and_then(|()| {
        let ip = F::Ip::parse(skb.head(), skb.len() as usize).ok()?;
        Packet::from_ip(skb.head(), ip).ok()
    });
    match written {
        Some(written) => Ok((skb, written)),
        None => Err(discard(cx, skb, Counter::DropMalformed)),
    }
}

/// What stands where a segment of `side` names an address and port that the other side does not know, and
/// which bytes of its payload it takes the place of. What it tells of is expected from now on.
fn edit<F: Balanced>(
    cx: Context<'_>,
    conn: &Conn,
    nat: &NatConn<F::Tuple>,
    side: Side,
    payload: &[u8],
) -> Option<(Range<usize>, Text)> {
    let (client, dest) = (nat.client_tuple(), nat.dest_tuple());
    let (told, to) = match side {
        Side::Client => {
            let told = match ftp::command(payload)? {
                Command::Passive => {
                    conn.set_asked(true);
                    return None;
                }
                Command::Active(told) => told,
            };
            conn.set_asked(false);
            // Its own address: a server that connects to others for it would be everyone's.
            if told.address != Some(client.src().into()) || told.port < LEAST_PORT {
                return None;
            }
            let waits = cx
                .netns
                .expect_dest(conn, (&client, &dest), told.port, cx.rcu)
                .or_else(|| no_room(cx))?;
            (told, waits.dest_ends()?.1)
        }
        Side::Dest => {
            let told = ftp::reply(payload).filter(|_| conn.has_asked())?;
            let own = [dest.source().ip(), client.destination().ip()];
            if told.address.is_some_and(|it| !own.contains(&it)) || told.port < LEAST_PORT {
                return None;
            }
            let of = ToldOf {
                port: told.port,
                seen: dest.destination().ip(),
            };
            cx.netns
                .expect_client(conn, &client, (told.port, of))
                .or_else(|| no_room(cx))?;
            let to = core::net::SocketAddr::new(client.destination().ip(), told.port);
            (told, to)
        }
    };
    let text = told.written(to.ip(), to.port())?;
    let is_same = payload.get(told.range.clone()) == Some(text.bytes());
    (!is_same).then_some((told.range, text))
}

/// What a segment tells of cannot be kept: it goes on as it is.
#[cold]
fn no_room<T>(cx: Context<'_>) -> Option<T> {
    cx.netns.counters.count(Counter::HelperNoRoom);
    None
}

/// Puts a text in the place of some bytes of a plain segment.
fn replace<F: Balanced>(
    skb: &mut Skb<'_>,
    packet: &Packet<F>,
    range: Range<usize>,
    text: &Text,
) -> Option<()> {
    let old = packet.ip.total_len();
    let len = old
        .checked_sub(range.len())?
        .checked_add(text.bytes().len())?;
    // All that is behind the packet is padding.
    if !skb.resize(old.max(len)) {
        return None;
    }
    let len = payload::replace(skb.head_mut(), &packet.ip, range, text.bytes())?;
    skb.resize(len).then_some(())
}

/// The sequence number of a segment.
fn sequence<F: Balanced>(skb: &Skb<'_>, packet: &Packet<F>) -> u32 {
    let field = || {
        let begin = packet.ip.header_len().checked_add(SEQUENCE)?;
        skb.head().get(begin..)?.first_chunk()
    };
    field().map_or(0, |field| u32::from_be_bytes(*field))
}

/// Gives a segment the numbers that the lengths of lines make of its own.
fn number<F: Balanced>(
    skb: &mut Skb<'_>,
    packet: &Packet<F>,
    own: lengths::Lengths,
    other: lengths::Lengths,
    shift: u32,
) -> Option<()> {
    let is_partial = skb.is_checksum_partial();
    let range = packet.ip.header_len()..packet.headers_len();
    let header = skb.head_mut().get_mut(range)?;
    let changed = lengths::adjust(header, own, other, shift)?;
    if !is_partial {
        let field = header.get_mut(CHECKSUM..)?.first_chunk_mut()?;
        *field = changed.apply(u16::from_le_bytes(*field)).to_le_bytes();
    }
    Some(())
}

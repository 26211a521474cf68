// SPDX-License-Identifier: GPL-2.0

//! Failing closed, where that is wanted: a connection of a trusted peer that tells no client's
//! address is reset, before a socket is made for it.
//!
//! A segment without the option either belongs to a connection that there is, or would make one. The
//! latter is answered with a reset and gets no further than the hook.

use core::marker::PhantomData;

use crate::{
    engine::{
        family::{IpHeader, Tuple, V4, V6},
        reset, toa,
        wire::{options::TcpOptions, transport::TCP_MIN_LEN, Packet, TcpFlags, TCP},
    },
    kapi::{
        netfilter::{self, Description, Hook, Place, Verdict},
        packet,
        rcu::Rcu,
        skb::Skb,
    },
    state::{Counter, Netns},
    udp::{read, retry, Restored, LAST},
};

/// Kind of Fast Open (RFC 7413).
const FAST_OPEN: u8 = 34;

/// The hooks that look for the option in a namespace.
pub(crate) fn describe() -> [Description<Netns>; 2] {
    [
        netfilter::describe::<_, Coming<V4>>(),
        netfilter::describe::<_, Coming<V6>>(),
    ]
}

/// Packets for sockets of this host.
struct Coming<F>(PhantomData<F>);

impl<F: Restored> Hook<Netns> for Coming<F> {
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = LAST;
    const VERSION: u8 = F::VERSION;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        match read::<F>(&mut skb) {
            Some(ip) if ip.protocol() == TCP && netns.trusts(ip.tuple(0).src().into(), rcu) => {
                segment::<F>(netns, skb, rcu)
            }
            _ => Verdict::Accept(skb),
        }
    }
}

/// A segment of a trusted peer.
fn segment<'a, F: Restored>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
    let Some(packet) = retry(&mut skb, Packet::<F>::parse) else {
        return Verdict::Accept(skb);
    };
    let (flags, headers_len) = (packet.segment.flags, packet.headers_len());
    if !skb.pull(headers_len) {
        return Verdict::Accept(skb);
    }
    let header = skb.head().get(packet.ip.header_len()..headers_len);
    let header = header.unwrap_or_default();
    let opens = flags.has(TcpFlags::SYN);
    let answers = flags.has(TcpFlags::ACK);
    let may_make_a_socket = match (opens, answers) {
        (true, false) => {
            let has_cookie = || TcpOptions::of(header).any(|o| o.kind == FAST_OPEN && o.len > 2);
            packet.ip.total_len() > headers_len || has_cookie()
        }
        (true, true) | (false, false) => false,
        (false, true) => !flags.has(TcpFlags::RST),
    };
    if !may_make_a_socket
        || tells(netns, header, rcu)
        || packet::has_connection(&skb, packet.ip.header_len())
    {
        return Verdict::Accept(skb);
    }
    netns.count(Counter::WithoutOption);
    // A client whose first segment with data gets lost sends another one without.
    if !opens {
        let reset = reset::answer::<F>(skb.head(), &packet);
        let sent = reset.and_then(|(bytes, len)| {
            packet::answer(&skb, bytes.get(..len)?, F::Ip::FIXED_LEN).then_some(())
        });
        if sent.is_none() {
            netns.count(Counter::NoMemory);
        }
    }
    Verdict::Drop(skb)
}

/// Whether a segment's options tell an address that is believed.
fn tells(netns: &Netns, header: &[u8], rcu: Rcu<'_>) -> bool {
    let options = header.get(TCP_MIN_LEN..).unwrap_or_default();
    let settings = netns.settings(rcu);
    settings.is_some_and(|settings| matches!(toa::find(options, &settings.kinds), Ok(Some(_))))
}

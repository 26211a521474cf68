// SPDX-License-Identifier: GPL-2.0

//! Packets that this host makes.

use crate::{
    datapath::context::Context,
    kapi::{
        route::{self, NextHop},
        skb::Skb,
    },
    table::Counter,
};

/// Room that is in front of packets of this host's own whose way is not known yet.
pub(in crate::datapath) const HEADROOM: u32 = 128;

/// Sends a packet that this host has made, which fits, to another host or to itself.
pub(in crate::datapath) fn send_own(cx: Context<'_>, way: &NextHop, mut packet: Skb<'_>) {
    if way.is_local() {
        way.take_home(&mut packet);
        let _ = packet.take_in(cx.netns.net(), None);
    } else if packet.make_writable(0, way.headroom()) {
        send_alone(cx, way, packet);
    } else {
        // It may get lost.
        cx.netns.counters.count(Counter::DropNoMemory);
        let _ = route::free(packet);
    }
}

/// Makes a packet of these bytes, with an IP header of `ip_len` bytes, and sends it to another host.
/// One for which there is no memory gets lost.
#[cold]
pub(super) fn make_and_send(cx: Context<'_>, way: &NextHop, bytes: &[u8], ip_len: usize) {
    match Skb::with_packet(bytes, ip_len, way.headroom()) {
        Some(packet) => send_alone(cx, way, packet),
        None => cx.netns.counters.count(Counter::DropNoMemory),
    }
}

/// Sends a packet that this host has made, which fits.
#[cold]
fn send_alone(cx: Context<'_>, way: &NextHop, packet: Skb<'_>) {
    let _ = match way.straight() {
        0 => {
            let refused = || cx.netns.counters.count(Counter::DropOutput);
            way.send_slowly(packet, cx.rcu, false, refused)
        }
        _ => way.send(packet, cx.rcu),
    };
}

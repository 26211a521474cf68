// SPDX-License-Identifier: GPL-2.0

//! Frames at the device, ahead of the stack: packets of established flows are edited where they are and
//! sent on. All else is the stack's, unchanged, and the hooks take it there: nothing is noted of a packet
//! before it is certain that it leaves here.
//!
//! Modes have functions of their own, which are not inlined: each is short of registers by itself. What
//! these are given lies in memory, and is put there only where they are called.
//!
//! All is there twice: for frames without tags of VLANs (`TAGS` is false), and for all. One that came without
//! and turns out to leave with a tag is looked at anew.

use core::{net::IpAddr, sync::atomic::Ordering};

use super::{
    forward::step_tcp,
    gate::{self, Balanced},
    xmit::{self, Ipip, Plan, Tunnelled, Whole},
};
use crate::{
    engine::{
        family::{IpHeader, V4, V6},
        spec::Mode,
        wire::{Packet, TCP},
    },
    kapi::{
        editable::Editable,
        frame::{Fate, Frame, Taker, ETHERNET},
        netdev::Device,
        netns::Net,
        rcu::Rcu,
        route::NextHop,
    },
    table::{Conn, Counter, Netns, Side},
};

/// Who is asked for frames.
pub(crate) struct AtDevice;

impl Taker for AtDevice {
    #[inline(always)]
    fn frame<const TAGS: bool>(net: &Net, frame: Frame<'_>, rcu: Rcu<'_>) -> Fate {
        match Netns::at_device(net, rcu) {
            Some(netns) if frame.version() == 4 => leave::<V4, TAGS>(netns, frame, rcu),
            Some(netns) => leave::<V6, TAGS>(netns, frame, rcu),
            None => Fate::PASS,
        }
    }

    fn pieces(net: &Net, frame: Frame<'_>, rcu: Rcu<'_>) {
        let is_ours = |netns: &&Netns| match frame.version() {
            4 => gate::admits_frame::<V4>(netns, frame.head()),
            _ => gate::admits_frame::<V6>(netns, frame.head()),
        };
        if let Some(netns) = Netns::at_device(net, rcu).filter(is_ours) {
            netns.counters.count(Counter::XdpPassOdd);
        }
    }
}

/// A packet of an established flow.
struct Going<'a, F: Balanced, const TAGS: bool> {
    netns: &'a Netns,
    conn: &'a Conn,
    side: Side,
    packet: Packet<F>,
    rcu: Rcu<'a>,
}

/// The stack gets a packet that may be ours, for that reason.
#[cold]
#[inline(never)]
fn pass(netns: &Netns, reason: Counter) -> Fate {
    netns.counters.count(reason);
    Fate::PASS
}

/// Sends a packet on its way, if it is of an established flow and nothing about it is out of the usual.
#[inline(always)]
fn leave<F: Balanced, const TAGS: bool>(netns: &Netns, frame: Frame<'_>, rcu: Rcu<'_>) -> Fate {
    if !gate::admits_frame::<F>(netns, frame.head()) {
        return Fate::PASS;
    }
    let Some(packet) = read::<F>(&frame) else {
        return pass(netns, Counter::XdpPassOdd);
    };
    if packet.segment.flags.opens() {
        return pass(netns, Counter::XdpPassNew);
    }
    let hash = netns.connections.hash(&packet.tuple);
    let Some((conn, side)) = netns.connections.lookup(&packet.tuple, hash, rcu) else {
        return pass(netns, Counter::XdpPassNew);
    };
    // Replies that wait for their mark do so in the stack.
    if conn.dest().needs_care() || (side == Side::Dest && F::gate(netns).replies_wait()) {
        return pass(netns, Counter::XdpPassCare);
    }
    let going = || Going::<F, TAGS> {
        netns,
        conn,
        side,
        packet,
        rcu,
    };
    if conn.has_two_keys() {
        return translated(going(), frame.put_down());
    }
    if !conn.dest().is_dr() {
        return as_it_is(going(), frame.put_down());
    }
    depart(going(), frame, Whole)
}

/// A packet that stays as it is, with another mode than dr.
#[inline(never)]
fn as_it_is<F: Balanced, const TAGS: bool>(going: Going<'_, F, TAGS>, frame: Frame<'_>) -> Fate {
    let dest = going.conn.dest();
    match (dest.mode(), dest.id().address) {
        (Mode::Local, _) => pass(going.netns, Counter::XdpPassMode),
        (Mode::Tun, IpAddr::V4(to)) if F::VERSION == 4 && dest.has_plain_tunnel() => {
            let flow = going.conn.flow();
            depart(going, frame, Ipip { to, flow })
        }
        (Mode::Tun, _) => tunnelled(going, frame),
        // A mode that was changed; its connections go on as they began.
        _ => depart(going, frame, Whole),
    }
}

/// A packet in another tunnel than the plain one.
#[inline(never)]
fn tunnelled<F: Balanced, const TAGS: bool>(going: Going<'_, F, TAGS>, frame: Frame<'_>) -> Fate {
    let plan = Tunnelled::new(going.netns, going.conn);
    depart(going, frame, plan)
}

/// A packet that gets another tuple.
#[inline(never)]
fn translated<F: Balanced, const TAGS: bool>(going: Going<'_, F, TAGS>, frame: Frame<'_>) -> Fate {
    match xmit::translation(going.conn, going.side, &frame, &going.packet) {
        Some(plan) => depart(going, frame, plan),
        None => pass(going.netns, Counter::XdpPassMode),
    }
}

/// Does what its mode does to a packet and sends it, if it may leave here.
#[inline(always)]
fn depart<F: Balanced, const TAGS: bool>(
    going: Going<'_, F, TAGS>,
    frame: Frame<'_>,
    plan: impl Plan<F>,
) -> Fate {
    let (netns, packet) = (going.netns, &going.packet);
    let Some(way) = way_of(&going) else {
        return pass(netns, Counter::XdpPassWay);
    };
    let len = packet.ip.total_len() as u32;
    if packet.ip.ttl() <= 1 || len > way.straight().saturating_sub(plan.pushes()) {
        return pass(netns, Counter::XdpPassSize);
    }
    if let Some(by) = way.for_frames(going.rcu) {
        return leave_by(going, frame, plan, way, by);
    }
    if !TAGS {
        return frame.look_again::<AtDevice>();
    }
    match way.for_tagged_frames(going.rcu) {
        Some(by) => leave_by(going, frame, plan, way, by),
        None => pass(netns, Counter::XdpPassWay),
    }
}

/// Sends a packet out by that device with that header, if the device takes it.
#[inline(always)]
fn leave_by<F: Balanced, const TAGS: bool, const LEN: usize>(
    going: Going<'_, F, TAGS>,
    mut frame: Frame<'_>,
    plan: impl Plan<F>,
    way: &NextHop,
    (device, header): (Device, [u8; LEN]),
) -> Fate {
    let (netns, packet) = (going.netns, &going.packet);
    let exit = frame.exit(device);
    let grows = plan.pushes().saturating_add((LEN - ETHERNET) as u32);
    let has_room = grows == 0 || frame.has_room(grows);
    let Some(exit) = exit.filter(|_| has_room) else {
        return pass(netns, Counter::XdpPassDevice);
    };
    if !going.conn.touch(&netns.settings) {
        return pass(netns, Counter::XdpPassNew);
    }
    // From here on it is ours.
    count(&going);
    frame.trim(packet.ip.total_len() as u32);
    frame.count_hop(F::VERSION);
    if plan.edit(way, &mut frame, packet).is_none() {
        netns.counters.count(Counter::DropMalformed);
        return Fate::DROP;
    }
    frame.leave(exit, header)
}

/// The headers of a packet of the usual kind.
#[inline(always)]
fn read<F: Balanced>(frame: &Frame<'_>) -> Option<Packet<F>> {
    // First, so that what follows is compiled for a header of this length alone; as is that a frame is
    // no longer than a packet can be.
    if !F::is_plain(frame.head()) {
        return None;
    }
    let packet = Packet::<F>::frequent(frame.head(), usize::from(frame.len() as u16)).ok()?;
    let is_usual = packet.ip.header_len() == F::Ip::FIXED_LEN
        && frame.head().len() >= packet.headers_len()
        && F::has_right_sum(frame.head());
    is_usual.then_some(packet)
}

/// The way to the other side, if it is known and leads to another host.
#[inline(always)]
fn way_of<'a, F: Balanced, const TAGS: bool>(going: &Going<'a, F, TAGS>) -> Option<&'a NextHop> {
    let way = match going.side {
        Side::Client => going.conn.dest().way(going.rcu),
        Side::Dest => {
            let number = going.conn.nat::<F::Tuple>()?.way_back();
            let number = number.load(Ordering::Relaxed);
            going.netns.ways.get(number, going.rcu)
        }
    };
    way.filter(|way| !way.is_local())
}

/// Follows the connection, and counts the packet.
#[inline(always)]
fn count<F: Balanced, const TAGS: bool>(going: &Going<'_, F, TAGS>) {
    let (netns, conn, side, packet) = (going.netns, going.conn, going.side, &going.packet);
    if packet.ip.protocol() == TCP {
        step_tcp(netns, conn, side, packet.segment.flags, going.rcu);
    }
    let len = packet.ip.total_len() as u32;
    match side {
        Side::Client => conn.dest().packet_in(len),
        Side::Dest => conn.dest().packet_out(len),
    }
    netns.counters.count(Counter::XdpTaken);
}

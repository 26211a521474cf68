// SPDX-License-Identifier: GPL-2.0

//! Frames at the device, ahead of the stack: packets of established flows are edited where they are and
//! sent on. All else is the stack's, unchanged, and the hooks take it there: nothing is noted of a packet
//! before it is certain that it leaves here.

use core::sync::atomic::Ordering;

use super::{
    forward::step_tcp,
    gate::{self, Balanced},
    xmit,
};
use crate::{
    engine::{
        family::{IpHeader, V4, V6},
        wire::{Packet, TCP},
    },
    kapi::{
        editable::Editable,
        frame::{Fate, Frame, Taker},
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
    fn frame(net: &Net, mut frame: Frame<'_>, rcu: Rcu<'_>) -> Fate {
        let Some(netns) = Netns::at_device(net, rcu) else {
            return Fate::Pass;
        };
        let left = match frame.version() {
            4 => leave::<V4>(netns, &mut frame, rcu),
            _ => leave::<V6>(netns, &mut frame, rcu),
        };
        match left {
            Ok(fate) => fate,
            Err(reason) => pass(netns, reason),
        }
    }
}

/// Why a packet that may be ours is the stack's; none for a stranger's.
type Reason = Option<Counter>;

/// The stack gets a packet.
#[inline(always)]
fn pass(netns: &Netns, reason: Reason) -> Fate {
    if let Some(counter) = reason {
        netns.counters.count(counter);
    }
    Fate::Pass
}

/// Sends a packet on its way, if it is of an established flow and nothing about it is out of the usual.
#[inline(always)]
fn leave<F: Balanced>(netns: &Netns, frame: &mut Frame<'_>, rcu: Rcu<'_>) -> Result<Fate, Reason> {
    if !gate::admits_frame::<F>(netns, frame.head()) {
        return Err(None);
    }
    let packet = read::<F>(frame).ok_or(Some(Counter::XdpPassOdd))?;
    let new = Some(Counter::XdpPassNew);
    if packet.segment.flags.opens() {
        return Err(new);
    }
    let hash = netns.connections.hash(&packet.tuple);
    let (conn, side) = netns
        .connections
        .lookup(&packet.tuple, hash, rcu)
        .ok_or(new)?;
    // Replies that wait for their mark do so in the stack.
    if conn.dest().needs_care() || (side == Side::Dest && F::gate(netns).replies_wait()) {
        return Err(Some(Counter::XdpPassCare));
    }
    let plan = xmit::plan(conn, side, frame, &packet).ok_or(Some(Counter::XdpPassMode))?;
    let way = way_of::<F>(netns, conn, side, rcu).ok_or(Some(Counter::XdpPassWay))?;
    let len = packet.ip.total_len() as u32;
    if packet.ip.ttl() <= 1 || len > way.straight().saturating_sub(plan.pushes()) {
        return Err(Some(Counter::XdpPassSize));
    }
    let exit = way.for_frames(rcu).ok_or(Some(Counter::XdpPassWay))?;
    let out = frame.may_leave_by(exit.0);
    let out = out.filter(|_| frame.has_room(plan.pushes()));
    let out = out.ok_or(Some(Counter::XdpPassDevice))?;
    if !conn.touch(&netns.settings) {
        return Err(new);
    }
    // From here on it is ours.
    count(netns, conn, side, &packet, rcu);
    frame.trim(len);
    if plan.edit(way, conn, side, frame, &packet).is_none() {
        netns.counters.count(Counter::DropMalformed);
        return Ok(Fate::Drop);
    }
    frame.put_header(exit.1);
    Ok(Fate::Leave(out))
}

/// The headers of a packet of the usual kind.
#[inline(always)]
fn read<F: Balanced>(frame: &Frame<'_>) -> Option<Packet<F>> {
    let packet = Packet::<F>::frequent(frame.head(), frame.len() as usize).ok()?;
    let is_usual = packet.ip.header_len() == F::Ip::FIXED_LEN
        && frame.head().len() >= packet.headers_len()
        && F::has_right_sum(frame.head());
    is_usual.then_some(packet)
}

/// The way to the other side, if it is known and leads to another host.
#[inline(always)]
fn way_of<'a, F: Balanced>(
    netns: &'a Netns,
    conn: &'a Conn,
    side: Side,
    rcu: Rcu<'a>,
) -> Option<&'a NextHop> {
    let way = match side {
        Side::Client => conn.dest().way(rcu),
        Side::Dest => {
            let number = conn.nat::<F::Tuple>()?.way_back();
            netns.ways.get(number.load(Ordering::Relaxed), rcu)
        }
    };
    way.filter(|way| !way.is_local())
}

/// Follows the connection, and counts the packet.
#[inline(always)]
fn count<F: Balanced>(netns: &Netns, conn: &Conn, side: Side, packet: &Packet<F>, rcu: Rcu<'_>) {
    if packet.ip.protocol() == TCP {
        step_tcp(netns, conn, side, packet.segment.flags, rcu);
    }
    let len = packet.ip.total_len() as u32;
    match side {
        Side::Client => conn.dest().packet_in(len),
        Side::Dest => conn.dest().packet_out(len),
    }
    netns.counters.count(Counter::XdpTaken);
}

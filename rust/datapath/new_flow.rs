// SPDX-License-Identifier: GPL-2.0

//! The first packet of a flow: admitted, given a dest, opened, sent.

use kernel::{prelude::*, sync::Arc};

use super::{
    answer::{discard, refuse},
    call,
    context::Context,
    forward,
    gate::Balanced,
    outgoing, source, track,
    xmit::Crosses,
};
use crate::{
    engine::{
        family::{IpHeader, Tuple},
        proto::{
            sctp,
            tcp::{self, Table},
            State,
        },
        sched::Flow,
        seqadj::Opening,
        spec::Mode,
        wire::{Packet, TcpFlags, SCTP, TCP, UDP},
    },
    kapi::{icmp::Answer, netfilter::Verdict, route, skb::Skb},
    table::{
        Conn, Counter, Dest, Netns, NewFlow, NoConnection, NoDest, Schedule, Side, ToldOf, Turn,
    },
};

/// A packet that no connection is known for: whether it may begin a flow is asked first, so that
/// nothing is made for one that may not, and no dest's turn is taken.
#[cold]
pub(super) fn begin<'a, F: Crosses>(
    cx: Context<'a>,
    skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
) -> Verdict<'a> {
    match start(cx, skb, packet, hash) {
        Ok(verdict) | Err(verdict) => verdict,
    }
}

/// An error is what becomes of a packet that begins no flow.
fn start<'a, F: Crosses>(
    cx: Context<'a>,
    skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
) -> Result<Verdict<'a>, Verdict<'a>> {
    let (skb, flow) = admit(cx, skb, packet)?;
    let (skb, dest) = pick(cx, skb, packet, &flow)?;
    if flow.one_packet && matches!(dest.mode(), Mode::Dr | Mode::Tun) {
        dest.connection();
        dest.packet_in(skb.len());
        // There is no connection to keep the worker awake, which looks for rules of what leaves.
        cx.netns.expect_work();
        let skb = track::whole(cx, dest, skb, dest.tracks())?;
        return Ok(forward::whole::<F>(cx, dest, skb, &packet.ip, hash));
    }
    let (skb, conn) = open(cx, skb, packet, hash, (&flow, dest))?;
    conn.account_for(Side::Client, skb.len());
    if flow.one_packet {
        conn.set_one_packet();
    }
    let verdict = forward::send(cx, conn, Side::Client, skb, packet);
    if flow.one_packet {
        // It was there for the translation only.
        cx.netns.disconnect(conn, cx.rcu);
    }
    Ok(verdict)
}

/// A flow that may begin.
struct Admitted<'a> {
    /// The schedule of its service.
    schedule: &'a Schedule,
    /// Whether that was found by its mark.
    by_mark: bool,
    /// The state that its first packet puts a connection in.
    state: State,
    /// Whether no connection is kept.
    one_packet: bool,
    /// Its dest, where another connection has told of it.
    meant: Option<(&'a Arc<Dest>, ToldOf)>,
}

/// What comes of a step: the packet with what was found for it, or its end.
type Step<'a, T> = Result<(Skb<'a>, T), Verdict<'a>>;

/// Whether a packet may begin a flow.
fn admit<'a, F: Crosses>(
    cx: Context<'a>,
    skb: Skb<'a>,
    packet: &Packet<F>,
) -> Step<'a, Admitted<'a>> {
    let netns = cx.netns;
    if cx.turn == Turn::Early && F::gate(netns).has_marks() {
        // It comes again when it has its mark.
        return Err(Verdict::Accept(skb));
    }
    let marked = match cx.turn {
        Turn::Early | Turn::Fast => None,
        Turn::Late => netns.marked_schedule(skb.mark(), F::VERSION, cx.rcu),
    };
    // A flow that a connection has told of goes where that does, whatever services there are.
    let meant = netns.expected(&packet.tuple, cx.rcu);
    let of_service = || marked.or_else(|| netns.schedule(&packet.tuple, cx.rcu));
    let schedule = meant.as_ref().map(|meant| meant.schedule);
    let Some(schedule) = schedule.or_else(of_service) else {
        return Err(outgoing::begin(cx, skb, packet));
    };
    let Some(state) = first_state(netns, packet) else {
        // The hooks ahead have counted what passes them, and so comes by at another place.
        if !cx.place.is_behind() || !F::gate(netns).is_ahead_of_input() {
            netns.counters.count(Counter::NotSyn);
        }
        return Err(Verdict::Accept(skb));
    };
    let skb = source::check::<F>(cx, skb, &packet.ip)?;
    if netns.defence.drops() {
        return Err(discard(cx, skb, Counter::DropOverload));
    }
    let flow = Admitted {
        schedule,
        by_mark: marked.is_some() && meant.is_none(),
        state,
        one_packet: schedule.is_one_packet() && packet.ip.protocol() == UDP,
        meant: meant.map(|meant| (meant.dest, meant.told)),
    };
    let leaves_something = !flow.one_packet || schedule.is_persistent();
    if leaves_something && !netns.has_room(schedule, cx.rcu) {
        return Err(discard(cx, skb, Counter::DropConnMax));
    }
    Ok((skb, flow))
}

/// The state that a packet puts its connection in, if it begins one.
fn first_state<F: Balanced>(netns: &Netns, packet: &Packet<F>) -> Option<State> {
    let segment = &packet.segment;
    // The tables for connections with and without replies agree on the first packet.
    match packet.ip.protocol() {
        TCP => may_begin(netns, segment.flags)
            .then(|| tcp::next(Table::InOnly, segment.flags, State::None)),
        SCTP => (segment.flags.opens() || may_go_on(netns, segment.event))
            .then(|| sctp::next(sctp::Table::InOnly, segment.event, State::SctpNone)),
        _ => Some(State::Udp),
    }
}

/// The dest of a flow.
fn pick<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
    flow: &Admitted<'a>,
) -> Step<'a, &'a Arc<Dest>> {
    let netns = cx.netns;
    if let Some((dest, _)) = flow.meant {
        return Ok((skb, dest));
    }
    let client = packet.tuple.src().into();
    let call = match flow.schedule.keeps_calls() {
        false => &[],
        true => match call::of(&mut skb, packet) {
            Some(call) => call,
            None => return Err(discard(cx, skb, Counter::DropMalformed)),
        },
    };
    // For what it leaves of the client.
    let _charge = netns.charge();
    match flow.schedule.pick(&Flow::of(&packet.tuple), (client, call)) {
        Ok(dest) => Ok((skb, dest)),
        Err(NoDest::Usable) if flow.by_mark && may_pass_by(netns, packet) => {
            Err(Verdict::Accept(skb))
        }
        Err(NoDest::Usable) => {
            let told = (Counter::DropNoDest, Answer::PortUnreachable);
            Err(refuse(cx, skb, F::VERSION, told))
        }
        Err(NoDest::Memory) => Err(discard(cx, skb, Counter::DropNoMemory)),
    }
}

/// Makes the connection of a flow that goes to a dest.
fn open<'a, F: Balanced>(
    cx: Context<'a>,
    mut skb: Skb<'a>,
    packet: &Packet<F>,
    hash: u32,
    (flow, dest): (&Admitted<'a>, &Arc<Dest>),
) -> Step<'a, &'a Conn> {
    let netns = cx.netns;
    if flow.one_packet && netns.is_full() {
        // Nobody knew that its dest wants a connection.
        return Err(discard(cx, skb, Counter::DropConnMax));
    }
    if flow.by_mark {
        // Packets of the connection are for the early hook.
        let gate = F::gate(netns);
        gate.virtual_addresses.add(F::destination(&skb));
    }
    let Ok(opening) = opening(&mut skb, packet, dest) else {
        return Err(discard(cx, skb, Counter::DropNoMemory));
    };
    let new = NewFlow {
        tuple: packet.tuple,
        hash,
        state: flow.state,
        dest,
        schedule: flow.schedule,
        opening,
        told: flow.meant.map(|(_, told)| told),
    };
    let charge = netns.charge();
    let conn = netns.connect(&new, cx.rcu);
    drop(charge);
    let conn = match conn {
        Ok(conn) => conn,
        Err(NoConnection::Memory) => {
            return Err(discard(cx, skb, Counter::DropNoMemory));
        }
        Err(NoConnection::Port) => {
            let told = (Counter::DropNoPort, Answer::PortUnreachable);
            return Err(refuse(cx, skb, F::VERSION, told));
        }
    };
    if flow.state.assures() {
        conn.assure();
    }
    Ok((skb, conn))
}

/// What a connection opens with, where its dest is to see other sequence numbers. An error when
/// there is no memory.
fn opening<F: Balanced>(
    skb: &mut Skb<'_>,
    packet: &Packet<F>,
    dest: &Dest,
) -> Result<Option<Opening>> {
    let opens = packet.ip.protocol() == TCP && packet.segment.flags.opens();
    if !opens || dest.mode() != Mode::FullNat {
        return Ok(None);
    }
    let end = packet.headers_len();
    if skb.head().len() < end && !skb.pull(end) {
        return Err(ENOMEM);
    }
    let header = skb.head().get(packet.ip.header_len()..end).ok_or(EINVAL)?;
    Ok(Opening::read(header))
}

/// Whether a flow without a dest goes where it is to, which is not this host (`cache_bypass`). Its
/// packets are nobody's, so no connection is kept.
fn may_pass_by<F: Balanced>(netns: &Netns, packet: &Packet<F>) -> bool {
    netns.settings.cache_bypass() && !route::is_of_this_host(netns.net(), packet.tuple.dst().into())
}

/// Whether a TCP packet of no connection begins one: a SYN, or any but a reset where the operator
/// wants to take over connections of another director.
fn may_begin(netns: &Netns, flags: TcpFlags) -> bool {
    flags.opens() || (netns.settings.sloppy_tcp() && !flags.has(TcpFlags::RST))
}

/// Whether a packet of SCTP of no association begins one although it does not open it, likewise: any
/// but an abort.
fn may_go_on(netns: &Netns, event: sctp::Event) -> bool {
    netns.settings.sloppy_sctp() && event != sctp::Event::Abort
}

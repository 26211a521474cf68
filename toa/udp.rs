// SPDX-License-Identifier: GPL-2.0

//! Datagrams that a director forwards come to programs as the client's, and the programs' answers
//! go back to the director.
//!
//! Between the hooks and the wire everything is as the director has it: connection tracking and
//! filter rules see its address.

use core::{marker::PhantomData, net::SocketAddr};

use crate::{
    engine::{
        csum::Delta,
        family::{Address, IpHeader, Tuple, V4, V6},
        opp,
        rewrite::{self, Checksum, Deltas},
        toa::Malformed,
        uoa::Carrier,
        wire::{Error, IcmpError, IcmpFamily, Packet, UDP},
    },
    flows::{destination, source, Learned},
    kapi::{
        defrag,
        netfilter::{self, Description, Hook, Place, Verdict},
        packet,
        rcu::Rcu,
        skb::Skb,
        trace,
    },
    state::{Counter, Kept, Netns},
};

/// What comes is changed behind everything that looks at it, and what goes before.
pub(crate) const LAST: i32 = 500;
const FIRST: i32 = -500;

/// An IP version whose datagrams are restored.
pub(crate) trait Restored: IcmpFamily<Tuple: Kept> + Carrier {}

impl Restored for V4 {}
impl Restored for V6 {}

/// The hooks that restore clients' addresses in a namespace.
pub(crate) fn describe() -> [Description<Netns>; 4] {
    [
        netfilter::describe::<_, Coming<V4>>(),
        netfilter::describe::<_, Going<V4>>(),
        netfilter::describe::<_, Coming<V6>>(),
        netfilter::describe::<_, Going<V6>>(),
    ]
}

/// Packets for sockets of this host.
struct Coming<F>(PhantomData<F>);

impl<F: Restored> Hook<Netns> for Coming<F> {
    const PLACE: Place = Place::LocalIn;
    const PRIORITY: i32 = LAST;
    const VERSION: u8 = F::VERSION;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        let Some(mut ip) = read::<F>(&mut skb) else {
            return Verdict::Accept(skb);
        };
        // IPv4's came together ahead of us, IPv6's would behind.
        if ip.is_fragment() && netns.trusts(ip.tuple(0).src().into(), rcu) {
            skb = match defrag::gather(skb, netns.net, F::VERSION) {
                Ok(whole) => whole,
                Err(queued) => return Verdict::Stolen(queued),
            };
            match read::<F>(&mut skb) {
                Some(whole) => ip = whole,
                None => return Verdict::Accept(skb),
            }
        }
        let has_flows = F::Tuple::flows(netns).len() != 0;
        let has_options = ip.header_len() != F::Ip::FIXED_LEN;
        match ip.protocol() {
            UDP if has_flows || has_options || netns.demands_of(ip.tuple(0).src().into(), rcu) => {
                datagram::<F>(netns, skb, None, rcu)
            }
            opp::PROTOCOL => wrapped::<F>(netns, skb, ip, rcu),
            protocol if has_flows && protocol == F::ICMP => error::<F>(netns, skb, rcu, Way::In),
            _ => Verdict::Accept(skb),
        }
    }
}

/// Packets of sockets of this host.
struct Going<F>(PhantomData<F>);

impl<F: Restored> Hook<Netns> for Going<F> {
    const PLACE: Place = Place::LocalOut;
    const PRIORITY: i32 = FIRST;
    const VERSION: u8 = F::VERSION;

    fn packet<'a>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
        if F::Tuple::flows(netns).len() == 0 {
            return Verdict::Accept(skb);
        }
        let Some(ip) = read::<F>(&mut skb) else {
            return Verdict::Accept(skb);
        };
        match ip.protocol() {
            UDP => answer::<F>(netns, skb, rcu),
            protocol if protocol == F::ICMP => error::<F>(netns, skb, rcu, Way::Out),
            _ => Verdict::Accept(skb),
        }
    }
}

/// The IP header of a packet; more of it is made linear if that takes it.
pub(crate) fn read<F: Restored>(skb: &mut Skb<'_>) -> Option<F::Ip> {
    retry(skb, F::Ip::parse)
}

/// What `parse` reads, once as much of the packet is linear as that takes.
pub(crate) fn retry<R>(
    skb: &mut Skb<'_>,
    parse: impl Fn(&[u8], usize) -> core::result::Result<R, Error>,
) -> Option<R> {
    // Once for each header.
    for _ in 0..4 {
        match parse(skb.head(), skb.len() as usize) {
            Ok(read) => return Some(read),
            Err(Error::NotLinear(len)) if skb.pull(len) => {}
            Err(_) => return None,
        }
    }
    None
}

/// A datagram that has come, perhaps from a director.
/// `told`: whom it is from, by what was in front of it.
fn datagram<'a, F: Restored>(
    netns: &'a Netns,
    mut skb: Skb<'a>,
    told: Option<SocketAddr>,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let Some(packet) = retry(&mut skb, Packet::<F>::parse) else {
        return Verdict::Accept(skb);
    };
    let (flows, tuple) = (F::Tuple::flows(netns), packet.tuple);
    let header_len = packet.ip.header_len();
    let has_options = header_len != F::Ip::FIXED_LEN;
    if has_options || told.is_some() {
        let header = skb.head().get(..header_len).unwrap_or_default();
        let told = told.map_or_else(|| F::find(header), |client| Ok(Some(client)));
        let is_believed = learn::<F>(netns, &tuple, told, rcu);
        if is_believed && packet.ip.total_len() == packet.headers_len() {
            // It came ahead of one that has no room for the option.
            return Verdict::Drop(skb);
        }
    }
    let Some(client) = flows.client(&tuple, rcu) else {
        if netns.demands_of(tuple.src().into(), rcu) {
            netns.count(Counter::WithoutOption);
            return Verdict::Drop(skb);
        }
        flows.came_straight(&tuple, rcu);
        return Verdict::Accept(skb);
    };
    let to = F::Tuple::between(client, destination(&tuple), UDP);
    if !translate(&mut skb, &packet, &to) {
        netns.count(Counter::NoMemory);
        return Verdict::Drop(skb);
    }
    if has_options {
        // Programs may look at options, and this one is not the client's.
        let _ = skb.head_mut().get_mut(..header_len).and_then(F::blank);
    }
    // It was looked for by the director's address.
    packet::forget_socket(&mut skb);
    Verdict::Accept(skb)
}

/// A datagram that has come behind a header of DPVS's, which nobody but us understands.
#[cold]
fn wrapped<'a, F: Restored>(
    netns: &'a Netns,
    mut skb: Skb<'a>,
    ip: F::Ip,
    rcu: Rcu<'a>,
) -> Verdict<'a> {
    let at = ip.header_len();
    let Some(len) = retry(&mut skb, |head, len| opp::parse(head, at, len)) else {
        return Verdict::Accept(skb);
    };
    let header = skb.head().get(at..).and_then(|header| header.get(..len));
    let told = opp::find(header.unwrap_or_default());
    let Some(client) = netns.believed(told, ip.tuple(0).src().into(), rcu) else {
        return Verdict::Accept(skb);
    };
    // The header goes, so that what is left is a datagram as any other.
    let end = at.saturating_add(len);
    if !skb.make_writable(end, 0) {
        netns.count(Counter::NoMemory);
        return Verdict::Drop(skb);
    }
    skb.forget_checksum();
    if opp::unwrap::<F>(skb.head_mut(), at, len).is_none() || !packet::close_gap(&mut skb, len, at)
    {
        netns.count(Counter::Malformed);
        return Verdict::Drop(skb);
    }
    datagram::<F>(netns, skb, Some(client), rcu)
}

/// Learns a client that a datagram tells of, if its sender is to be believed. True when it is.
#[cold]
fn learn<F: Restored>(
    netns: &Netns,
    tuple: &F::Tuple,
    told: core::result::Result<Option<SocketAddr>, Malformed>,
    rcu: Rcu<'_>,
) -> bool {
    let Some(client) = netns.believed(told, tuple.src().into(), rcu) else {
        return false;
    };
    let Some(address) = Address::of(client.ip()) else {
        // It does not fit a packet of this version.
        netns.count(Counter::BadAddress);
        return true;
    };
    let flows = F::Tuple::flows(netns);
    match flows.learn(tuple, (address, client.port()), rcu) {
        Learned::Known => {}
        Learned::New => became_known(netns, tuple, client),
        Learned::Instead => {
            netns.count(Counter::FlowEvicted);
            became_known(netns, tuple, client);
        }
        Learned::No => netns.count(Counter::NoMemory),
    }
    true
}

/// The client of a flow became known.
fn became_known(netns: &Netns, tuple: &impl Tuple, client: SocketAddr) {
    netns.flow_learned();
    trace::learned(netns.net(), || trace::Learned {
        protocol: UDP,
        client,
        peer: tuple.source(),
        local: tuple.destination(),
    });
}

/// A datagram that goes, perhaps an answer to a client.
fn answer<'a, F: Restored>(netns: &'a Netns, mut skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a> {
    let Some(packet) = retry(&mut skb, Packet::<F>::parse) else {
        return Verdict::Accept(skb);
    };
    let Some(director) = F::Tuple::flows(netns).director(&packet.tuple, rcu) else {
        return Verdict::Accept(skb);
    };
    let to = F::Tuple::between(source(&packet.tuple), director, UDP);
    skb.tell_of_missing_sum();
    if !translate(&mut skb, &packet, &to) || !packet::route_again(&mut skb) {
        netns.count(Counter::NoMemory);
        return Verdict::Drop(skb);
    }
    Verdict::Accept(skb)
}

/// Gives a datagram another tuple. False on lack of memory.
fn translate<F: Restored>(skb: &mut Skb<'_>, packet: &Packet<F>, to: &F::Tuple) -> bool {
    if !skb.make_writable(packet.headers_len(), 0) {
        return false;
    }
    skb.forget_checksum();
    let checksum = if skb.is_checksum_partial() {
        Checksum::PseudoHeader
    } else {
        Checksum::Whole
    };
    let deltas = Deltas::new(&packet.tuple, to);
    rewrite::packet(skb.head_mut(), &packet.ip, to, deltas, checksum).is_some()
}

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// An ICMP message, perhaps an error about a datagram of a flow: it says to whom it is what that
/// one has sent.
#[cold]
fn error<'a, F: Restored>(
    netns: &'a Netns,
    mut skb: Skb<'a>,
    rcu: Rcu<'a>,
    way: Way,
) -> Verdict<'a> {
    let read = retry(&mut skb, |head, len| {
        let ip = F::Ip::parse(head, len)?;
        Ok((ip, IcmpError::<F>::parse(head, &ip)?))
    });
    let Some((ip, error)) = read.filter(|(_, error)| error.tuple.protocol() == UDP) else {
        return Verdict::Accept(skb);
    };
    // What its receiver gets from the other side.
    let tuple = error.tuple.reversed();
    let flows = F::Tuple::flows(netns);
    let other = match way {
        Way::In => flows.client_of(&tuple, rcu),
        Way::Out => flows.director(&tuple, rcu),
    };
    let Some(other) = other else {
        return Verdict::Accept(skb);
    };
    let outer = ip.tuple(0);
    let (inner, outer) = match way {
        Way::In => (F::Tuple::between(source(&error.tuple), other, UDP), outer),
        Way::Out => (
            F::Tuple::between(other, destination(&error.tuple), UDP),
            F::Tuple::between(source(&outer), other, F::ICMP),
        ),
    };
    // Its checksum covers all of it.
    let len = ip.total_len();
    let done = skb.pull(len)
        && skb.make_writable(len, 0)
        && {
            skb.forget_checksum();
            let head = skb.head_mut();
            rewrite::icmp_error(head, &ip, &error, &outer, &inner, |_| Some(Delta::NONE)).is_some()
        }
        && (way == Way::In || packet::route_again(&mut skb));
    if done {
        Verdict::Accept(skb)
    } else {
        netns.count(Counter::NoMemory);
        Verdict::Drop(skb)
    }
}

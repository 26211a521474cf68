// SPDX-License-Identifier: GPL-2.0

//! ICMP echo requests to a virtual address, where the operator wants other than the host's answer.

use core::sync::atomic::AtomicU32;

use super::{
    answer::{discard, refuse},
    context::Context,
    forward,
    gate::Balanced,
    source, track,
    xmit::{leave, Exit},
};
use crate::{
    engine::{
        echo::{self, Echo},
        family::{Address, IpHeader, Tuple},
        spec::Mode,
    },
    kapi::{icmp::Answer, netfilter::Verdict, route::Reply, skb::Skb},
    table::Counter,
};

/// An ICMP message to a virtual address that is no error. Its ICMP header is linear.
#[cold]
pub(super) fn receive<'a, F: Balanced>(cx: Context<'a>, skb: Skb<'a>, ip: &F::Ip) -> Verdict<'a> {
    let wanted = cx.netns.settings.echo();
    // What programs here send is not for us to answer: the host knows them better.
    let is_ours = wanted != Echo::Host && !cx.place.is_local_out();
    if !is_ours || skb.is_checksum_partial() || !echo::is_request::<F>(skb.head(), ip) {
        return Verdict::Accept(skb);
    }
    let flow = ip.tuple(0);
    let Some(schedule) = cx.netns.schedule_of_address(&flow, cx.rcu) else {
        return Verdict::Accept(skb);
    };
    let skb = match source::check::<F>(cx, skb, ip) {
        Ok(skb) => skb,
        Err(verdict) => return verdict,
    };
    if wanted == Echo::Answer {
        return answer::<F>(cx, skb, ip);
    }
    let client = flow.src().folded();
    match schedule.by_hash(client) {
        Some(dest) if matches!(dest.mode(), Mode::Dr | Mode::Tun) => {
            match track::whole(cx, dest, skb, dest.tracks()) {
                Ok(skb) => forward::whole::<F>(cx, dest, skb, ip, client),
                Err(verdict) => verdict,
            }
        }
        Some(_) => answer::<F>(cx, skb, ip),
        None => {
            let told = (Counter::DropNoDest, Answer::HostUnreachable);
            refuse(cx, skb, F::VERSION, told)
        }
    }
}

/// Sends the answer.
fn answer<'a, F: Balanced>(cx: Context<'a>, mut skb: Skb<'a>, ip: &F::Ip) -> Verdict<'a> {
    let (netns, to) = (cx.netns, ip.tuple(0).reversed());
    let number = AtomicU32::new(0);
    // The worker lets go of the way.
    netns.expect_work();
    let reply = Reply::new(&skb, ip.protocol(), to.source(), to.destination());
    let way = netns.find_way_back(&reply, &number, cx.rcu);
    let way = match way {
        Ok(way) if !way.is_local() => way,
        // This host's own, or from where nobody could be.
        _ => return Verdict::Accept(skb),
    };
    let writes = echo::writes(ip);
    if !skb.make_writable(writes, way.headroom()) {
        return discard(cx, skb, Counter::DropNoMemory);
    }
    skb.forget_checksum();
    if echo::answer::<F>(skb.head_mut(), ip).is_none() {
        return discard(cx, skb, Counter::DropMalformed);
    }
    // What came in fragments leaves in such.
    let exit = match skb.len() <= way.straight() {
        true => Exit::Straight,
        false => Exit::Slow,
    };
    leave(cx, way, skb, exit)
}

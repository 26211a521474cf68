// SPDX-License-Identifier: GPL-2.0

//! Answers to packets that cannot be forwarded.
//!
//! C header: [`include/net/icmp.h`](srctree/include/net/icmp.h)

use super::skb::Skb;
use crate::bindings;

/// An ICMP error message.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Nobody listens on the port.
    PortUnreachable,
    /// No way to the host.
    HostUnreachable,
    /// Larger than the path's MTU, in bytes, and not to be fragmented.
    FragmentationNeeded(u32),
    /// The time to live is used up.
    TimeExceeded,
}

/// Tells the sender of an IPv4 packet what became of it; rate limits are the kernel's.
///
/// The kernel needs the packet's route to answer; without one there is no answer.
pub(crate) fn answer(skb: &mut Skb<'_>, answer: Answer) {
    if !skb.route_input() {
        return;
    }
    let (kind, code, info) = match answer {
        Answer::PortUnreachable => (bindings::ICMP_DEST_UNREACH, bindings::ICMP_PORT_UNREACH, 0),
        Answer::HostUnreachable => (bindings::ICMP_DEST_UNREACH, bindings::ICMP_HOST_UNREACH, 0),
        Answer::FragmentationNeeded(mtu) => {
            (bindings::ICMP_DEST_UNREACH, bindings::ICMP_FRAG_NEEDED, mtu)
        }
        Answer::TimeExceeded => (bindings::ICMP_TIME_EXCEEDED, bindings::ICMP_EXC_TTL, 0),
    };
    // SAFETY: As above, and the packet has a route.
    unsafe { bindings::icmp_send(skb.as_raw(), kind as i32, code as i32, info.to_be()) };
}

// SPDX-License-Identifier: GPL-2.0

//! Answers to packets that cannot be forwarded.
//!
//! C header: [`include/net/icmp.h`](srctree/include/net/icmp.h)

use super::{netns::Net, skb::Skb};
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

/// Tells the sender of a packet of that IP version what became of it; rate limits are the kernel's.
pub(crate) fn answer(skb: &mut Skb<'_>, version: u8, answer: Answer) {
    if version == 4 {
        answer_v4(skb, answer);
    } else {
        answer_v6(skb, answer);
    }
}

fn answer_v6(skb: &mut Skb<'_>, answer: Answer) {
    let (kind, code, info) = match answer {
        Answer::PortUnreachable => (
            bindings::ICMPV6_DEST_UNREACH,
            bindings::ICMPV6_PORT_UNREACH,
            0,
        ),
        Answer::HostUnreachable => (
            bindings::ICMPV6_DEST_UNREACH,
            bindings::ICMPV6_ADDR_UNREACH,
            0,
        ),
        Answer::FragmentationNeeded(mtu) => (bindings::ICMPV6_PKT_TOOBIG, 0, mtu),
        Answer::TimeExceeded => (
            bindings::ICMPV6_TIME_EXCEED,
            bindings::ICMPV6_EXC_HOPLIMIT,
            0,
        ),
    };
    // SAFETY: The packet is live and ours.
    unsafe { bindings::rvs_icmpv6_send(skb.as_raw(), kind as u8, code as u8, info) };
}

/// The kernel needs an IPv4 packet's route to answer; without one there is no answer.
fn answer_v4(skb: &mut Skb<'_>, answer: Answer) {
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

/// What an ICMP error about a tunnel is passed on as.
pub(crate) struct PassedOn {
    /// Where the tunnel's header starts in the message, in bytes.
    pub(crate) outer: u32,
    /// Where the packet in it starts.
    pub(crate) inner: u32,
    /// The new MTU of the path; 0 where that is not what the message is about.
    pub(crate) path: u32,
    /// Type and code of what its sender is told; type 0 is nothing.
    pub(crate) told: (u8, u8),
    /// The rest of that header, host order.
    pub(crate) info: u32,
}

/// Tells the sender of the packet in a tunnel what the ICMP message in `skb` says of that tunnel,
/// and the host's routes what it says of the path. Both headers are in the linear part. The packet
/// is then the one in the tunnel.
pub(crate) fn pass_on(skb: &mut Skb<'_>, net: &Net, message: &PassedOn) {
    let PassedOn {
        outer,
        inner,
        path,
        told: (kind, code),
        info,
    } = *message;
    let (net, raw) = (net.as_raw(), skb.as_raw());
    // SAFETY: The packet is live and ours, the namespace too; the helper looks whether the packet
    // is that long.
    unsafe { bindings::rvs_pass_on(net, raw, outer, inner, path, kind, code, info) };
}

/// Has the host's routes know that a path takes `mtu` bytes: that of the packet of the message's
/// family whose header is at `offset` in the linear part of `skb`, an ICMP message.
pub(crate) fn learn_path(skb: &mut Skb<'_>, net: &Net, offset: usize, mtu: u32) {
    // SAFETY: The packet is live and ours, the namespace too; the helper looks whether the packet is
    // that long.
    unsafe { bindings::rvs_learn_path(net.as_raw(), skb.as_raw(), offset as u32, mtu) };
}

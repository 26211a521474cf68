// SPDX-License-Identifier: GPL-2.0

//! How packets leave that do not go straight to the neighbour.

use crate::{
    engine::{
        family::{Family, IpHeader, V4, V6},
        wire::IcmpFamily,
    },
    kapi::{route::NextHop, skb::Skb},
};

/// How a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::datapath) enum Exit {
    /// To the neighbour.
    Straight,
    /// By the kernel's own output, which cuts it where it is too long.
    Slow,
    /// Not at all: it is for this host.
    Home,
    /// By the route that the host has found for it.
    OnItsWay,
}

/// How a packet leaves that is longer than what may go straight. An error is the MTU of one that may
/// not be cut.
#[cold]
pub(super) fn exit<F: Family>(
    skb: &Skb<'_>,
    way: &NextHop,
    ip: &F::Ip,
    pushes: u32,
    forwarded: bool,
) -> Result<Exit, u32> {
    let mtu = way.mtu().saturating_sub(pushes);
    // A packet over the MTU may be one that will be cut into segments under it.
    // An IPv6 packet that came in fragments leaves in such.
    let came_whole = || F::VERSION == 4 || !(forwarded && skb.came_in_fragments_v6());
    let least = least::<F>();
    match (skb.fits(mtu), way.straight()) {
        (true, 0) => Ok(Exit::Slow),
        (true, _) => Ok(Exit::Straight),
        // Senders of IPv6 go no lower: the packet around it is cut, or the one of IPv4 that it becomes.
        (false, _) if F::VERSION == 6 && skb.fits(least) => Ok(Exit::Slow),
        (false, _) if ip.dont_fragment() && came_whole() => Err(mtu.max(least)),
        (false, _) => Ok(Exit::Slow),
    }
}

/// The least MTU that a sender is told of.
fn least<F: Family>() -> u32 {
    match F::VERSION {
        4 => V4::MTU_MIN,
        _ => V6::MTU_MIN,
    }
}

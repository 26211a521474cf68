// SPDX-License-Identifier: GPL-2.0

//! What other modules are told of packets that were sent on: `xt_rvs.ko`.

use core::net::{IpAddr, SocketAddr};

use super::{netns::Net, rcu::Rcu, skb::Skb};
use crate::bindings;

/// The connection of a packet, as its service's clients know it.
pub(crate) struct Seen {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    /// What its client asks for.
    pub(crate) virtual_address: SocketAddr,
    /// The port of what keeps its client with the dest, 0 for all; none where nothing does.
    pub(crate) kept_port: Option<u16>,
    /// How it goes to its dest, as `ip_vs` numbers that.
    pub(crate) method: u8,
}

/// Who finds connections.
pub(crate) trait See {
    /// That of a packet of an IP version, in a namespace.
    fn see(net: &Net, skb: &Skb<'_>, version: u8, rcu: Rcu<'_>) -> Option<Seen>;
}

/// Has `S` find them from now on, until the module goes.
pub(crate) fn seen_by<S: See>() {
    // SAFETY: The function is of this module, which those who call it need.
    unsafe { bindings::rvs_seen_by(Some(see::<S>)) };
}

extern "C" fn see<S: See>(
    net: *mut bindings::net,
    skb: *const bindings::sk_buff,
    version: u8,
    seen: *mut bindings::rvs_seen,
) -> bool {
    // SAFETY: Who asks has a live namespace, holds RCU's read lock, and a packet of its own that it does
    // not use meanwhile; nothing is written to it here.
    let (net, rcu, packet) = unsafe {
        (
            Net::from_raw(net),
            Rcu::assume_held(),
            Skb::from_raw(skb.cast_mut()),
        )
    };
    let found = S::see(net, &packet, version, rcu);
    // One between both is of none that a rule of this IP version could name.
    let Some(found) = found.filter(|found| found.virtual_address.is_ipv6() == (version == 6))
    else {
        return false;
    };
    let mut address = [0; 16];
    let octets = match found.virtual_address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_compatible().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    // An address of IPv4 is at the end of those.
    let from = if version == 4 { 12 } else { 0 };
    for (to, from) in address.iter_mut().zip(octets.iter().skip(from)) {
        *to = *from;
    }
    let told = bindings::rvs_seen {
        address,
        port: found.virtual_address.port().to_be(),
        kept_port: found.kept_port.unwrap_or(0).to_be(),
        is_kept: found.kept_port.is_some(),
        protocol: found.protocol,
        method: found.method,
    };
    // SAFETY: Who asks has room for it.
    unsafe { seen.write(told) };
    true
}

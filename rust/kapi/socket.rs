// SPDX-License-Identifier: GPL-2.0

//! Sockets of this host's programs.
//!
//! C header: [`include/net/inet_hashtables.h`](srctree/include/net/inet_hashtables.h)

use core::{net::IpAddr, net::SocketAddr, ptr};

use super::{netdev::Device, netns::Net, rcu::Rcu};
use crate::bindings;

/// Whether one of TCP or UDP would get what `from` sends to `to`, by `device` where that is known.
/// Not those that are bound but neither connected nor listening, of TCP.
pub(crate) fn is_there(
    net: &Net,
    protocol: u8,
    (from, to): (SocketAddr, SocketAddr),
    device: Option<Device>,
    _rcu: Rcu<'_>,
) -> bool {
    let bytes = |end: SocketAddr| match end.ip() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (4u8, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(v6) => (6, v6.octets()),
    };
    let ((version, source), (of_other, destination)) = (bytes(from), bytes(to));
    let device = device.map_or(ptr::null_mut(), |device| device.0);
    if version != of_other {
        return false;
    }
    // SAFETY: The namespace is alive, the pointers are to as many bytes as the version's addresses
    // have, and the device is one of a route that lives while the read lock is held.
    unsafe {
        bindings::rvs_has_socket(
            net.as_raw(),
            version,
            protocol,
            ptr::addr_of!(source).cast(),
            from.port().to_be(),
            ptr::addr_of!(destination).cast(),
            to.port().to_be(),
            device.cast(),
        )
    }
}

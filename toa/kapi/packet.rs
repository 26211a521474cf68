// SPDX-License-Identifier: GPL-2.0

//! What is done to packets of this host's sockets.
//!
//! C headers: [`include/linux/netfilter_ipv4.h`](srctree/include/linux/netfilter_ipv4.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::skb::Skb;
use crate::bindings;

/// Has the socket of a received packet looked up by what its headers say now.
pub(crate) fn forget_socket(skb: &mut Skb<'_>) {
    // SAFETY: The packet is live and ours.
    unsafe { bindings::toa_forget_socket(skb.as_raw().cast()) };
}

/// Routes a packet that a program sends by what its headers say now. False when that fails.
pub(crate) fn route_again(skb: &mut Skb<'_>) -> bool {
    // SAFETY: The packet is live and ours, and has the route that it was sent with.
    unsafe { bindings::toa_route_again(skb.as_raw().cast()) }
}

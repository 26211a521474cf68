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

/// Takes the first `len` bytes, which are linear, off a packet, whose transport header is then at
/// `transport`.
pub(crate) fn close_gap(skb: &mut Skb<'_>, len: usize, transport: usize) -> bool {
    let end = len.saturating_add(transport);
    if end > skb.head().len() {
        return false;
    }
    // SAFETY: The packet is live and ours, and that much of it is linear.
    unsafe { bindings::toa_close_gap(skb.as_raw().cast(), len as u32, transport as u32) };
    true
}

/// Whether there is a connection that a received TCP segment, whose header is at `transport`, belongs
/// to: one with a socket, or one that is over.
pub(crate) fn has_connection(skb: &Skb<'_>, transport: usize) -> bool {
    /// Bytes of the header's ports.
    const PORTS: usize = 4;
    if transport.saturating_add(PORTS) > skb.head().len() {
        return true;
    }
    // SAFETY: The packet is live and at LOCAL_IN, and its ports are linear.
    unsafe { bindings::toa_has_connection(skb.as_raw().cast(), transport as u32) }
}

/// Sends `bytes`, a packet with an IP header of `transport` bytes, to whom its header says, as an
/// answer to `skb`. False when that fails.
pub(crate) fn answer(skb: &Skb<'_>, bytes: &[u8], transport: usize) -> bool {
    if transport > bytes.len() {
        return false;
    }
    let (from, len) = (bytes.as_ptr().cast(), bytes.len() as u32);
    // SAFETY: The packet is live and has the route that it came by; `len` bytes are copied.
    unsafe { bindings::toa_answer(skb.as_raw().cast(), from, len, transport as u32) }
}

/// Routes a packet that a program sends by what its headers say now. False when that fails.
pub(crate) fn route_again(skb: &mut Skb<'_>) -> bool {
    // SAFETY: The packet is live and ours, and has the route that it was sent with.
    unsafe { bindings::toa_route_again(skb.as_raw().cast()) }
}

// SPDX-License-Identifier: GPL-2.0

//! Putting IPv6 fragments together.
//!
//! The kernel does that for connection tracking, in `nf_defrag_ipv6`. Our modules load that one when
//! they are loaded themselves, so that `insmod rvs.ko` needs nothing else. Without it fragments pass
//! us by as packets of nobody.
//!
//! C header: [`include/net/netfilter/ipv6/nf_defrag_ipv6.h`](srctree/include/net/netfilter/ipv6/nf_defrag_ipv6.h)

use super::{
    netns::Net,
    skb::{Consumed, Skb},
};
use crate::bindings;

/// Holds the kernel's defragmentation while it is wanted.
pub(crate) struct Defrag6(());

impl Defrag6 {
    /// Makes it available, until the value is dropped. Once, by the module's init.
    pub(crate) fn new() -> Self {
        // SAFETY: May sleep, and so may our caller.
        unsafe { bindings::rvs_defrag6_get() };
        Self(())
    }
}

impl Drop for Defrag6 {
    fn drop(&mut self) {
        // SAFETY: Pairs with `new`.
        unsafe { bindings::rvs_defrag6_put() };
    }
}

/// As [`Skb::defragment`].
pub(super) fn gather<'a>(skb: Skb<'a>, net: &Net) -> Result<Skb<'a>, Consumed> {
    // SAFETY: The packet is live and ours; the queue owns it when true is returned. Hooks run under
    // RCU, which is what keeps the function there.
    if unsafe { bindings::rvs_defrag6(net.as_raw(), skb.as_raw()) } {
        // SAFETY: As above.
        Err(unsafe { Consumed::new() })
    } else {
        Ok(skb)
    }
}

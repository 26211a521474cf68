// SPDX-License-Identifier: GPL-2.0

//! Putting fragments together.
//!
//! Those of IPv6 the kernel puts together for connection tracking, in `nf_defrag_ipv6`. Our modules load that one when
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

/// Puts a packet's fragments together, where this host can; a packet of that IP version.
///
/// An error when this was not the last one: the packet is kept until the others come. The network
/// header of what comes back is at its start.
pub(crate) fn gather<'a>(skb: Skb<'a>, net: &Net, version: u8) -> Result<Skb<'a>, Consumed> {
    if version == 4 {
        gather_v4(skb, net)
    } else {
        gather_v6(skb, net)
    }
}

fn gather_v4<'a>(skb: Skb<'a>, net: &Net) -> Result<Skb<'a>, Consumed> {
    // SAFETY: The packet is live and ours; the queue owns it unless 0 is returned. Its locks are
    // also taken in softirqs, which a local sender's process has not turned off.
    let error = unsafe {
        bindings::local_bh_disable();
        let error = bindings::ip_defrag(
            net.as_raw(),
            skb.as_raw(),
            bindings::ip_defrag_users_IP_DEFRAG_VS_IN,
        );
        bindings::local_bh_enable();
        error
    };
    if error == 0 {
        Ok(skb)
    } else {
        // SAFETY: `ip_defrag` keeps or frees the packet when it returns an error.
        Err(unsafe { Consumed::new() })
    }
}

fn gather_v6<'a>(skb: Skb<'a>, net: &Net) -> Result<Skb<'a>, Consumed> {
    // SAFETY: The packet is live and ours; the queue owns it when true is returned. Hooks run under
    // RCU, which is what keeps the function there.
    if unsafe { bindings::rvs_defrag6(net.as_raw(), skb.as_raw()) } {
        // SAFETY: As above.
        Err(unsafe { Consumed::new() })
    } else {
        Ok(skb)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What lets packets of a tracked flow go past the host's connection tracking for a moment.
//!
//! C header: [`include/net/netfilter/nf_conntrack_acct.h`](srctree/include/net/netfilter/nf_conntrack_acct.h)

use core::net::SocketAddr;

use super::{
    netns::Net,
    skb::Skb,
    track::{address_of, end},
};
use crate::bindings::{self, rvs_carried, rvs_watch};

/// Packets and bytes that a flow's entry does not know of: of the client and of the dest.
pub(crate) struct Carried {
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
}

impl Carried {
    /// Whether there are none.
    pub(crate) fn is_nothing(&self) -> bool {
        self.packets == [0; 2]
    }

    fn raw(&self) -> rvs_carried {
        rvs_carried {
            packets: self.packets,
            bytes: self.bytes,
        }
    }
}

/// What a flow's entry allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Nothing.
    Nothing,
    /// Packets are as they would be without connection tracking.
    Plain,
    /// Those to the dest get that source.
    Renamed(SocketAddr),
}

/// The ends of a tracked flow.
pub(crate) struct Ends {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    pub(crate) client: SocketAddr,
    pub(crate) virtual_address: SocketAddr,
    /// None where the dest's answers pass this host by.
    pub(crate) dest: Option<SocketAddr>,
}

/// Watches a packet on its way through the host's output. Softirqs are off meanwhile, and the entry
/// that the packet had is held.
pub(crate) struct Watch(rvs_watch);

impl Watch {
    /// From here on.
    pub(crate) fn begin(skb: &Skb<'_>) -> Self {
        let mut watch = rvs_watch::default();
        // SAFETY: The packet is live; dropping the result ends it.
        unsafe { bindings::rvs_watch_begin(skb.as_raw(), &mut watch) };
        Self(watch)
    }

    /// Whether it has come to the end of it.
    pub(crate) fn has_passed(&self) -> bool {
        // SAFETY: Begun, and not ended.
        unsafe { bindings::rvs_watch_has_passed(&self.0) }
    }

    /// What its entry allows, if that is the one of such ends.
    pub(crate) fn allowed(&self, ends: &Ends) -> Allowed {
        let of = |at| end(ends.protocol, at);
        let (client, virtual_address) = (of(ends.client), of(ends.virtual_address));
        let dest = ends.dest.map(of);
        let dest = dest.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
        let mut source = client;
        // SAFETY: As above; all ends are alive, but for `dest`, which may be null.
        let lane =
            unsafe { bindings::rvs_lane(&self.0, &client, &virtual_address, dest, &mut source) };
        match lane {
            bindings::rvs_lane_RVS_LANE_PLAIN => Allowed::Plain,
            bindings::rvs_lane_RVS_LANE_RENAMED => Allowed::Renamed(address_of(&source)),
            _ => Allowed::Nothing,
        }
    }

    /// Tells its entry of more packets.
    pub(crate) fn account(&self, ends: &Ends, carried: &Carried) {
        let client = end(ends.protocol, ends.client);
        // SAFETY: As above.
        unsafe { bindings::rvs_watch_account(&self.0, &client, &carried.raw()) };
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: Begun, and not ended.
        unsafe { bindings::rvs_watch_end(&mut self.0) };
    }
}

/// A balanced packet has come to the end of the host's output.
pub(crate) fn note_passed(skb: &Skb<'_>) {
    // SAFETY: In a packet's way, where the CPU stays the same; of the packet its address is taken.
    unsafe { bindings::rvs_note_passed(skb.as_raw()) };
}

/// Tells the entry between a client and a virtual address of more packets.
pub(crate) fn account(
    net: &Net,
    protocol: u8,
    client: SocketAddr,
    virtual_address: SocketAddr,
    carried: &Carried,
) {
    let (client, virtual_address) = (end(protocol, client), end(protocol, virtual_address));
    // SAFETY: The namespace is alive, and so are the others.
    unsafe { bindings::rvs_account(net.as_raw(), &client, &virtual_address, &carried.raw()) };
}

/// Whether IPsec has a say in what the host sends or forwards.
pub(crate) fn has_policies(net: &Net) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_has_policies(net.as_raw()) }
}

// SPDX-License-Identifier: GPL-2.0

//! The host's connection tracking, at `ip_vs`'s places.
//!
//! C header: [`include/net/netfilter/nf_conntrack.h`](srctree/include/net/netfilter/nf_conntrack.h)

use core::net::{IpAddr, SocketAddr};

use super::{netns::Net, skb::Skb};
use crate::bindings::{self, rvs_end};

/// Lets go of what was bound, when it is dropped: by the module's end.
pub(crate) struct Binding(());

impl Binding {
    /// Nothing is bound yet.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: Namespaces and their packets are gone by now.
        unsafe { bindings::rvs_track_unbind() };
    }
}

/// Binds what is called of the host's connection tracking, if that is there by now. May sleep.
pub(crate) fn bind() {
    // SAFETY: Neither has requirements but that the caller may sleep.
    unsafe {
        if !bindings::rvs_track_is_bound() {
            bindings::rvs_track_bind();
        }
    }
}

/// An end as C has it.
pub(super) fn end(protocol: u8, at: SocketAddr) -> rvs_end {
    let (version, address) = match at.ip() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(v6) => (6, v6.octets()),
    };
    rvs_end {
        version,
        protocol,
        port: at.port().to_be(),
        address,
    }
}

/// Address and port of an end.
pub(super) fn address_of(end: &rvs_end) -> SocketAddr {
    let [a, b, c, d, ..] = end.address;
    let ip = match end.version {
        4 => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(end.address),
    };
    SocketAddr::new(ip, u16::from_be(end.port))
}

/// The entry of a connection between a client and a virtual address ends with it.
pub(crate) fn end_entry(net: &Net, protocol: u8, client: SocketAddr, virtual_address: SocketAddr) {
    let (client, virtual_address) = (end(protocol, client), end(protocol, virtual_address));
    // SAFETY: The namespace is alive, and so are the ends.
    unsafe { bindings::rvs_end_entry(net.as_raw(), &client, &virtual_address) };
}

impl Skb<'_> {
    /// Tells the host that it was balanced, as `ip_vs` does.
    pub(crate) fn mark_balanced(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_mark_balanced(self.as_raw()) };
    }

    /// Whether it was, and keeps what connection tracking knows of it.
    pub(crate) fn keeps_track(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_keeps_track(self.as_raw()) }
    }

    /// From here on it is tracked no more.
    pub(crate) fn untrack(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_untrack(self.as_raw()) };
    }

    /// Whether it belongs to an entry that was there before it.
    pub(crate) fn has_old_entry(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_has_old_entry(self.as_raw()) }
    }

    /// Has the entry that it begins, if it does, expect answers from `dest`, the end that it is about to
    /// go to.
    pub(crate) fn expect_from(&mut self, protocol: u8, dest: SocketAddr) {
        // SAFETY: By the invariant; the end is alive.
        unsafe { bindings::rvs_alter_reply(self.as_raw(), &end(protocol, dest), false) };
    }

    /// Has the entry that it begins, if it does, expect answers to the virtual address that it is about
    /// to come from.
    pub(crate) fn expect_to(&mut self, protocol: u8, virtual_address: SocketAddr) {
        // SAFETY: As above.
        unsafe { bindings::rvs_alter_reply(self.as_raw(), &end(protocol, virtual_address), true) };
    }

    /// Confirms the entry that it begins, if it does, and leaves it: what is around it has one of its
    /// own. False when it is not to go on.
    pub(crate) fn confirm_and_leave(&mut self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_confirm_and_leave(self.as_raw()) }
    }
}

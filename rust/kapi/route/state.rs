// SPDX-License-Identifier: GPL-2.0

//! What is kept of a route and of rules, to be compared.

use core::{ffi::c_void, ptr};

use crate::{
    bindings::{self, rvs_route_state},
    kapi::netns::Net,
};

/// A kind of route, with what it was when it was looked up.
pub(super) enum Route {
    /// Of IPv4, as it is in the table: it changes with the namespace's generation of routes.
    Table,
    /// Of IPv4, with what was learned of one host: its path's MTU, which expires, or its next hop.
    Learned(rvs_route_state),
    /// Of IPv6.
    Six(rvs_route_state),
}

impl Route {
    /// One of IPv4.
    pub(super) fn v4(was: rvs_route_state) -> Self {
        match (was.mtu, was.gateway) {
            (0, 0) => Self::Table,
            _ => Self::Learned(was),
        }
    }

    /// The IP version of its packets.
    pub(super) fn version(&self) -> u8 {
        match self {
            Self::Table | Self::Learned(_) => 4,
            Self::Six(_) => 6,
        }
    }
}

/// The arrays of hooks in LOCAL_OUT and POST_ROUTING: who adds or takes out a rule there replaces
/// them. A new one may be where an old one was; the worker finds that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct OutputHooks([*const c_void; 2]);

impl OutputHooks {
    /// Those of an IP version's packets now.
    #[inline(always)]
    pub(super) fn of(net: &Net, version: u8) -> Self {
        let nf = net.as_raw();
        let places = [
            bindings::nf_inet_hooks_NF_INET_LOCAL_OUT,
            bindings::nf_inet_hooks_NF_INET_POST_ROUTING,
        ];
        // SAFETY: The namespace is alive, and others write the pointers whole.
        Self(places.map(|place| unsafe {
            let hooks = match version {
                4 => ptr::addr_of!((*nf).nf.hooks_ipv4),
                _ => ptr::addr_of!((*nf).nf.hooks_ipv6),
            };
            ptr::read_volatile(hooks.cast::<*const c_void>().add(place as usize))
        }))
    }
}

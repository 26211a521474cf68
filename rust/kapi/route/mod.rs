// SPDX-License-Identifier: GPL-2.0

//! Ways to other hosts: a route with its neighbour, kept while both are good.
//!
//! What is kept stands here, how it is found in `lookup`, what tells of each change in `told`, and
//! how packets leave in `leave`.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/neighbour.h`](srctree/include/net/neighbour.h)

use core::{
    net::IpAddr,
    ptr::{self, NonNull},
};

use self::state::{OutputHooks, Route};
use super::{netdev::Device, netns::Net};
use crate::bindings;

mod host;
mod leave;
mod lookup;
mod reply;
mod state;
mod told;

pub(crate) use host::{has_output_rules, is_of_this_host};
pub(crate) use leave::free;
pub(crate) use reply::{generation, has_rules_between, rules_ask, rules_ask_mark, Reply};

/// A route to another host, and the neighbour that it leads to.
///
/// # Invariants
///
/// Holds a reference on `route`, and on `neighbour` where there is one, both in `net`. The route is
/// a `rtable` or a `rt6_info`, as `kind` says.
pub(crate) struct NextHop {
    net: &'static Net,
    route: NonNull<bindings::dst_entry>,
    /// None when the way leads to this host, and where the route has an encapsulation of its own.
    neighbour: Option<NonNull<bindings::neighbour>>,
    /// What tells whether the route still holds.
    kind: Route,
    /// What tells whether the rules of what leaves are those of the look-up.
    hooks: OutputHooks,
    is_local: bool,
    /// States of the neighbour in which the header that it has in store is good for packets of this
    /// IP version.
    stored_in: u8,
    /// Those in which it is good for frames.
    framed_in: u8,
    /// Bytes that the device wants in front of the IP header.
    headroom: u32,
    mtu: u32,
    /// What may go straight to the neighbour: the MTU, or 0 where the host's own output has to see
    /// packets first.
    straight: u32,
    /// Packets go as this host's own, rather than as forwarded ones.
    own: bool,
    /// What this host's own packets that way have as source.
    source: IpAddr,
}

// SAFETY: Routes and neighbours may be used and released from any thread.
unsafe impl Send for NextHop {}
// SAFETY: As above.
unsafe impl Sync for NextHop {}

impl NextHop {
    #[inline]
    fn dst(&self) -> *mut bindings::dst_entry {
        self.route.as_ptr()
    }

    /// The IP version of packets that go this way.
    fn version(&self) -> u8 {
        self.kind.version()
    }

    /// The device it leaves by.
    #[inline]
    pub(crate) fn device(&self) -> Device {
        // SAFETY: Both members of the union are the same pointer; the kernel may exchange it for
        // the blackhole device at any time, hence one whole read.
        let device =
            unsafe { ptr::read_volatile(ptr::addr_of!((*self.dst()).__bindgen_anon_1.dev)) };
        Device(device.cast())
    }

    /// Whether it leads to this host.
    #[inline]
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// The source that this host's own packets take, such as a tunnel's.
    #[inline]
    pub(crate) fn source(&self) -> IpAddr {
        self.source
    }

    /// Largest packet that it takes whole, in bytes from the IP header on.
    #[inline]
    pub(crate) fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Largest packet that may go straight to the neighbour, by [`NextHop::send`]; 0 where none may.
    #[inline]
    pub(crate) fn straight(&self) -> u32 {
        self.straight
    }

    /// Largest packet that may go straight to the neighbour where those of its flow have passed the host's
    /// output; 0 where none may.
    pub(crate) fn straight_past_rules(&self) -> u32 {
        self.neighbour.map_or(0, |_| self.mtu)
    }

    /// Bytes that must be free in front of a packet that goes this way.
    #[inline]
    pub(crate) fn headroom(&self) -> u32 {
        self.headroom
    }
}

impl Drop for NextHop {
    fn drop(&mut self) {
        // SAFETY: By the invariant; nobody uses this next hop any more.
        unsafe {
            if let Some(neighbour) = self.neighbour {
                bindings::neigh_release(neighbour.as_ptr());
            }
            bindings::dst_release(self.dst());
        }
    }
}

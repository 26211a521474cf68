// SPDX-License-Identifier: GPL-2.0

//! What tells that a way no longer is what was looked up.
//!
//! Each packet asks [`NextHop::is_good`]. So whatever is kept of route, neighbour and device either
//! has something that changes with it and is compared there, or it is not kept but read where it is
//! needed. docs/design/packets.md has the table, and `tests/vm/test_way_changes.py` a test for each row.

use core::ptr;

use super::{
    state::{OutputHooks, Route},
    NextHop,
};
use crate::{bindings, kapi::time};

/// Ticks after which a neighbour that was sent nothing is held no longer.
const IDLE_TICKS: u32 = time::seconds(60);

impl NextHop {
    /// A hash of where it leads, and of what routes to there most often differ in; its upper half is
    /// the better one.
    pub(crate) fn hash(&self) -> u32 {
        let address = self.neighbour.map_or(0, |n| n.as_ptr() as usize);
        // Neighbours are some hundred bytes apart.
        let neighbour = ((address >> 8) as u32).wrapping_mul(0x9e37_79b1);
        neighbour ^ self.mtu.wrapping_mul(0x85eb_ca6b)
    }

    /// Whether this way is good and does to packets what `other` does, neighbour and route.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        self.is_good()
            && self.neighbour == other.neighbour
            && (self.mtu, self.straight, self.own) == (other.mtu, other.straight, other.own)
            // SAFETY: We hold both routes.
            && unsafe { bindings::rvs_routes_are_alike(self.dst(), other.dst()) }
    }

    /// Whether its neighbour is not found, or was sent nothing for a while, by anyone. Who keeps such
    /// a way keeps the neighbour from going.
    pub(crate) fn is_idle(&self) -> bool {
        self.neighbour.is_some_and(|neighbour| {
            // SAFETY: By the invariant.
            unsafe { bindings::rvs_neighbour_is_idle(neighbour.as_ptr(), IDLE_TICKS as usize) }
        })
    }

    /// Whether route, neighbour and rules are those that were looked up; if not, look the way up
    /// again. RCU's read lock is held.
    #[inline(always)] // Each packet asks.
    pub(crate) fn is_good(&self) -> bool {
        let is_good = match &self.kind {
            Route::Table => self.is_good_v4() && self.has_hooks(4),
            other => self.is_good_otherwise(other),
        };
        is_good
            && self.neighbour.is_none_or(|neighbour| {
                // SAFETY: By the invariant; others write the field whole.
                unsafe { ptr::read_volatile(ptr::addr_of!((*neighbour.as_ptr()).dead)) == 0 }
            })
    }

    /// Whether a route that is not one of IPv4's table, and the rules, are those that were looked up.
    #[inline]
    fn is_good_otherwise(&self, kind: &Route) -> bool {
        let (net, dst) = (self.net.as_raw(), self.dst());
        // SAFETY: By the invariant.
        let is_good = unsafe {
            match kind {
                Route::Table => self.is_good_v4(),
                Route::Learned(was) => bindings::rvs_learned_route_is_good(dst, was),
                Route::Six(was) => bindings::rvs_route6_is_good(net, dst, was),
            }
        };
        is_good && self.has_hooks(kind.version())
    }

    /// Whether the rules of packets of that IP version are those of the look-up.
    #[inline(always)]
    fn has_hooks(&self, version: u8) -> bool {
        OutputHooks::of(self.net, version) == self.hooks
    }

    #[inline(always)]
    fn is_good_v4(&self) -> bool {
        let route = self.route.as_ptr().cast::<bindings::rtable>();
        // SAFETY: By the invariant; others write these fields whole.
        let (obsolete, generation) = unsafe {
            (
                ptr::read_volatile(ptr::addr_of!((*route).dst.obsolete)),
                ptr::read_volatile(ptr::addr_of!((*route).rt_genid)),
            )
        };
        obsolete == bindings::DST_OBSOLETE_FORCE_CHK
            && generation == self.net.ipv4_route_generation()
    }
}

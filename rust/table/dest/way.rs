// SPDX-License-Identifier: GPL-2.0

//! The way to a dest, which is kept as long as it is good.

use core::net::IpAddr;

use kernel::prelude::*;

use super::super::ways::Which;
use crate::kapi::{
    netns::Net,
    rcu::{Rcu, RcuBox, RcuSlot},
    route::NextHop,
};

/// The way, if it is known.
pub(super) struct Way(RcuSlot<NextHop>);

impl Way {
    /// Not known.
    pub(super) const fn new() -> Self {
        Self(RcuSlot::empty())
    }

    /// It, if it is known and still good.
    #[inline(always)]
    pub(super) fn get<'a>(&'a self, rcu: Rcu<'a>) -> Option<&'a NextHop> {
        // Not by `filter`, which would be a function of its own.
        match self.0.get(rcu) {
            Some(way) if way.is_good() => Some(way),
            _ => None,
        }
    }

    /// Looks it up anew. From any context.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(super) fn find<'a>(
        &'a self,
        net: &'static Net,
        address: IpAddr,
        rcu: Rcu<'a>,
    ) -> Result<&'a NextHop> {
        let found = NextHop::lookup(net, address).and_then(|way| {
            let is_idle = way.is_idle();
            Ok((RcuBox::new(way, GFP_ATOMIC | __GFP_NOWARN)?, is_idle))
        });
        match found {
            // The way is not kept until its neighbour is found: that may never be.
            Ok((way, true)) => {
                self.0.replace(None);
                Ok(RcuBox::lend(way, rcu))
            }
            Ok((way, false)) => Ok(self.0.publish(way, rcu)),
            Err(error) => {
                // A way that is no longer good would hold on to its device.
                self.0.replace(None);
                Err(error)
            }
        }
    }

    /// Forgets it where it is one of `which`.
    pub(super) fn forget(&self, which: Which) {
        let guard = kernel::sync::rcu::read_lock();
        let way = self.0.get(Rcu::of(&guard));
        if way.is_some_and(|way| which.has(way)) {
            self.0.replace(None);
        }
    }
}

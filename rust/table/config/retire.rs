// SPDX-License-Identifier: GPL-2.0

//! Removing services, dests and local addresses of which something is left, until nothing is.

use core::{mem::replace, net::IpAddr};

use kernel::sync::Arc;

use super::{
    super::{counters::Traffic, dest::Dest, publication::Published, ways::Which},
    guard::ConfigGuard,
    removed::Removed,
    service::Service,
};
use crate::kapi::{delay, rcu::Moment};

impl ConfigGuard<'_> {
    pub(super) fn retire_service(&mut self, service: &Service) {
        self.config.retired = self.config.retired.plus(service.carried());
        self.retire_locals(service.locals.addresses());
        for member in &service.dests {
            let carried = member.dest.carried();
            self.retire_dest(member.dest.clone(), service.published.clone(), carried);
        }
    }

    /// Keeps a removed dest while it has connections; there is room for it. Packets no longer see
    /// it, but for those that are on their way.
    pub(super) fn retire_dest(&mut self, dest: Arc<Dest>, published: Published, carried: Traffic) {
        dest.set_gone();
        delay::here();
        let at = Moment::now();
        let removed = Removed {
            dest,
            published,
            carried,
            at,
        };
        self.config.removed.add(removed);
        self.live.expect_work();
    }

    /// Lets packets to local addresses in that have left their pools, while connections may have
    /// them; there is room for them.
    pub(super) fn retire_locals(&mut self, addresses: &[IpAddr]) {
        self.config.left_locals.keep(addresses);
        self.live.expect_work();
    }

    /// Forgets what was removed, dests and local addresses, and has no connections any more and
    /// gets none. True when some still has.
    pub(in crate::table) fn bury_removed(&mut self) -> bool {
        let connections = &self.live.connections;
        let config = &mut *self.config;
        let before = config.removed.len();
        let mut retired = config.retired;
        let forgotten = &mut config.forgotten;
        config.removed.retain(|removed| {
            let dest = &removed.dest;
            // In this order: what the last readers began is counted.
            let may_grow = !removed.at.has_no_readers();
            let lives = may_grow || dest.has_connections();
            if !lives {
                retired = retired.plus(dest.carried().since(removed.carried));
                forgotten.add(dest);
                dest.forget_way(Which::All);
            }
            lives
        });
        config.retired = retired;
        let forgot_locals = config.left_locals.forget(|| connections.count());
        let stale = replace(&mut config.filters_stale, false);
        if config.removed.len() != before || forgot_locals || stale {
            self.update_filters();
        }
        self.has_removed()
    }

    /// Whether there are removed dests or local addresses that are not forgotten yet.
    pub(in crate::table) fn has_removed(&self) -> bool {
        let config = &self.config;
        !config.removed.is_empty() || !config.left_locals.is_empty() || config.filters_stale
    }
}

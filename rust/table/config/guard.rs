// SPDX-License-Identifier: GPL-2.0

//! The configuration, locked: what is read of it, and the settings.

use core::net::IpAddr;

use kernel::{
    prelude::*,
    sync::{Arc, MutexGuard},
};

use super::{
    super::{
        activity::Activate, connections::need_lanes, dest::Dest, live::Live, local::Pool,
        settings::Settings, turn::Posts,
    },
    checks::check_route,
    service::{Member, Service},
    store::Config,
};
use crate::{
    engine::{
        change::ChangeError,
        conntrack::Conntrack,
        spec::{DestId, ServiceId},
    },
    kapi::{netns::Net, rcu, track},
};

/// The configuration, locked.
pub(crate) struct ConfigGuard<'a> {
    pub(super) live: &'a Live,
    /// Who puts hooks in.
    pub(super) hooks: &'a dyn Activate,
    pub(super) config: MutexGuard<'a, Config>,
    /// Dests are taken that `ip_vs` takes.
    pub(super) is_lenient: bool,
}

impl<'a> ConfigGuard<'a> {
    pub(in crate::table) fn new(
        live: &'a Live,
        hooks: &'a dyn Activate,
        config: MutexGuard<'a, Config>,
    ) -> Self {
        Self {
            live,
            hooks,
            config,
            is_lenient: false,
        }
    }

    /// Takes dests that there is no route to yet, and any port where it plays no part, until it is
    /// dropped.
    pub(crate) fn be_lenient(&mut self) {
        self.is_lenient = true;
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u32 {
        self.live.generation()
    }

    /// The namespace.
    pub(in crate::table) fn net(&self) -> &'static Net {
        self.live.net()
    }

    /// Whether a dest may drain.
    pub(in crate::table) fn is_draining(&self) -> bool {
        self.config.draining
    }

    pub(in crate::table) fn set_draining(&mut self, draining: bool) {
        self.config.draining = draining;
    }

    /// The dests of all services.
    pub(in crate::table) fn shared_dests(&self) -> impl Iterator<Item = &Arc<Dest>> {
        let members = self.config.services.iter().flat_map(|s| s.dests.iter());
        members.map(|member| &member.dest)
    }

    /// The services, in the order they were added.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> + Clone {
        self.config.services.iter().map(|service| &**service)
    }

    /// How many services there are.
    pub(crate) fn service_count(&self) -> usize {
        self.config.services.len()
    }

    /// The service of that id.
    pub(crate) fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.config.services.find(id).map(|service| &**service)
    }

    /// The dest of that id in the service of that id.
    pub(crate) fn dest(&self, service: &ServiceId, id: &DestId) -> Result<&Member, ChangeError> {
        let service = self
            .service(service)
            .ok_or(ChangeError::NoService(*service))?;
        service.dests.find(id).ok_or(ChangeError::NoDest(*id))
    }

    /// The namespace's local addresses, for services that have none of their own.
    pub(crate) fn locals(&self) -> &Pool {
        &self.config.locals
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Settings {
        self.config.settings
    }

    /// Whether the settings are the host's.
    pub(crate) fn is_of_first(&self) -> bool {
        self.net().is_first()
    }

    /// Checks whether this namespace may have these settings in place of those it has.
    ///
    /// # Errors
    ///
    /// The limit that they exceed.
    pub(crate) fn check_settings(&self, settings: &Settings) -> Result<(), ChangeError> {
        Ok(settings.check(&self.config.settings, self.is_of_first())?)
    }

    /// Checks and sets all settings.
    ///
    /// # Errors
    ///
    /// What is wrong with them, or `NoMemory`.
    pub(crate) fn set_settings(&mut self, settings: Settings) -> Result<(), ChangeError> {
        settings.validate()?;
        self.check_settings(&settings)?;
        let was_tracking = self.config.settings.conntrack.is_on();
        let tracks = settings.conntrack.is_on();
        if tracks || !was_tracking {
            // Ahead of those that are tracked.
            self.settle_places(&settings)?;
        }
        let config = &mut *self.config;
        config.settings = settings;
        for service in &config.services {
            let members = service.dests.iter();
            members.for_each(|member| member.dest.follow_service(&service.spec, &settings));
        }
        self.live.settings.set(&settings);
        self.live.defence.look(&settings);
        self.live.next_generation();
        if was_tracking && !tracks {
            // Those that begin now are not tracked.
            rcu::synchronize();
            self.follow_tracked();
            self.live.expect_work();
        }
        Ok(())
    }

    /// Takes packets where settings say. Connections that are tracked keep them where they are, so that
    /// each of their packets is seen by who tracks them.
    fn settle_places(&mut self, settings: &Settings) -> Result<(), ChangeError> {
        if settings.conntrack.is_on() {
            track::bind();
        }
        if settings.conntrack == Conntrack::Fast {
            need_lanes().map_err(|_| ChangeError::NoMemory)?;
        }
        let posts = match settings.posts() {
            Posts::Early if self.live.connections.has_tracked() => Posts::IpVs,
            posts => posts,
        };
        let moved = self.config.activity.move_to(self.hooks, posts);
        moved.map_err(|_| ChangeError::NoMemory)
    }

    /// Takes packets where the settings say, when the last connection that kept them elsewhere has
    /// ended. Without memory it is tried again.
    pub(in crate::table) fn follow_tracked(&mut self) {
        let settings = self.config.settings;
        let _ = self.settle_places(&settings);
    }

    /// Whether a dest's packets could be sent now.
    pub(crate) fn has_route(&self, address: IpAddr) -> bool {
        check_route(self.live.net(), address).is_ok()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a dest's service says of its connections.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::super::settings::LiveSettings;
use crate::{
    engine::{
        proto::{own::OwnTimeouts, State},
        service::{Removed, ServiceSpec},
    },
    kapi::{broken::broken, time},
};

/// That, as packets need it.
pub(super) struct Rules {
    /// Ticks of silence by state where its service has its own; 0 is the namespace's.
    timeouts: [AtomicU32; 32],
    /// Number of a [`Removed`].
    removed: AtomicU32,
    /// Whether its service keeps clients with their dest.
    persistent: AtomicBool,
}

impl Rules {
    /// Those of a service that says nothing.
    pub(super) fn new() -> Self {
        Self {
            timeouts: [const { AtomicU32::new(0) }; 32],
            removed: AtomicU32::new(0),
            persistent: AtomicBool::new(false),
        }
    }

    /// Takes those of a service.
    pub(super) fn follow(&self, spec: &ServiceSpec) {
        self.removed.store(spec.removed.number(), Ordering::Relaxed);
        let persistent = spec.persistence.seconds != 0;
        self.persistent.store(persistent, Ordering::Relaxed);
        let own: &OwnTimeouts = &spec.timeouts;
        for (state, ticks) in State::all().zip(&self.timeouts) {
            ticks.store(time::seconds(own.get(state)), Ordering::Relaxed);
        }
    }

    /// Ticks of silence that `state` lasts.
    #[inline(always)]
    pub(super) fn timeout(&self, state: State, settings: &LiveSettings) -> u32 {
        match self.timeouts[(state.number() & 31) as usize].load(Ordering::Relaxed) {
            0 => settings.timeout(state),
            own => own,
        }
    }

    /// Whether its service keeps clients with their dest.
    pub(super) fn keeps_clients(&self) -> bool {
        self.persistent.load(Ordering::Relaxed)
    }

    /// Whether its connections end when it was removed.
    pub(super) fn ends_when_removed(&self, settings: &LiveSettings) -> bool {
        let removed = Removed::from_number(self.removed.load(Ordering::Relaxed));
        let removed = removed.unwrap_or_else(|| {
            broken!(c"a dest does not know what becomes of its connections");
            Removed::default()
        });
        removed.ends(settings.expire_nodest())
    }
}

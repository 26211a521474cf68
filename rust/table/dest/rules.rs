// SPDX-License-Identifier: GPL-2.0

//! What a dest's service says of its connections.

use core::sync::atomic::{AtomicU32, AtomicU8, Ordering};

use super::super::settings::LiveSettings;
use crate::{
    engine::{
        persistence::Engine,
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
    /// What its service keeps with their dest: 0 for nothing, or from 1 on numbers of [`Engine`].
    kept: AtomicU8,
}

impl Rules {
    /// Those of a service that says nothing.
    pub(super) fn new() -> Self {
        Self {
            timeouts: [const { AtomicU32::new(0) }; 32],
            removed: AtomicU32::new(0),
            kept: AtomicU8::new(0),
        }
    }

    /// Takes those of a service.
    pub(super) fn follow(&self, spec: &ServiceSpec) {
        self.removed.store(spec.removed.number(), Ordering::Relaxed);
        let kept = match spec.persistence.seconds {
            0 => 0,
            _ => spec.persistence.engine.number().saturating_add(1),
        };
        self.kept.store(kept, Ordering::Relaxed);
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

    /// What its service keeps with their dest; none where that is nothing.
    pub(super) fn keeps(&self) -> Option<Engine> {
        let number = self.kept.load(Ordering::Relaxed).checked_sub(1)?;
        Engine::from_number(number)
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

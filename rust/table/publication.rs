// SPDX-License-Identifier: GPL-2.0

//! Where a service's present schedule is: packets find it there, and dests tell it what happens to them.

use core::{net::IpAddr, ops::Deref};

use kernel::{prelude::*, sync::Arc};

use super::{
    dest::{Audience, Dest},
    schedule::Schedule,
};
use crate::kapi::rcu::{Rcu, RcuBox, RcuSlot};

/// A service's present schedule, shared by the configuration, the index and its dests.
pub(super) type Published = Arc<RcuSlot<Schedule>>;

/// Dests tell the present schedule.
impl Audience for RcuSlot<Schedule> {
    #[cold]
    fn counts_changed(&self, place: u32, dest: &Dest) {
        let guard = kernel::sync::rcu::read_lock();
        if let Some(schedule) = self.get(Rcu::of(&guard)) {
            schedule.changed(place, dest);
        }
    }

    fn answered(&self, whose: (IpAddr, &[u8]), dest: &Dest) {
        let guard = kernel::sync::rcu::read_lock();
        if let Some(schedule) = self.get(Rcu::of(&guard)) {
            schedule.assure(whose, dest);
        }
    }
}

/// A service's hold on its schedule.
///
/// Dests know where their service's schedule is published and schedules hold their dests, so when
/// the service goes it takes the schedule out.
pub(super) struct Publication {
    slot: Published,
    /// Whether nobody else publishes there.
    is_last: bool,
}

impl Publication {
    /// Publishes where dests know it that were removed and still have connections. Until it is
    /// told that it is the last, what is published there stays when it goes.
    pub(super) fn again(slot: &Published) -> Self {
        let (slot, is_last) = (slot.clone(), false);
        Self { slot, is_last }
    }

    /// Says whether what is published goes with it.
    pub(super) fn set_last(&mut self, is_last: bool) {
        self.is_last = is_last;
    }

    /// Nothing is published yet.
    pub(super) fn new() -> Result<Self> {
        let slot = Arc::new(RcuSlot::empty(), GFP_KERNEL_ACCOUNT)?;
        let is_last = true;
        Ok(Self { slot, is_last })
    }
}

impl Deref for Publication {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.slot
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if self.is_last {
            self.slot.replace(None);
        }
    }
}

/// Shows a schedule to packets in place of the one before. The configuration mutex is held.
///
/// From its making until its dests know their places in it, changes of their counts go past it, so
/// it looks at all of them once more at the end.
pub(super) fn publish(slot: &Published, schedule: KBox<RcuBox<Schedule>>) {
    slot.replace(Some(schedule));
    let guard = kernel::sync::rcu::read_lock();
    if let Some(schedule) = slot.get(Rcu::of(&guard)) {
        schedule.settle();
    }
}

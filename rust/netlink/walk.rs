// SPDX-License-Identifier: GPL-2.0

//! Dumps of what the configuration has: of one service, or of all, one after the other.
//!
//! Between two buffers anything may come and go. What is sent last is found again by its id, so that
//! what moves up when something ahead of it goes is not passed over; where that has gone itself, some
//! are sent a second time. Who listens to the events meanwhile can make one state of all this.

use core::hash::{Hash, Hasher};

use kernel::error::Result;

use super::lookup;
use crate::{
    engine::spec::ServiceId,
    kapi::genl::{Full, Progress, Request},
};

/// How many are sent again where the last one has gone: more do not go between two buffers.
const AGAIN: u32 = 64;

/// Where in a list a dump is. 8 bytes, as all of a dump's state has to fit 48.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// How many were sent.
    sent: u32,
    /// What names the last of them.
    last: u32,
}

impl Place {
    /// How many of `items` are to be passed over, by their `name`s.
    // Without an iterator of names: its name would be too long for the kernel.
    fn passed<T>(
        &self,
        mut items: impl Iterator<Item = T> + Clone,
        name: impl Fn(&T) -> u32,
    ) -> usize {
        let Some(before) = self.sent.checked_sub(1) else {
            return 0;
        };
        // Mostly it is where it was.
        let (before, sent) = (before as usize, self.sent as usize);
        let is_last = |item: T| name(&item) == self.last;
        if items.clone().nth(before).is_some_and(is_last) {
            return sent;
        }
        match items.position(is_last) {
            Some(there) => there.saturating_add(1),
            None => self.sent.saturating_sub(AGAIN) as usize,
        }
    }

    /// One more was sent, or need not be, which is the one before so many others.
    fn pass(&mut self, passed: usize, name: u32) {
        self.sent = u32::try_from(passed).unwrap_or(u32::MAX);
        self.last = name;
    }
}

/// A number for an id. Two alike may be taken for each other; then some are missing, as where more
/// have gone than are sent again.
pub(super) fn name(id: &impl Hash) -> u32 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    id.hash(&mut hasher);
    let hash = hasher.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The hash of Fowler, Noll and Vo: there is no secret to it.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where such a dump is; `C` says where within an owner, from its default on.
#[derive(Clone, Copy)]
pub(super) struct Walk<C> {
    /// The one service it is about, or all.
    only: Option<ServiceId>,
    /// Which owners were sent whole; none with `only`.
    owners: Place,
    /// Which one is being sent: as much of its name as there is room for.
    present: u16,
    /// Where in that one.
    within: C,
}

impl<C: Default> Walk<C> {
    /// From the start, of the service that the request names, if it does.
    pub(super) fn new(request: &Request<'_>) -> Result<Self> {
        Ok(Self {
            only: lookup::filter(request)?,
            owners: Place::default(),
            present: 0,
            within: C::default(),
        })
    }

    /// Goes on until the buffer is full: with the one owner that `find` finds for a service's id, or
    /// with `all`, by their `name`s. `show` goes on within an owner.
    pub(super) fn on<O>(
        &mut self,
        find: impl FnOnce(&ServiceId) -> Option<O>,
        all: impl Iterator<Item = O> + Clone,
        name: impl Fn(&O) -> u32 + Copy,
        mut show: impl FnMut(O, &mut C) -> Progress,
    ) -> Progress {
        if let Some(id) = &self.only {
            // When it is gone by now, the generation tells.
            return find(id).map_or(Progress::Done, |owner| show(owner, &mut self.within));
        }
        let mut passed = self.owners.passed(all.clone(), name);
        for owner in all.skip(passed) {
            let name = name(&owner);
            if self.present != name as u16 {
                self.present = name as u16;
                self.within = C::default();
            }
            if show(owner, &mut self.within) == Progress::More {
                return Progress::More;
            }
            passed = passed.saturating_add(1);
            self.owners.pass(passed, name);
            self.present = 0;
            self.within = C::default();
        }
        Progress::Done
    }
}

/// Sends each of `items` that was not sent yet, by their `name`s.
pub(super) fn each<T>(
    items: impl Iterator<Item = T> + Clone,
    place: &mut Place,
    name: impl Fn(&T) -> u32 + Copy,
    mut send: impl FnMut(T) -> Result<(), Full>,
) -> Progress {
    let mut passed = place.passed(items.clone(), name);
    for item in items.skip(passed) {
        let name = name(&item);
        if send(item).is_err() {
            return Progress::More;
        }
        passed = passed.saturating_add(1);
        place.pass(passed, name);
    }
    Progress::Done
}

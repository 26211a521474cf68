// SPDX-License-Identifier: GPL-2.0

//! Dumps of what services have: of one service, or of all, one after the other.

use kernel::error::Result;

use super::lookup;
use crate::{
    engine::spec::ServiceId,
    kapi::genl::{Full, Progress, Request},
};

/// Where such a dump is; `C` says where within an owner, from its default on.
#[derive(Clone, Copy)]
pub(super) struct Walk<C> {
    /// The one service it is about, or all.
    only: Option<ServiceId>,
    /// How many owners were sent whole; 0 with `only`.
    owners: usize,
    /// Where in the next one.
    within: C,
}

impl<C: Default> Walk<C> {
    /// From the start, of the service that the request names, if it does.
    pub(super) fn new(request: &Request<'_>) -> Result<Self> {
        Ok(Self {
            only: lookup::filter(request)?,
            owners: 0,
            within: C::default(),
        })
    }

    /// Goes on until the buffer is full: with the one owner that `find` finds for a service's id, or
    /// with `all`. `show` goes on within an owner.
    pub(super) fn on<O>(
        &mut self,
        find: impl FnOnce(&ServiceId) -> Option<O>,
        all: impl Iterator<Item = O>,
        mut show: impl FnMut(O, &mut C) -> Progress,
    ) -> Progress {
        if let Some(id) = &self.only {
            // When it is gone by now, the generation tells.
            return find(id).map_or(Progress::Done, |owner| show(owner, &mut self.within));
        }
        for owner in all.skip(self.owners) {
            if show(owner, &mut self.within) == Progress::More {
                return Progress::More;
            }
            self.owners = self.owners.saturating_add(1);
            self.within = C::default();
        }
        Progress::Done
    }
}

/// Sends each of `items` but the first `sent`, and counts them in.
pub(super) fn each<T>(
    items: impl Iterator<Item = T>,
    sent: &mut usize,
    mut send: impl FnMut(T) -> Result<(), Full>,
) -> Progress {
    for item in items.skip(*sent) {
        if send(item).is_err() {
            return Progress::More;
        }
        *sent = sent.saturating_add(1);
    }
    Progress::Done
}

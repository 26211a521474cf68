// SPDX-License-Identifier: GPL-2.0

//! What directors tell each other of a namespace's connections and templates.
//!
//! Whoever changes the state of a connection writes an entry into a queue here ([`telling`]), and the
//! sweep does so again from time to time: packets of established connections know nothing of it. What
//! another director tells is taken into the table ([`learning`]). Sockets and workers are in `sync`.

mod again;
mod counts;
mod learning;
mod outbox;
mod telling;
mod tuning;

pub(crate) use self::{
    again::{Progress, Round},
    counts::{PeerCount, PeerCounts, COUNTS as PEER_COUNTS},
    outbox::{Outbox, Parcel},
    tuning::Tuning,
};

use core::sync::atomic::AtomicBool;

use kernel::prelude::*;

use crate::kapi::rcu::RcuSlot;

/// What a namespace has for other directors.
pub(crate) struct Peers {
    /// What waits to be sent; none while nobody sends.
    pub(super) outbox: RcuSlot<Outbox>,
    /// Whether others are listened to.
    pub(crate) listens: AtomicBool,
    /// How much is told.
    pub(crate) tuning: Tuning,
    /// Counts of what was told and learned.
    pub(crate) counts: PeerCounts,
}

impl Peers {
    /// Nobody is told.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            outbox: RcuSlot::empty(),
            listens: AtomicBool::new(false),
            tuning: Tuning::new(),
            counts: PeerCounts::new()?,
        })
    }
}

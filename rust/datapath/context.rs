// SPDX-License-Identifier: GPL-2.0

//! What every step of a packet's way needs to know.

use crate::{
    kapi::{netfilter::Place, rcu::Rcu},
    table::{Netns, Turn},
};

/// Where a packet is.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The namespace.
    pub(super) netns: &'a Netns,
    /// The hook that it came by.
    pub(super) place: Place,
    /// When it came by it.
    pub(super) turn: Turn,
    /// Evidence that what it meets lives until it has gone.
    pub(super) rcu: Rcu<'a>,
}

impl<'a> Context<'a> {
    /// At a place, in a turn.
    #[inline(always)]
    pub(super) fn new(netns: &'a Netns, place: Place, turn: Turn, rcu: Rcu<'a>) -> Self {
        Self {
            netns,
            place,
            turn,
            rcu,
        }
    }
}

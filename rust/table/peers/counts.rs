// SPDX-License-Identifier: GPL-2.0

//! Counts of what directors tell each other.

use kernel::prelude::*;

use crate::{engine::sync::Fault, kapi::percpu::PerCpuCounters};

/// Something that is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum PeerCount {
    /// An entry was told.
    Told,
    /// One was not, as too much waited: it is told later.
    Postponed,
    /// A datagram was sent.
    Sent,
    /// One could not be sent: to others it is lost, and they ask for it.
    NotSent,
    /// A datagram came.
    Received,
    /// A connection or a template was not known here.
    Learned,
    /// One was known, and is now as it was told.
    Updated,
    /// One was known better here.
    Known,
    /// There was no room for one (`conn-max`), or no memory.
    Full,
    /// Its dest takes packets in another way here, or a template's service is not there.
    Misfit,
    /// A datagram of another director did not come, by its number.
    Lost,
    /// One came twice, or later than one that was sent after it.
    Late,
    /// One is of a stream of which is not known yet whether it is an old one that somebody repeats.
    Unproven,
    /// Another director was asked for what is missing here.
    Asked,
    /// What a datagram told was told again, as others had asked for it.
    Again,
    /// All was told again, as others had asked for what is not kept.
    Round,
    /// What others asked was not answered, as it was too old, or of another daemon.
    Stale,
}

impl PeerCount {
    /// What is counted of a datagram that was sent, or could not be.
    pub(crate) const fn of_sent(sent: bool) -> Self {
        match sent {
            true => Self::Sent,
            false => Self::NotSent,
        }
    }
}

/// How many of the above there are; behind them come those of [`Fault`].
const OWN: usize = PeerCount::Stale as usize + 1;
pub(crate) const COUNTS: usize = OWN + Fault::ALL.len();

/// A namespace's counts.
pub(crate) struct PeerCounts(PerCpuCounters<COUNTS>);

impl PeerCounts {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(PerCpuCounters::new()?))
    }

    /// Counts one.
    pub(crate) fn count(&self, what: PeerCount) {
        self.0.add_at(what as usize, 1);
    }

    /// Counts so many.
    pub(crate) fn count_many(&self, what: PeerCount, number: u64) {
        self.0.add_at(what as usize, number);
    }

    /// Counts something that was not taken.
    pub(crate) fn fault(&self, fault: Fault) {
        self.0.add_at(OWN.saturating_add(fault as usize), 1);
    }

    /// What was counted, in the order of the spec's `sync-counters`.
    pub(crate) fn all(&self) -> [u64; COUNTS] {
        self.0.sums()
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a scheduler is, and what it may ask.

use super::flow::Flow;
use core::sync::atomic::AtomicU64;

/// What [`Scheduler::carry`]'s map says of a dest that is gone.
pub const GONE: u32 = u32::MAX;

/// In tables: no dest.
pub(super) const NONE: u32 = u32::MAX;

/// Sizes that `mh`'s table may have: those of the kernel (`CONFIG_IP_VS_MH_TAB_INDEX`), and the one
/// of the paper.
pub const MH_SIZES: [u32; 11] = [
    251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 65537, 131_071,
];

/// What changes without a new snapshot. Asked only where a rule needs it.
pub trait Live {
    /// Active connections of the dest at `index`.
    fn active(&self, index: u32) -> u32;

    /// Inactive connections of the dest at `index`.
    fn inactive(&self, index: u32) -> u32;

    /// Whether the dest at `index` has reached its upper threshold. Only asked where
    /// [`View::thresholds`].
    fn is_overloaded(&self, index: u32) -> bool;

    /// Seconds since some moment; may wrap.
    fn now(&self) -> u32;

    /// A random word; another each time.
    fn random(&self) -> u64;
}

/// How a service's scheduler is set up. What a scheduler has no use for it ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `sh` and `mh`: where the hash leads to a dest that takes nothing, look for another
    /// (`sh-fallback`, `mh-fallback`).
    pub fallback: bool,
    /// `sh` and `mh`: the source port joins the hash (`sh-port`, `mh-port`).
    pub port: bool,
    /// `mh`: size of its table, one of [`MH_SIZES`].
    pub mh_size: u32,
    /// `lblc` and `lblcr`: destination addresses to remember. A service of one address has one.
    pub addresses: u32,
    /// `lblc` and `lblcr`: seconds after which an unused address is forgotten; and, for `lblcr`,
    /// after which an unchanged set of dests loses its most loaded.
    pub expiration: u32,
    /// `rr`: start at a dest that is drawn, so that many directors do not all start at one.
    pub random_start: bool,
}

impl Options {
    /// As `ip_vs` is set up unless told otherwise: `mh`'s table of Debian's kernel, 16 addresses in
    /// each of 1,024 buckets, `lblc_expiration` and `lblcr_expiration` of a day.
    pub const DEFAULT: Self = Self {
        fallback: false,
        port: false,
        mh_size: 4093,
        addresses: 16 * 1024,
        expiration: 24 * 60 * 60,
        random_start: false,
    };
}

/// What a dest is, besides its weight: where hashes put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// IPv4 address as a number; of an IPv6 address the exclusive or of its four words.
    pub address: u32,
    /// Port, host order.
    pub port: u16,
    /// The last weight it had that was not 0; 0 when it had none.
    pub last_weight: u32,
}

/// What [`Scheduler::build`] makes a table of.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Weight of each dest.
    pub weights: &'a [u32],
    /// What each dest is.
    pub identities: &'a [Identity],
    /// How the scheduler is set up.
    pub options: &'a Options,
}

/// Memory that a snapshot needs, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Of [`View::table`].
    pub table: usize,
    /// Of [`View::state`], all 0 at the start.
    pub state: usize,
    /// For [`Scheduler::build`] only.
    pub scratch: usize,
}

/// A snapshot of a service's dests.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Weight of each dest; at most [`WEIGHT_MAX`](super::super::spec::WEIGHT_MAX).
    pub weights: &'a [u32],
    /// What the scheduler made of the weights; [`Needs::table`] words.
    pub table: &'a [u32],
    /// Where the scheduler stands; [`Needs::state`] words.
    pub state: &'a [AtomicU64],
    /// What is not in the snapshot.
    pub live: &'a dyn Live,
    /// How the scheduler is set up.
    pub options: &'a Options,
    /// Whether any dest has a threshold, so that [`Live::is_overloaded`] must be asked.
    pub thresholds: bool,
}

impl View<'_> {
    /// Whether the dest at `index` takes nothing new for now.
    #[inline(always)]
    pub(super) fn is_overloaded(&self, index: u32) -> bool {
        self.thresholds && self.live.is_overloaded(index)
    }

    /// Weight of the dest at `index`, 0 when there is none.
    #[inline(always)]
    pub(super) fn weight(&self, index: usize) -> u32 {
        self.weights.get(index).copied().unwrap_or(0)
    }

    /// Whether there is a dest at `index` that takes something new.
    #[inline(always)]
    pub(super) fn is_usable(&self, index: u32) -> bool {
        self.weight(index as usize) > 0 && !self.is_overloaded(index)
    }

    /// An entry of the table, [`NONE`] past its end.
    #[inline(always)]
    pub(super) fn entry(&self, at: usize) -> u32 {
        self.table.get(at).copied().unwrap_or(NONE)
    }
}

/// A rule for choosing dests; chosen once per service, by name.
pub trait Scheduler: Sync {
    /// Its name, as in `ipvsadm -s`.
    fn name(&self) -> &'static str;

    /// What a snapshot of that many dests needs.
    fn needs(&self, dests: usize, options: &Options) -> Needs;

    /// Fills `table`, [`Needs::table`] words, with [`Needs::scratch`] words to work in.
    fn build(&self, plan: &Plan<'_>, table: &mut [u32], scratch: &mut [u32]) {
        let _ = (plan, table, scratch);
    }

    /// Sets the state of `view`, all 0 and not published yet, for what is live now.
    fn start(&self, view: &View<'_>) {
        let _ = view;
    }

    /// Sets the state of `new`, not published yet, so that it goes on where `old` stands.
    ///
    /// `map` has for each dest of `old` its index in `new`, or [`GONE`].
    fn carry(&self, old: &View<'_>, map: &[u32], new: &View<'_>) {
        let _ = (old, map, new);
    }

    /// Whether a dest's share of new flows follows its weight, so that a lower one spares it.
    fn takes_shares(&self) -> bool {
        false
    }

    /// Whether [`Scheduler::changed`] must be called for every change of a dest's connections.
    fn follows_counts(&self) -> bool {
        false
    }

    /// The dest at `index` has other counts than before, or is overloaded now or no longer: call it
    /// after every such change; for counts only where [`Scheduler::follows_counts`]. From any CPU.
    fn changed(&self, view: &View<'_>, index: u32) {
        let _ = (view, index);
    }

    /// Index of the dest for a new flow; none when no dest takes one.
    fn pick(&self, view: &View<'_>, flow: &Flow) -> Option<u32>;
}

/// `hash_32` of the kernel (`include/linux/hash.h`) to `bits` bits, 1 to 32.
#[inline(always)]
pub(super) const fn hash_32(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

/// `ip_vs_dest_conn_overhead`: an active connection weighs 256 more than an inactive one, which
/// there reads `active * 256 + total`.
#[inline(always)]
pub(super) fn overhead(live: &dyn Live, index: u32) -> u64 {
    u64::from(live.active(index))
        .wrapping_mul(257)
        .wrapping_add(u64::from(live.inactive(index)))
}

// SPDX-License-Identifier: GPL-2.0

//! Counts of traffic and of what happened.

use core::{
    ffi::CStr,
    sync::atomic::{AtomicU64, Ordering},
};

use kernel::{alloc::flags::GFP_KERNEL_ACCOUNT, prelude::*, sync::Arc};

use crate::engine::rate::Averages;
use crate::kapi::netfilter::Reason;
use crate::kapi::percpu::{Cpu, PerCpuCounters};

/// Traffic of a dest, a service or a namespace, or its rates: as much a second.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Connections scheduled.
    pub(crate) connections: u64,
    /// Packets toward the dest.
    pub(crate) in_packets: u64,
    /// Packets from the dest.
    pub(crate) out_packets: u64,
    /// Bytes toward the dest, from the IP header on.
    pub(crate) in_bytes: u64,
    /// Bytes from the dest, from the IP header on.
    pub(crate) out_bytes: u64,
    /// Packets that were dropped.
    pub(crate) drops: u64,
    /// Connections that nothing came of.
    pub(crate) unanswered: u64,
}

impl Traffic {
    /// How many numbers it has.
    pub(super) const NUMBERS: usize = TRAFFIC;

    /// The sum of two.
    pub(crate) fn plus(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }

    /// What came since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        self.each(earlier, u64::wrapping_sub)
    }

    /// The numbers, in an order of their own.
    pub(super) fn counts(self) -> [u64; TRAFFIC] {
        let mut counts = [0; TRAFFIC];
        counts[CONNECTIONS] = self.connections;
        counts[IN_PACKETS] = self.in_packets;
        counts[OUT_PACKETS] = self.out_packets;
        counts[IN_BYTES] = self.in_bytes;
        counts[OUT_BYTES] = self.out_bytes;
        counts[DROPS] = self.drops;
        counts[UNANSWERED] = self.unanswered;
        counts
    }

    /// From the first of `numbers`, which are in that order; the rest is 0.
    pub(super) fn of_numbers(numbers: &[u64]) -> Self {
        let mut counts = [0; TRAFFIC];
        counts
            .iter_mut()
            .zip(numbers)
            .for_each(|(to, from)| *to = *from);
        Self::from_counts(counts)
    }

    /// From the numbers in that order.
    pub(super) fn from_counts(counts: [u64; TRAFFIC]) -> Self {
        Self {
            connections: counts[CONNECTIONS],
            in_packets: counts[IN_PACKETS],
            out_packets: counts[OUT_PACKETS],
            in_bytes: counts[IN_BYTES],
            out_bytes: counts[OUT_BYTES],
            drops: counts[DROPS],
            unanswered: counts[UNANSWERED],
        }
    }

    fn each(self, other: Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            connections: f(self.connections, other.connections),
            in_packets: f(self.in_packets, other.in_packets),
            out_packets: f(self.out_packets, other.out_packets),
            in_bytes: f(self.in_bytes, other.in_bytes),
            out_bytes: f(self.out_bytes, other.out_bytes),
            drops: f(self.drops, other.drops),
            unanswered: f(self.unanswered, other.unanswered),
        }
    }
}

const CONNECTIONS: usize = 0;
const IN_PACKETS: usize = 1;
const OUT_PACKETS: usize = 2;
const IN_BYTES: usize = 3;
const OUT_BYTES: usize = 4;
const DROPS: usize = 5;
const UNANSWERED: usize = 6;
const TRAFFIC: usize = 7;

/// Traffic as it is counted: one copy a CPU.
pub(super) struct TrafficCounters(PerCpuCounters<TRAFFIC>);

impl TrafficCounters {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(PerCpuCounters::new()?))
    }

    #[inline(always)]
    pub(super) fn packet_in(&self, bytes: u32) {
        self.0.add_both::<IN_PACKETS, IN_BYTES>(u64::from(bytes));
    }

    #[inline(always)]
    pub(super) fn packet_out(&self, bytes: u32) {
        self.0.add_both::<OUT_PACKETS, OUT_BYTES>(u64::from(bytes));
    }

    pub(super) fn connection(&self) {
        self.0.add::<CONNECTIONS>(1);
    }

    pub(super) fn drop(&self) {
        self.0.add::<DROPS>(1);
    }

    pub(super) fn unanswered(&self) {
        self.0.add::<UNANSWERED>(1);
    }

    pub(super) fn sum(&self) -> Traffic {
        Traffic::from_counts(self.0.sums())
    }

    /// Goes on with what was counted before the module was changed.
    pub(super) fn add(&self, traffic: Traffic) {
        let counts = traffic.counts();
        (0..)
            .zip(counts)
            .for_each(|(at, count)| self.0.add_at(at, count));
    }

    pub(super) fn of_cpu(&self, cpu: Cpu) -> Traffic {
        Traffic::from_counts(self.0.of_cpu(cpu))
    }
}

/// How many packets of a service were dropped before a dest was chosen for them: the service's, shared
/// with its schedules.
#[derive(Clone)]
pub(super) struct EarlyDrops(Arc<AtomicU64>);

impl EarlyDrops {
    /// None yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(AtomicU64::new(0), GFP_KERNEL_ACCOUNT)?))
    }

    /// Counts one.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// As traffic.
    pub(super) fn carried(&self) -> Traffic {
        Traffic {
            drops: self.0.load(Ordering::Relaxed),
            ..Traffic::default()
        }
    }
}

/// Estimates the rates of traffic that somebody else counts.
#[derive(Clone, Copy)]
pub(super) struct Estimator(Averages<TRAFFIC>);

impl Estimator {
    /// Of traffic that stands at `carried`.
    pub(super) fn new(carried: Traffic) -> Self {
        Self(Averages::new(carried.counts()))
    }

    /// Takes in that it stands at `carried` now, `elapsed_ms` after the last time.
    pub(super) fn look(&mut self, carried: Traffic, elapsed_ms: u32) {
        self.0.look(carried.counts(), elapsed_ms);
    }

    /// As much a second.
    pub(super) fn rates(&self) -> Traffic {
        Traffic::from_counts(self.0.per_second())
    }
}

/// Something that happens in a namespace and is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Counter {
    /// A connection expired.
    ConnsExpired,
    /// Headers short or lying.
    DropMalformed,
    /// No dest was usable for a new flow.
    DropNoDest,
    /// No memory for a connection or a packet.
    DropNoMemory,
    /// No local address had a port free toward the dest.
    DropNoPort,
    /// `conn_max` was reached.
    DropConnMax,
    /// Memory is short, or it was asked for.
    DropOverload,
    /// A connection ended early because memory is short, or it was asked for.
    ConnsDropped,
    /// A template that was not assured ended early: room or memory is short, or it was asked for.
    TemplatesDropped,
    /// Its source could not be, or was not where it came from: the host would not have taken it.
    DropMartian,
    /// The dest had no route or no device.
    DropNoRoute,
    /// The dest was removed and `expire_nodest` is set.
    DropDestGone,
    /// Over the MTU and not to be fragmented.
    DropTooBig,
    /// A TCP packet of no connection that opens none.
    NotSyn,
    /// Sent through the kernel's own output.
    SlowXmit,
    /// A way to a dest was looked up.
    RouteRefreshes,
    /// Rules, IPsec policies or a device did not let a packet out.
    DropOutput,
    /// A connection expired that nothing had come of.
    NoReply,
    /// A frame was sent on at the device.
    XdpTaken,
    /// A frame was the stack's: of no established flow.
    XdpPassNew,
    /// Its headers are not the usual ones.
    XdpPassOdd,
    /// Its dest needs care, or its mark is waited for.
    XdpPassCare,
    /// The mode does more to it than is done to frames.
    XdpPassMode,
    /// No way to the neighbour is known, or rules are to see it.
    XdpPassWay,
    /// Over the MTU, or the time to live is used up.
    XdpPassSize,
    /// The device takes no frames, or there is no room in front of it.
    XdpPassDevice,
    /// A packet of a flow that the host tracks was taken early.
    ConntrackFast,
    /// A helper has read of a flow, and there was no room for it.
    HelperNoRoom,
}

impl Counter {
    /// Its name, as tracepoints tell it: that of the netlink family.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::DropMalformed => c"drop-malformed",
            Self::DropNoDest => c"drop-no-dest",
            Self::DropNoMemory => c"drop-no-memory",
            Self::DropNoPort => c"drop-no-port",
            Self::DropConnMax => c"drop-conn-max",
            Self::DropOverload => c"drop-overload",
            Self::DropMartian => c"drop-martian",
            Self::DropNoRoute => c"drop-no-route",
            Self::DropDestGone => c"drop-dest-gone",
            Self::DropTooBig => c"drop-too-big",
            Self::DropOutput => c"drop-output",
            _ => c"other",
        }
    }

    /// What the kernel calls a packet that is dropped for it.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::DropMalformed => Reason::Header,
            Self::DropNoDest => Reason::NoTarget,
            Self::DropNoMemory => Reason::Memory,
            Self::DropMartian => Reason::Source,
            Self::DropNoRoute => Reason::NoRoute,
            Self::DropTooBig => Reason::TooBig,
            _ => Reason::Rule,
        }
    }
}

const COUNTERS: usize = Counter::HelperNoRoom as usize + 1;

/// A namespace's counts of [`Counter`]s.
pub(crate) struct EventCounters(PerCpuCounters<COUNTERS>);

impl EventCounters {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(PerCpuCounters::new()?))
    }

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.count_many(counter, 1);
    }

    /// Counts `number` of them.
    #[inline]
    pub(crate) fn count_many(&self, counter: Counter, number: u32) {
        self.0.add_at(counter as usize, u64::from(number));
    }

    /// Goes on with what was counted before the module was changed.
    pub(super) fn add(&self, numbers: &[u64]) {
        (0..)
            .zip(numbers)
            .for_each(|(at, number)| self.0.add_at(at, *number));
    }

    pub(super) fn sums(&self) -> EventSums {
        EventSums(self.0.sums())
    }
}

/// Counts at one moment.
#[derive(Clone, Copy, Default)]
pub(super) struct EventSums([u64; COUNTERS]);

impl EventSums {
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut sums = self.0;
        for (sum, earlier) in sums.iter_mut().zip(earlier.0) {
            *sum = sum.wrapping_sub(earlier);
        }
        Self(sums)
    }

    /// The numbers, in the order of [`Counter`], to which new ones are only appended.
    pub(super) fn numbers(&self) -> &[u64] {
        &self.0
    }

    pub(super) fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }
}

/// The namespace's `counters`, one field an attribute.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) conns_now: u64,
    pub(crate) templates_now: u64,
    pub(crate) conns_expired: u64,
    pub(crate) table_buckets: u64,
    pub(crate) table_resizes: u64,
    pub(crate) drop_malformed: u64,
    pub(crate) drop_no_dest: u64,
    pub(crate) drop_no_memory: u64,
    pub(crate) drop_no_port: u64,
    pub(crate) drop_conn_max: u64,
    pub(crate) drop_overload: u64,
    pub(crate) conns_dropped: u64,
    pub(crate) templates_dropped: u64,
    pub(crate) drop_martian: u64,
    pub(crate) input_rules: u64,
    pub(crate) drop_no_route: u64,
    pub(crate) drop_dest_gone: u64,
    pub(crate) drop_too_big: u64,
    pub(crate) not_syn: u64,
    pub(crate) slow_xmit: u64,
    pub(crate) route_refreshes: u64,
    pub(crate) drop_output: u64,
    pub(crate) no_reply: u64,
    pub(crate) xdp_taken: u64,
    pub(crate) xdp_pass_new: u64,
    pub(crate) xdp_pass_odd: u64,
    pub(crate) xdp_pass_care: u64,
    pub(crate) xdp_pass_mode: u64,
    pub(crate) xdp_pass_way: u64,
    pub(crate) xdp_pass_size: u64,
    pub(crate) xdp_pass_device: u64,
    pub(crate) conntrack_fast: u64,
    pub(crate) helper_no_room: u64,
}

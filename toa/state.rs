// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has, and the sockets whose clients are known.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

use crate::{
    engine::{
        family::Tuple,
        prefix::Prefix,
        toa::Kinds,
        tuple::{TupleV4, TupleV6},
    },
    flows::{Flows, FLOWS_MAX},
    kapi::{
        end::{End, Ends},
        netfilter::Hooks,
        netns::{Net, Registration},
        percpu::PerCpuCounters,
        rcu::{Rcu, RcuBox, RcuSlot},
        sock_map::SockMap,
        time,
        work::{Work, Worker},
    },
};

/// Most trusted networks of a namespace.
pub(crate) const TRUSTED_MAX: usize = 256;

/// Ticks between two sweeps of the flows.
const SWEEP: u32 = time::seconds(10);

/// Something that is counted.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Counter {
    /// A connection's client became known.
    Learned,
    /// A connection whose client was known went.
    Forgotten,
    /// A peer told an address that is not trusted to.
    Untrusted,
    /// An option's length lied.
    Malformed,
    /// The option had a length that it never has.
    WrongLength,
    /// The option came twice.
    Twice,
    /// The option had an address that no client has.
    BadAddress,
    /// There was no memory to keep an address.
    NoMemory,
    /// A program was told a client's address.
    Answered,
    /// A UDP flow's client became known.
    FlowLearned,
    /// A UDP flow was forgotten, as there was no room for a new one.
    FlowEvicted,
    /// A trusted peer's connection or datagram told no address where that is asked for.
    WithoutOption,
}

/// How many [`Counter`]s there are.
pub(crate) const COUNTERS: usize = Counter::WithoutOption as usize + 1;

/// What an administrator sets.
pub(crate) struct Settings {
    /// Kinds of options that carry addresses.
    pub(crate) kinds: Kinds,
    /// Networks whose addresses are believed.
    pub(crate) trusted: KVec<Prefix>,
    /// Whether clients' addresses are restored in UDP.
    pub(crate) udp: bool,
    /// Whether trusted peers have to tell of a client.
    pub(crate) demands: bool,
}

impl Settings {
    /// Those that the first namespace starts with.
    fn initial() -> Self {
        Self {
            kinds: Kinds::usual(),
            trusted: KVec::new(),
            udp: false,
            demands: false,
        }
    }
}

/// Most UDP flows of a namespace and IP version. Set before there are any.
pub(crate) static MAX_FLOWS: AtomicU32 = AtomicU32::new(FLOWS_MAX);

/// Most UDP flows of a namespace and IP version: less in one that users have made for themselves, who
/// may tell it of as many as they like.
fn max_flows(net: &Net) -> usize {
    let max = MAX_FLOWS.load(Ordering::Relaxed) as usize;
    match net.is_of_other_users() {
        true => (max / 16).max(1),
        false => max,
    }
}

/// The hooks of a namespace, while they are wanted.
#[derive(Default)]
pub(crate) struct HookSet {
    /// Those that restore clients' addresses in UDP.
    pub(crate) udp: Option<Hooks>,
    /// Those that look for the option in TCP.
    pub(crate) demand: Option<Hooks>,
}

/// State of one network namespace.
#[pin_data]
pub(crate) struct Netns {
    pub(crate) net: &'static Net,
    /// What was set here. Empty in a namespace that goes by the settings of the first one, which
    /// always has its own.
    pub(crate) own: RcuSlot<Settings>,
    counters: PerCpuCounters<COUNTERS>,
    flows_v4: Flows<TupleV4>,
    flows_v6: Flows<TupleV6>,
    /// In the first namespace: all others. Held by whoever changes settings, in any of them.
    #[pin]
    pub(crate) others: Mutex<KVec<&'static Netns>>,
    #[pin]
    pub(crate) hooks: Mutex<HookSet>,
    /// Whether there are such hooks, for the worker.
    pub(crate) is_udp_on: AtomicBool,
    /// Whether the worker is to be woken.
    is_idle: AtomicBool,
    #[pin]
    pub(crate) worker: Worker,
}

/// Where namespaces have their states.
pub(crate) static REGISTRATION: Registration<Netns> = Registration::new();

/// An IP version whose UDP flows a namespace keeps.
pub(crate) trait Kept: Tuple {
    /// Those whose clients are known.
    fn flows(netns: &Netns) -> &Flows<Self>;
}

impl Kept for TupleV4 {
    fn flows(netns: &Netns) -> &Flows<Self> {
        &netns.flows_v4
    }
}

impl Kept for TupleV6 {
    fn flows(netns: &Netns) -> &Flows<Self> {
        &netns.flows_v6
    }
}

impl Work for Netns {
    fn run(&self) -> Option<u32> {
        let all = !self.is_udp_on.load(Ordering::Acquire);
        self.flows_v4.sweep(all);
        self.flows_v6.sweep(all);
        if self.flows() == 0 {
            self.is_idle.store(true, Ordering::SeqCst);
            // Whoever learned one meanwhile has not woken us.
            if self.flows() == 0 {
                return None;
            }
        }
        Some(SWEEP)
    }

    fn worker(&self) -> &Worker {
        &self.worker
    }
}

impl Netns {
    /// The state of a namespace that goes by the first one's settings, or of the first one.
    pub(crate) fn new(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let own = RcuSlot::empty();
        if net.is_first() {
            own.replace(Some(RcuBox::new(Settings::initial(), GFP_KERNEL)?));
        }
        let counters = PerCpuCounters::new()?;
        let max = max_flows(net);
        let (flows_v4, flows_v6) = (Flows::new(max)?, Flows::new(max)?);
        KBox::pin_init(
            pin_init!(Self {
                net,
                own,
                counters,
                flows_v4,
                flows_v6,
                others <- new_mutex!(KVec::new(), "toa settings"),
                hooks <- new_mutex!(HookSet::default(), "toa hooks"),
                is_udp_on: AtomicBool::new(false),
                is_idle: AtomicBool::new(true),
                worker: Worker::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Has the present task's memory cgroup pay for flows, unless another does: who makes a namespace,
    /// or the first who sets something in it. The first one is the host's.
    pub(crate) fn set_owner(&self) {
        if !self.net.is_first() {
            self.flows_v4.set_owner();
            self.flows_v6.set_owner();
        }
    }

    /// The namespace.
    pub(crate) fn net(&self) -> &'static Net {
        self.net
    }

    /// The state of `net`; `None` when it is going away.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        REGISTRATION.get(net)
    }

    /// As [`Netns::of`], without a call.
    #[inline(always)]
    pub(crate) fn under<'a>(net: &'a Net, rcu: Rcu<'_>) -> Option<&'a Self> {
        REGISTRATION.under(net, rcu)
    }

    /// The state of the namespace that others inherit from.
    pub(crate) fn first() -> Option<&'static Self> {
        REGISTRATION.get(Net::first())
    }

    /// Whether it goes by the settings of the first namespace.
    pub(crate) fn inherits(&self) -> bool {
        let guard = kernel::sync::rcu::read_lock();
        self.own.get(Rcu::of(&guard)).is_none()
    }

    /// Whether its settings ask for clients' addresses in UDP, and for an option of trusted peers.
    pub(crate) fn wants(&self) -> (bool, bool) {
        let guard = kernel::sync::rcu::read_lock();
        let settings = self.settings(Rcu::of(&guard));
        settings.map_or((false, false), |settings| (settings.udp, settings.demands))
    }

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.counters.add_at(counter as usize, 1);
    }

    /// The counts, by [`Counter`].
    pub(crate) fn counts(&self) -> [u64; COUNTERS] {
        self.counters.sums()
    }

    /// The settings that it goes by.
    pub(crate) fn settings<'a>(&self, rcu: Rcu<'a>) -> Option<&'a Settings> {
        let inherited = || Self::under(Net::first(), rcu)?.own.get(rcu);
        self.own.get(rcu).or_else(inherited)
    }

    /// A copy of the settings that it goes by, to be looked at for longer than under RCU. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn copy_of_settings(&self) -> Result<Settings> {
        // Room first, as nothing may sleep under RCU.
        let mut copy = Settings {
            trusted: KVec::with_capacity(TRUSTED_MAX, GFP_KERNEL_ACCOUNT)?,
            ..Settings::initial()
        };
        let guard = kernel::sync::rcu::read_lock();
        let settings = self.settings(Rcu::of(&guard)).ok_or(ENODEV)?;
        copy.kinds = settings.kinds;
        (copy.udp, copy.demands) = (settings.udp, settings.demands);
        for network in &settings.trusted {
            let pushed = copy.trusted.push_within_capacity(*network);
            pushed.map_err(|_| ENOMEM)?;
        }
        Ok(copy)
    }

    /// How many UDP flows there are whose client is known.
    pub(crate) fn flows(&self) -> usize {
        self.flows_v4.len().saturating_add(self.flows_v6.len())
    }

    /// A flow's client became known.
    pub(crate) fn flow_learned(&self) {
        self.count(Counter::FlowLearned);
        if self.is_idle.load(Ordering::SeqCst) && self.is_idle.swap(false, Ordering::SeqCst) {
            self.worker.kick(SWEEP);
        }
    }
}

/// What is known of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    /// What it was when this was learned. A socket that has other ends now is another.
    pub(crate) ends: Ends,
    /// Whom it is forwarded for.
    pub(crate) client: End,
}

/// The sockets whose clients are known, of all namespaces.
pub(crate) static SOCKETS: RcuSlot<Arc<SockMap<Tag>>> = RcuSlot::empty();

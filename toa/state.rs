// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has, and the sockets whose clients are known.

use core::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

use crate::{
    engine::{
        family::Tuple,
        prefix::Prefix,
        toa::{self, Kinds, Malformed},
        tuple::{TupleV4, TupleV6},
    },
    flows::Flows,
    kapi::{
        end::{End, Ends},
        netfilter::{Description, Hooks},
        netns::{Net, PerNet, Registered, Registration},
        percpu::PerCpuCounters,
        rcu::{self, Rcu, RcuBox, RcuSlot},
        sock::Segment,
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
}

/// How many [`Counter`]s there are.
pub(crate) const COUNTERS: usize = Counter::FlowLearned as usize + 1;

/// What an administrator sets.
pub(crate) struct Settings {
    /// Kinds of options that carry addresses.
    pub(crate) kinds: Kinds,
    /// Networks whose addresses are believed.
    pub(crate) trusted: KVec<Prefix>,
}

impl Settings {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

/// State of one network namespace.
#[pin_data]
pub(crate) struct Netns {
    net: &'static Net,
    settings: RcuSlot<Settings>,
    counters: PerCpuCounters<COUNTERS>,
    /// Held by who changes the settings.
    #[pin]
    changing: Mutex<()>,
    flows_v4: Flows<TupleV4>,
    flows_v6: Flows<TupleV6>,
    /// The hooks that restore clients' addresses, while that is wanted.
    #[pin]
    udp: Mutex<Option<Hooks>>,
    /// Whether there are such hooks, for the worker.
    is_udp_on: AtomicBool,
    /// Whether the worker is to be woken.
    is_idle: AtomicBool,
    #[pin]
    worker: Worker<Self>,
}

static REGISTRATION: Registration<Netns> = Registration::new();

impl PerNet for Netns {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let settings = Settings {
            kinds: Kinds::usual(),
            trusted: KVec::new(),
        };
        let live = RcuSlot::empty();
        live.replace(Some(RcuBox::new(settings, GFP_KERNEL)?));
        let counters = PerCpuCounters::new()?;
        let (flows_v4, flows_v6) = (Flows::new()?, Flows::new()?);
        let this = KBox::pin_init(
            pin_init!(Self {
                net,
                settings: live,
                counters,
                changing <- new_mutex!((), "toa settings"),
                flows_v4,
                flows_v6,
                udp <- new_mutex!(None, "toa hooks"),
                is_udp_on: AtomicBool::new(false),
                is_idle: AtomicBool::new(true),
                worker: Worker::new(),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: Just made, nobody kicks it before; `pre_exit` stops it.
        unsafe { Worker::start(this.as_ref()) };
        Ok(this)
    }

    fn pre_exit(&self) {
        if self.udp.lock().take().is_some() {
            rcu::synchronize();
        }
        self.worker.stop();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

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

    fn worker(&self) -> &Worker<Self> {
        &self.worker
    }
}

impl Netns {
    /// Makes the state of every namespace.
    pub(crate) fn register() -> Result<Registered<Self>> {
        REGISTRATION.register()
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

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.counters.add_at(counter as usize, 1);
    }

    /// The counts, by [`Counter`].
    pub(crate) fn counts(&self) -> [u64; COUNTERS] {
        self.counters.sums()
    }

    /// The settings.
    pub(crate) fn settings<'a>(&self, rcu: Rcu<'a>) -> Option<&'a Settings> {
        self.settings.get(rcu)
    }

    /// Changes the settings; `change` gets a copy of them. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or what `change` gives; then nothing changes.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings) -> Result) -> Result {
        let _changing = self.changing.lock();
        let mut settings = self.copy_of_settings()?;
        change(&mut settings)?;
        let settings = RcuBox::new(settings, GFP_KERNEL)?;
        self.settings.replace(Some(settings));
        Ok(())
    }

    /// A copy of the settings, to be looked at for longer than under RCU; the mutex is held.
    fn copy_of_settings(&self) -> Result<Settings> {
        // Room first, as nothing may sleep under RCU.
        let mut copy = Settings {
            kinds: Kinds::NONE,
            trusted: KVec::with_capacity(TRUSTED_MAX, GFP_KERNEL)?,
        };
        let guard = kernel::sync::rcu::read_lock();
        let settings = self.settings(Rcu::of(&guard)).ok_or(ENODEV)?;
        copy.kinds = settings.kinds;
        for network in &settings.trusted {
            copy.trusted
                .push_within_capacity(*network)
                .map_err(|_| ENOMEM)?;
        }
        Ok(copy)
    }

    /// The settings as they are, to be told of. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn present(&self) -> Result<Settings> {
        let _changing = self.changing.lock();
        self.copy_of_settings()
    }

    /// Registers the hooks of UDP that `hooks` describes, or takes them away. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn hook_udp<const N: usize>(
        &self,
        on: bool,
        hooks: impl FnOnce() -> [Description<Self>; N],
    ) -> Result {
        let mut udp = self.udp.lock();
        if !on && udp.take().is_some() {
            // Nobody learns any more; the worker forgets.
            rcu::synchronize();
            self.is_udp_on.store(false, Ordering::Release);
            self.worker.kick(0);
        } else if on && udp.is_none() {
            self.is_udp_on.store(true, Ordering::Release);
            // SAFETY: `pre_exit` drops them and waits.
            *udp = Some(unsafe { Hooks::register(self.net, self, hooks()) }?);
        }
        Ok(())
    }

    /// Whether clients' addresses are restored in UDP. May sleep.
    pub(crate) fn has_udp(&self) -> bool {
        self.udp.lock().is_some()
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

    /// Whom `segment` is forwarded for, if its sender is to be believed. What is not is counted.
    pub(crate) fn client_of(&self, segment: &Segment<'_>, rcu: Rcu<'_>) -> Option<SocketAddr> {
        let told = toa::find(segment.options(), &self.settings(rcu)?.kinds);
        self.believed(told, segment.peer(), rcu)
    }

    /// The client that `peer` has told of, if it is to be believed. What is not is counted.
    pub(crate) fn believed(
        &self,
        told: Result<Option<SocketAddr>, Malformed>,
        peer: IpAddr,
        rcu: Rcu<'_>,
    ) -> Option<SocketAddr> {
        match told {
            Ok(None) => None,
            Ok(Some(client)) if self.settings(rcu)?.trusts(peer) => Some(client),
            Ok(Some(_)) => {
                self.count(Counter::Untrusted);
                None
            }
            Err(malformed) => {
                self.count(match malformed {
                    Malformed::Length => Counter::Malformed,
                    Malformed::WrongLength => Counter::WrongLength,
                    Malformed::Twice => Counter::Twice,
                    Malformed::Address => Counter::BadAddress,
                });
                None
            }
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

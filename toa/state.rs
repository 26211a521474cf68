// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has, and the sockets whose clients are known.

use core::net::{IpAddr, SocketAddr};

use kernel::{new_mutex, prelude::*, sync::Mutex};

use crate::{
    engine::{
        prefix::Prefix,
        toa::{self, Kinds, Malformed},
    },
    kapi::{
        netns::{Net, PerNet, Registered, Registration},
        percpu::PerCpuCounters,
        rcu::{Rcu, RcuBox, RcuSlot},
        sock::{Ends, Segment},
        sock_map::SockMap,
    },
};

/// Most trusted networks of a namespace.
pub(crate) const TRUSTED_MAX: usize = 256;

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
}

/// How many [`Counter`]s there are.
pub(crate) const COUNTERS: usize = Counter::Answered as usize + 1;

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
    settings: RcuSlot<Settings>,
    counters: PerCpuCounters<COUNTERS>,
    /// Held by who changes the settings.
    #[pin]
    changing: Mutex<()>,
}

static REGISTRATION: Registration<Netns> = Registration::new();

impl PerNet for Netns {
    fn init(_net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let settings = Settings {
            kinds: Kinds::usual(),
            trusted: KVec::new(),
        };
        let live = RcuSlot::empty();
        live.replace(Some(RcuBox::new(settings, GFP_KERNEL)?));
        let counters = PerCpuCounters::new()?;
        KBox::pin_init(
            pin_init!(Self {
                settings: live,
                counters,
                changing <- new_mutex!((), "toa settings"),
            }),
            GFP_KERNEL,
        )
    }

    fn pre_exit(&self) {}

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
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

    /// Counts one.
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

    /// Whom `segment` is forwarded for, if its sender is to be believed. What is not is counted.
    pub(crate) fn client_of(&self, segment: &Segment<'_>, rcu: Rcu<'_>) -> Option<SocketAddr> {
        let settings = self.settings(rcu)?;
        match toa::find(segment.options(), &settings.kinds) {
            Ok(None) => None,
            Ok(Some(client)) if settings.trusts(segment.peer()) => Some(client),
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
    pub(crate) client: SocketAddr,
}

/// The sockets whose clients are known, of all namespaces.
pub(crate) static SOCKETS: RcuSlot<SockMap<Tag>> = RcuSlot::empty();

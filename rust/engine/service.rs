// SPDX-License-Identifier: GPL-2.0

//! What a service is set to, besides its id.

use super::helper::Helper;
use super::numbered::numbered;
use super::persistence::{Engine, Persistence};
use super::proto::own::{OwnTimeouts, TimeoutUpdate};
use super::sched::SchedulerName;
use super::sched::{Options, MH_SIZES};
use super::spec::{
    validate_timeout, validate_toa_kind, Protocol, ServiceId, SpecError, TIMEOUT_MAX, TOA_INHERITED,
};
use super::uoa;

/// Flags of a scheduler, as bits: `IP_VS_SVC_F_SCHED1` to `3` of `ip_vs`, from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerFlags(u32);

impl SchedulerFlags {
    /// `flag-1`: `sh-fallback`, `mh-fallback`.
    pub const FALLBACK: Self = Self(1);
    /// `flag-2`: `sh-port`, `mh-port`.
    pub const PORT: Self = Self(2);
    /// `flag-3`: no scheduler has a use for it.
    pub const THIRD: Self = Self(4);
    /// No flag.
    pub const NONE: Self = Self(0);
    /// All flags there are.
    pub const ALL: Self = Self(7);

    /// The flags with these bits; none where one is unknown.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Their bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are among them.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A service's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// How dests are chosen for new flows.
    pub scheduler: SchedulerName,
    /// Flags of the scheduler; one that has no use for them ignores them, as in `ip_vs`.
    pub flags: SchedulerFlags,
    /// Size of `mh`'s table, one of [`MH_SIZES`].
    pub mh_size: u32,
    /// Seconds after which `lblc` and `lblcr` forget an address, and `lblcr` shrinks its set.
    pub expiration: u32,
    /// Every UDP packet is scheduled on its own and no connection is kept; not of TCP services.
    pub one_packet: bool,
    /// `rr`: start at a dest that is drawn, not at the first.
    pub random_start: bool,
    /// Seconds within which a dest that is new, or takes connections again, gets its share; 0 is at
    /// once. For schedulers whose shares follow weights.
    pub slow_start: u32,
    /// How clients stay with a dest.
    pub persistence: Persistence,
    /// Timeouts of its connections.
    pub timeouts: OwnTimeouts,
    /// What becomes of connections whose dest is removed.
    pub removed: Removed,
    /// What becomes of UDP flows whose dest has weight 0.
    pub quiesced_flows: Removed,
    /// Kind of the option that tells FullNAT's real servers the client's address, 0 for none,
    /// [`TOA_INHERITED`] for what is usual: the namespace's for TCP, none for UDP, which has but
    /// [`uoa::KIND`]. With that a service by mark tells it of UDP, and of TCP what is usual.
    pub toa: u8,
    /// Packets and bytes of each connection are counted.
    pub account: bool,
    /// Whose commands are followed to the connections that they tell of.
    pub helper: Helper,
}

/// What becomes of connections whose dest is removed, or of UDP flows whose dest has weight 0; the numbers are those of the netlink enum
/// `removed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Removed {
    /// As the namespace's `expire-nodest` or `expire-quiesced` says.
    #[default]
    Default = 0,
    /// They go on (but for UDP flows of a removed dest).
    GoOn = 1,
    /// They end at their next packet.
    Expire = 2,
}

// Names as in `rvsadm service add … --expire-nodest`.
numbered! {
    Removed as u32 {
        Default = "default",
        GoOn = "off",
        Expire = "on",
    }
}

impl Removed {
    /// Whether they end, where the namespace's setting is `default`.
    pub const fn ends(self, default: bool) -> bool {
        match self {
            Self::Default => default,
            Self::GoOn => false,
            Self::Expire => true,
        }
    }
}

impl ServiceSpec {
    /// Whether its connections have a place for what they carried: to keep accounts, or for a helper.
    pub fn has_accounts(&self) -> bool {
        self.account || self.helper != Helper::Off
    }

    /// The settings of a service of which only the scheduler is given.
    pub const fn new(scheduler: SchedulerName) -> Self {
        Self {
            scheduler,
            flags: SchedulerFlags::NONE,
            mh_size: Options::DEFAULT.mh_size,
            expiration: Options::DEFAULT.expiration,
            one_packet: false,
            random_start: false,
            slow_start: 0,
            persistence: Persistence {
                seconds: 0,
                prefix: 0,
                quiesced: false,
                engine: Engine::Off,
            },
            timeouts: OwnTimeouts::NONE,
            removed: Removed::Default,
            quiesced_flows: Removed::Default,
            toa: TOA_INHERITED,
            account: false,
            helper: Helper::Off,
        }
    }

    /// Checks the settings of the service `id`, but for the scheduler's name.
    ///
    /// # Errors
    ///
    /// The first rule that they break.
    pub fn validate(&self, id: &ServiceId) -> Result<(), SpecError> {
        if !MH_SIZES.contains(&self.mh_size) {
            return Err(SpecError::MhSize(self.mh_size));
        }
        validate_timeout(self.expiration).map_err(|_| SpecError::Expiration(self.expiration))?;
        let other = id.protocol().filter(|protocol| *protocol != Protocol::Udp);
        if let (true, Some(protocol)) = (self.one_packet, other) {
            return Err(SpecError::OnePacket(protocol));
        }
        if let (true, Some(protocol)) = (self.persistence.engine != Engine::Off, other) {
            return Err(SpecError::Engine(self.persistence.engine, protocol));
        }
        if let (true, Some(protocol @ (Protocol::Udp | Protocol::Sctp))) =
            (self.helper != Helper::Off, id.protocol())
        {
            return Err(SpecError::Helper(self.helper, protocol));
        }
        match (id.protocol(), self.toa) {
            (_, TOA_INHERITED) | (Some(Protocol::Udp) | None, 0 | uoa::KIND) => {}
            (Some(Protocol::Sctp), 0) => {}
            (Some(Protocol::Udp), kind) => return Err(SpecError::UoaKind(kind)),
            (Some(Protocol::Sctp), kind) => return Err(SpecError::ToaKind(kind)),
            (Some(Protocol::Tcp) | None, kind) => validate_toa_kind(kind)?,
        }
        if self.slow_start > TIMEOUT_MAX {
            return Err(SpecError::SlowStart(self.slow_start));
        }
        self.persistence.validate(id.is_ipv6())?;
        self.timeouts.validate()
    }

    /// How its scheduler is set up for flows to one address, or to many.
    pub const fn options(&self, many_addresses: bool) -> Options {
        Options {
            fallback: self.flags.has(SchedulerFlags::FALLBACK),
            port: self.flags.has(SchedulerFlags::PORT),
            mh_size: self.mh_size,
            addresses: if many_addresses {
                Options::DEFAULT.addresses
            } else {
                1
            },
            expiration: self.expiration,
            random_start: self.random_start,
        }
    }

    /// What makes these settings of `old`.
    pub fn since(&self, old: &Self) -> ServiceUpdate {
        ServiceUpdate {
            scheduler: differs(self.scheduler, old.scheduler),
            flags: differs(self.flags, old.flags),
            mh_size: differs(self.mh_size, old.mh_size),
            expiration: differs(self.expiration, old.expiration),
            one_packet: differs(self.one_packet, old.one_packet),
            random_start: differs(self.random_start, old.random_start),
            slow_start: differs(self.slow_start, old.slow_start),
            persistence: differs(self.persistence.seconds, old.persistence.seconds),
            prefix: differs(self.persistence.prefix, old.persistence.prefix),
            quiesced: differs(self.persistence.quiesced, old.persistence.quiesced),
            engine: differs(self.persistence.engine, old.persistence.engine),
            timeouts: self.timeouts.since(&old.timeouts),
            removed: differs(self.removed, old.removed),
            quiesced_flows: differs(self.quiesced_flows, old.quiesced_flows),
            toa: differs(self.toa, old.toa),
            account: differs(self.account, old.account),
            helper: differs(self.helper, old.helper),
        }
    }
}

fn differs<T: PartialEq>(new: T, old: T) -> Option<T> {
    (new != old).then_some(new)
}

/// A change of a service's settings; `None` keeps a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceUpdate {
    /// See [`ServiceSpec::scheduler`].
    pub scheduler: Option<SchedulerName>,
    /// See [`ServiceSpec::flags`].
    pub flags: Option<SchedulerFlags>,
    /// See [`ServiceSpec::mh_size`].
    pub mh_size: Option<u32>,
    /// See [`ServiceSpec::expiration`].
    pub expiration: Option<u32>,
    /// See [`ServiceSpec::one_packet`].
    pub one_packet: Option<bool>,
    /// See [`ServiceSpec::random_start`].
    pub random_start: Option<bool>,
    /// See [`ServiceSpec::slow_start`].
    pub slow_start: Option<u32>,
    /// See [`Persistence::seconds`].
    pub persistence: Option<u32>,
    /// See [`Persistence::prefix`].
    pub prefix: Option<u8>,
    /// See [`Persistence::quiesced`].
    pub quiesced: Option<bool>,
    /// See [`Persistence::engine`].
    pub engine: Option<Engine>,
    /// See [`ServiceSpec::timeouts`].
    pub timeouts: TimeoutUpdate,
    /// See [`ServiceSpec::removed`].
    pub removed: Option<Removed>,
    /// See [`ServiceSpec::quiesced_flows`].
    pub quiesced_flows: Option<Removed>,
    /// See [`ServiceSpec::toa`].
    pub toa: Option<u8>,
    /// See [`ServiceSpec::account`].
    pub account: Option<bool>,
    /// See [`ServiceSpec::helper`].
    pub helper: Option<Helper>,
}

impl ServiceUpdate {
    /// What becomes of `old`.
    #[must_use]
    pub fn of(&self, old: &ServiceSpec) -> ServiceSpec {
        ServiceSpec {
            scheduler: self.scheduler.unwrap_or(old.scheduler),
            flags: self.flags.unwrap_or(old.flags),
            mh_size: self.mh_size.unwrap_or(old.mh_size),
            expiration: self.expiration.unwrap_or(old.expiration),
            one_packet: self.one_packet.unwrap_or(old.one_packet),
            random_start: self.random_start.unwrap_or(old.random_start),
            slow_start: self.slow_start.unwrap_or(old.slow_start),
            persistence: Persistence {
                seconds: self.persistence.unwrap_or(old.persistence.seconds),
                prefix: self.prefix.unwrap_or(old.persistence.prefix),
                quiesced: self.quiesced.unwrap_or(old.persistence.quiesced),
                engine: self.engine.unwrap_or(old.persistence.engine),
            },
            timeouts: self.timeouts.of(&old.timeouts),
            removed: self.removed.unwrap_or(old.removed),
            quiesced_flows: self.quiesced_flows.unwrap_or(old.quiesced_flows),
            toa: self.toa.unwrap_or(old.toa),
            account: self.account.unwrap_or(old.account),
            helper: self.helper.unwrap_or(old.helper),
        }
    }
}

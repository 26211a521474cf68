// SPDX-License-Identifier: GPL-2.0

//! A namespace's settings.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering};

use kernel::sync::SetOnce;

use super::turn::Posts;
use crate::{
    engine::{
        conntrack::Conntrack,
        defence::When,
        echo::Echo,
        places::Places,
        portpool::PortRange,
        proto::{State, Timeouts, STATES},
        spec::{
            validate_drop_rate, validate_local_ports, validate_timeout, validate_toa_kind,
            ConnReuse, SpecError, TOA_KIND,
        },
    },
    kapi::{broken::broken, time},
};

/// Settings as an operator sees them.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Seconds of silence by state.
    pub(crate) timeouts: Timeouts,
    /// Connections the namespace may hold; 0 is no limit.
    pub(crate) conn_max: u64,
    /// Most connections that each of the other namespaces may hold, 0 for no limit. Only the first
    /// namespace has a say.
    pub(crate) conn_max_others: u64,
    /// Whether connections of a removed dest end at their next packet.
    pub(crate) expire_nodest: bool,
    /// Whether UDP flows of a dest of weight 0 go elsewhere at their next packet.
    pub(crate) expire_quiesced: bool,
    /// Ports that local addresses are used with.
    pub(crate) local_ports: PortRange,
    /// Kind of the option that carries the client's address; 0 for none.
    pub(crate) toa_kind: u8,
    /// Whether TCP packets of no connection begin one although they do not open it.
    pub(crate) sloppy_tcp: bool,
    /// When a SYN on a connection's ports opens another one.
    pub(crate) conn_reuse: ConnReuse,
    /// Whether clients of the IPVS dialect mean FullNAT when they say masquerading.
    pub(crate) nat_as_fullnat: bool,
    /// When connections that have not been answered end early.
    pub(crate) drop_entry: When,
    /// When some new flows are dropped.
    pub(crate) drop_packet: When,
    /// Of how many new flows one is dropped, where that is always.
    pub(crate) drop_rate: u32,
    /// MiB of memory below which it is short.
    pub(crate) memory_min: u32,
    /// Whether flows of services by mark that find no dest go where they are to.
    pub(crate) cache_bypass: bool,
    /// What becomes of echo requests to virtual addresses.
    pub(crate) echo: Echo,
    /// Where packets are taken, unless connections are tracked.
    pub(crate) places: Places,
    /// Whether the host tracks connections that begin.
    pub(crate) conntrack: Conntrack,
}

impl Settings {
    /// What a namespace starts with.
    pub(crate) const DEFAULT: Self = Self {
        timeouts: Timeouts::DEFAULT,
        conn_max: 0,
        conn_max_others: 0,
        expire_nodest: false,
        expire_quiesced: false,
        local_ports: PortRange::DEFAULT,
        toa_kind: TOA_KIND,
        sloppy_tcp: false,
        conn_reuse: ConnReuse::Closed,
        nat_as_fullnat: false,
        drop_entry: When::Off,
        drop_packet: When::Off,
        drop_rate: 10,
        memory_min: 4,
        cache_bypass: false,
        echo: Echo::Host,
        places: Places::Early,
        conntrack: Conntrack::Off,
    };

    /// Where packets are to be taken.
    pub(super) fn posts(&self) -> Posts {
        match (self.conntrack, self.places) {
            (Conntrack::Fast, _) => Posts::Fast,
            (Conntrack::On, _) | (_, Places::IpVs) => Posts::IpVs,
            (Conntrack::Off, Places::Early) => Posts::Early,
        }
    }

    /// Starts with the limit that the first namespace sets for others, and with the module's places.
    pub(super) fn inherit(&mut self, is_first: bool) {
        self.places = PLACES.as_ref().copied().unwrap_or(Places::Early);
        if !is_first {
            self.conn_max = CONN_MAX_OTHERS.load(Ordering::Relaxed);
        }
    }

    /// Checks what only the first namespace may say in place of `old`, and what it lets another say.
    pub(super) fn check(&self, old: &Self, is_first: bool) -> Result<(), SpecError> {
        if is_first {
            return Ok(());
        }
        if self.conn_max_others != old.conn_max_others {
            return Err(SpecError::ConnMaxOthers);
        }
        let limit = CONN_MAX_OTHERS.load(Ordering::Relaxed);
        let exceeds = self.conn_max == 0 || self.conn_max > limit;
        if limit != 0 && exceeds && self.conn_max != old.conn_max {
            return Err(SpecError::ConnMax(limit));
        }
        Ok(())
    }

    /// Checks them.
    pub(crate) fn validate(&self) -> Result<(), SpecError> {
        validate_local_ports(self.local_ports)?;
        validate_toa_kind(self.toa_kind)?;
        validate_drop_rate(self.drop_rate)?;
        State::all().try_for_each(|state| validate_timeout(self.timeouts.get(state)))
    }
}

/// Where packets of new namespaces are taken. Set once, by the module's init.
static PLACES: SetOnce<Places> = SetOnce::new();

/// Has namespaces begin with other places than the early ones.
pub(crate) fn begin_with(places: Places) {
    PLACES.populate(places);
}

/// Most connections that each namespace but the first may hold; 0 is no limit.
static CONN_MAX_OTHERS: AtomicU64 = AtomicU64::new(0);

/// Settings as packets need them.
pub(crate) struct LiveSettings {
    is_first: bool,
    /// Ticks by state, filled up so that no look-up is out of bounds.
    timeouts: [AtomicU32; 32],
    conn_max: AtomicU64,
    expire_nodest: AtomicBool,
    /// The lowest in the high half, the highest in the low half.
    local_ports: AtomicU32,
    toa_kind: AtomicU8,
    sloppy_tcp: AtomicBool,
    conn_reuse: AtomicU8,
    cache_bypass: AtomicBool,
    echo: AtomicU8,
    /// Whether replies get the route of the virtual address, also where they have one: a setting of the
    /// IPVS dialect.
    pub(crate) snat_reroute: AtomicU32,
    /// Whether packets of SCTP of no association begin one although they do not open it, likewise.
    pub(crate) sloppy_sctp: AtomicU32,
}

impl LiveSettings {
    /// Of the first namespace or of another.
    #[inline(never)] // For the frame of who makes all of a namespace.
    pub(super) fn new(settings: &Settings, is_first: bool) -> Self {
        let live = Self {
            is_first,
            timeouts: [const { AtomicU32::new(0) }; 32],
            conn_max: AtomicU64::new(0),
            expire_nodest: AtomicBool::new(false),
            local_ports: AtomicU32::new(0),
            toa_kind: AtomicU8::new(0),
            sloppy_tcp: AtomicBool::new(false),
            conn_reuse: AtomicU8::new(0),
            cache_bypass: AtomicBool::new(false),
            echo: AtomicU8::new(0),
            snat_reroute: AtomicU32::new(1),
            sloppy_sctp: AtomicU32::new(0),
        };
        live.set(settings);
        live
    }

    pub(super) fn set(&self, settings: &Settings) {
        for (state, ticks) in State::all().zip(self.timeouts.iter()).take(STATES) {
            ticks.store(
                time::seconds(settings.timeouts.get(state)),
                Ordering::Relaxed,
            );
        }
        self.conn_max.store(settings.conn_max, Ordering::Relaxed);
        if self.is_first {
            CONN_MAX_OTHERS.store(settings.conn_max_others, Ordering::Relaxed);
        }
        let PortRange { first, last } = settings.local_ports;
        let ports = (u32::from(first) << 16) | u32::from(last);
        self.local_ports.store(ports, Ordering::Relaxed);
        self.toa_kind.store(settings.toa_kind, Ordering::Relaxed);
        self.sloppy_tcp
            .store(settings.sloppy_tcp, Ordering::Relaxed);
        let reuse = settings.conn_reuse.number();
        self.conn_reuse.store(reuse, Ordering::Relaxed);
        self.cache_bypass
            .store(settings.cache_bypass, Ordering::Relaxed);
        self.echo.store(settings.echo.number(), Ordering::Relaxed);
        self.expire_nodest
            .store(settings.expire_nodest, Ordering::Relaxed);
    }

    /// Ticks of silence that `state` lasts.
    #[inline(always)]
    pub(crate) fn timeout(&self, state: State) -> u32 {
        self.timeouts[(state.number() & 31) as usize].load(Ordering::Relaxed)
    }

    /// Most connections, 0 for no limit.
    pub(super) fn conn_max(&self) -> u64 {
        let own = self.conn_max.load(Ordering::Relaxed);
        let limit = CONN_MAX_OTHERS.load(Ordering::Relaxed);
        // Also where the limit came later.
        if self.is_first || limit == 0 {
            own
        } else if own == 0 {
            limit
        } else {
            own.min(limit)
        }
    }

    /// Ports that local addresses are used with.
    pub(super) fn local_ports(&self) -> PortRange {
        let ports = self.local_ports.load(Ordering::Relaxed);
        PortRange {
            first: (ports >> 16) as u16,
            last: ports as u16,
        }
    }

    /// Kind of the option that carries the client's address; 0 for none.
    pub(super) fn toa_kind(&self) -> u8 {
        self.toa_kind.load(Ordering::Relaxed)
    }

    /// Whether TCP packets of no connection begin one although they do not open it.
    pub(crate) fn sloppy_tcp(&self) -> bool {
        self.sloppy_tcp.load(Ordering::Relaxed)
    }

    /// Whether flows of services by mark that find no dest go where they are to.
    pub(crate) fn cache_bypass(&self) -> bool {
        self.cache_bypass.load(Ordering::Relaxed)
    }

    /// Whether replies get the route of the virtual address, also where they have one.
    pub(crate) fn reroutes(&self) -> bool {
        self.snat_reroute.load(Ordering::Relaxed) != 0
    }

    /// Whether packets of SCTP of no association begin one although they do not open it.
    pub(crate) fn sloppy_sctp(&self) -> bool {
        self.sloppy_sctp.load(Ordering::Relaxed) != 0
    }

    /// What becomes of echo requests to virtual addresses.
    pub(crate) fn echo(&self) -> Echo {
        let echo = Echo::from_number(self.echo.load(Ordering::Relaxed));
        echo.unwrap_or_else(|| {
            broken!(c"the setting echo has no value");
            Echo::Host
        })
    }

    /// When a SYN on a connection's ports opens another one.
    pub(crate) fn conn_reuse(&self) -> ConnReuse {
        let number = self.conn_reuse.load(Ordering::Relaxed);
        ConnReuse::from_number(number).unwrap_or_else(|| {
            broken!(c"the setting conn-reuse has no value");
            ConnReuse::Closed
        })
    }

    /// Whether connections of a removed dest end at their next packet.
    pub(crate) fn expire_nodest(&self) -> bool {
        self.expire_nodest.load(Ordering::Relaxed)
    }
}

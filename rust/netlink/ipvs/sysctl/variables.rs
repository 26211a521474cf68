// SPDX-License-Identifier: GPL-2.0

//! The files of `/proc/sys/net/ipv4/vs`: what each may have, starts with and sets.

use core::{
    ffi::{c_int, CStr},
    sync::atomic::AtomicU32,
};

use kernel::{error::code::EINVAL, prelude::*};

use crate::{
    engine::{conntrack::Conntrack, defence::When, spec::ConnReuse},
    kapi::{
        memory,
        netns::Net,
        sysctl::{self, File, Kind, CPUS_MAX},
        time,
    },
    table::{Netns, Settings, Tuning},
};

/// `IP_VS_CONN_MAX`: what `conn_max` starts with, and its limit.
const CONN_MAX: u64 = 1 << 30;

/// What may be written to a file.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Anything of its kind.
    Any,
    /// A number from the first to the second.
    Range(c_int, c_int),
    /// A power of two.
    PowerOfTwo,
    /// None below 0, the first less than the second, unless that is 0.
    Threshold,
}

/// A file whose content is one of RVS's own settings.
#[derive(Clone, Copy)]
pub(super) enum Backing {
    /// None: what is written is kept.
    None,
    /// Whether clients stay with dests that take no new ones.
    Quiescent,
    /// After how many seconds services with that scheduler forget addresses.
    Expiration(&'static str),
    /// Whether rates are estimated.
    Estimation,
    /// How much other directors are told.
    Tuning(fn(&Tuning) -> &AtomicU32),
    /// What packets do, in this dialect only.
    Live(fn(&Netns) -> &AtomicU32),
    /// A setting that the family `rvs` has too.
    Setting {
        /// Makes of a number that may be written what it stands for.
        set: fn(&mut Settings, c_int),
        /// The number that stands for what is set.
        shown: fn(&Settings) -> c_int,
    },
}

/// A setting that is on or off.
macro_rules! switch {
    ($name:ident) => {
        Backing::Setting {
            set: |settings, value| settings.$name = value != 0,
            shown: |settings| c_int::from(settings.$name),
        }
    };
}

/// One of `ip_vs`'s defences: off, when memory is short, always. Where it is the second, `ip_vs`
/// goes between 1 and 2 by itself.
macro_rules! level {
    ($name:ident) => {
        Backing::Setting {
            set: |settings, value| {
                settings.$name = match value {
                    0 => When::Off,
                    3 => When::On,
                    _ => When::Auto,
                }
            },
            shown: |settings| match settings.$name {
                When::Off => 0,
                When::Auto => 1,
                When::On => 3,
            },
        }
    };
}

/// A file and its rules.
pub(super) struct Variable {
    pub(super) file: File,
    default: [c_int; 2],
    pub(super) rule: Rule,
    pub(super) backing: Backing,
}

impl Variable {
    const fn new(name: &'static CStr, default: c_int) -> Self {
        Self {
            file: File {
                name,
                kind: Kind::Int,
                is_guarded: false,
            },
            default: [default, 0],
            rule: Rule::Any,
            backing: Backing::None,
        }
    }

    const fn kind(mut self, kind: Kind) -> Self {
        self.file.kind = kind;
        self
    }

    const fn guarded(mut self) -> Self {
        self.file.is_guarded = true;
        self
    }

    const fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    const fn backing(mut self, backing: Backing) -> Self {
        self.backing = backing;
        self
    }

    const fn pair(mut self, first: c_int, second: c_int) -> Self {
        self.default = [first, second];
        self.kind(Kind::Pair).rule(Rule::Threshold)
    }
}

/// What 0 and 1 make of the setting: 1 leaves the fast lane as it is.
fn conntrack(value: c_int, now: Conntrack) -> Conntrack {
    match (value, now) {
        (0, _) => Conntrack::Off,
        (_, Conntrack::Fast) => Conntrack::Fast,
        _ => Conntrack::On,
    }
}

/// Seconds of a day, and how many `ip_vs` takes for an expiration, in ticks of its own.
const DAY: c_int = 24 * 60 * 60;
const EXPIRATION: Rule = Rule::Range(
    -(c_int::MAX / time::HZ as c_int),
    c_int::MAX / time::HZ as c_int,
);

/// Levels of `ip_vs`'s defences.
const LEVELS: Rule = Rule::Range(0, 3);

pub(super) static VARIABLES: [Variable; 34] = [
    Variable::new(c"amemthresh", 1024).backing(Backing::Setting {
        set: |settings, pages| settings.memory_min = mebibytes(pages),
        shown: |settings| pages(settings.memory_min),
    }),
    Variable::new(c"am_droprate", 10).backing(Backing::Setting {
        set: |settings, rate| settings.drop_rate = drop_rate(rate),
        shown: |settings| c_int::try_from(settings.drop_rate).unwrap_or(0),
    }),
    Variable::new(c"conn_max", CONN_MAX as c_int)
        .rule(Rule::Range(1, CONN_MAX as c_int))
        .backing(Backing::Setting {
            set: |settings, value| settings.conn_max = limit(value),
            shown: |settings| conn_max(settings),
        }),
    Variable::new(c"drop_entry", 0)
        .rule(LEVELS)
        .backing(level!(drop_entry)),
    Variable::new(c"drop_packet", 0)
        .rule(LEVELS)
        .backing(level!(drop_packet)),
    Variable::new(c"conntrack", 0).backing(Backing::Setting {
        set: |settings, value| settings.conntrack = conntrack(value, settings.conntrack),
        shown: |settings| c_int::from(settings.conntrack.is_on()),
    }),
    Variable::new(c"secure_tcp", 0).rule(LEVELS),
    Variable::new(c"snat_reroute", 1).backing(Backing::Live(|live| &live.settings.snat_reroute)),
    Variable::new(c"sync_version", 1).rule(Rule::Range(0, 1)),
    Variable::new(c"sync_ports", 1)
        .rule(Rule::PowerOfTwo)
        .backing(Backing::Tuning(|tuning| &tuning.ports)),
    Variable::new(c"sync_persist_mode", 0).backing(Backing::Tuning(|tuning| &tuning.persist_mode)),
    Variable::new(c"sync_qlen_max", 0)
        .kind(Kind::Long)
        .guarded()
        .backing(Backing::Tuning(|tuning| &tuning.waiting)),
    Variable::new(c"sync_sock_size", 0)
        .guarded()
        .backing(Backing::Tuning(|tuning| &tuning.buffer)),
    Variable::new(c"cache_bypass", 0).backing(switch!(cache_bypass)),
    Variable::new(c"expire_nodest_conn", 0).backing(switch!(expire_nodest)),
    Variable::new(c"sloppy_tcp", 0).backing(switch!(sloppy_tcp)),
    Variable::new(c"sloppy_sctp", 0).backing(Backing::Live(|live| &live.settings.sloppy_sctp)),
    Variable::new(c"expire_quiescent_template", 0).backing(Backing::Quiescent),
    Variable::new(c"sync_threshold", 0).pair(3, 50),
    // Kept in seconds, where `ip_vs` keeps ticks.
    Variable::new(c"sync_refresh_period", 0)
        .rule(Rule::Range(
            -(c_int::MAX / time::HZ as c_int),
            c_int::MAX / time::HZ as c_int,
        ))
        .backing(Backing::Tuning(|tuning| &tuning.period)),
    Variable::new(c"sync_retries", 0)
        .rule(Rule::Range(0, 3))
        .backing(Backing::Tuning(|tuning| &tuning.retries)),
    Variable::new(c"nat_icmp_send", 0),
    Variable::new(c"pmtu_disc", 1),
    Variable::new(c"backup_only", 0),
    Variable::new(c"conn_reuse_mode", 1).backing(Backing::Setting {
        set: |settings, mode| settings.conn_reuse = conn_reuse(mode),
        shown: |settings| settings.conn_reuse.number().into(),
    }),
    Variable::new(c"schedule_icmp", 0),
    Variable::new(c"ignore_tunneled", 0),
    Variable::new(c"run_estimation", 1)
        .backing(Backing::Estimation)
        .guarded(),
    Variable::new(c"est_cpulist", 0).kind(Kind::Cpus).guarded(),
    Variable::new(c"est_nice", 0)
        .rule(Rule::Range(-20, 19))
        .guarded(),
    Variable::new(c"conn_lfactor", 0)
        .rule(Rule::Range(-8, 8))
        .guarded(),
    Variable::new(c"svc_lfactor", 0)
        .rule(Rule::Range(-8, 8))
        .guarded(),
    Variable::new(c"lblc_expiration", DAY)
        .rule(EXPIRATION)
        .backing(Backing::Expiration("lblc")),
    Variable::new(c"lblcr_expiration", DAY)
        .rule(EXPIRATION)
        .backing(Backing::Expiration("lblcr")),
];

/// Values that were written, by the order of [`VARIABLES`].
pub(in super::super) struct Kept {
    pub(super) ints: [[c_int; 2]; VARIABLES.len()],
    /// `sync_qlen_max`, the only one of its kind.
    pub(super) long: u64,
    /// `est_cpulist`, likewise.
    pub(super) cpus: [u8; CPUS_MAX],
}

impl Kept {
    /// What a namespace starts with, written to where it is to be: it is large.
    pub(in super::super) fn init(net: &Net) -> impl Init<Self> + '_ {
        init!(Self {
            ints: ints(net),
            long: sysctl::buffer_pages() / 32,
            cpus: sysctl::default_cpus(),
        })
    }
}

/// The numbers that a namespace starts with.
fn ints(net: &Net) -> [[c_int; 2]; VARIABLES.len()] {
    let mut ints = [[0; 2]; VARIABLES.len()];
    for (value, variable) in ints.iter_mut().zip(&VARIABLES) {
        *value = variable.default;
        // Tables grow early in the host's own namespace.
        *value = match (variable.file.name.to_bytes(), net.is_first()) {
            (b"conn_lfactor", true) => [-4, 0],
            (b"svc_lfactor", true) => [-3, 0],
            (b"conn_lfactor" | b"svc_lfactor", false) => [-2, 0],
            _ => *value,
        };
    }
    ints
}

impl Rule {
    pub(super) fn check(self, [first, second]: [c_int; 2]) -> Result {
        let holds = match self {
            Self::Any => true,
            Self::Range(least, most) => (least..=most).contains(&first),
            Self::PowerOfTwo => first > 0 && first.count_ones() == 1,
            Self::Threshold => first >= 0 && second >= 0 && (second == 0 || first < second),
        };
        if holds {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }
}

/// What `conn_max` says of the settings: no limit is the highest there.
fn conn_max(settings: &Settings) -> c_int {
    match settings.conn_max {
        0 => CONN_MAX as c_int,
        max => max.min(CONN_MAX) as c_int,
    }
}

fn limit(value: c_int) -> u64 {
    match u64::try_from(value) {
        Ok(value) if value < CONN_MAX => value,
        _ => 0,
    }
}

/// What `am_droprate` means: of so many new flows one is dropped. 0 is none, which takes as long as
/// it can here; a number below drops all of them.
fn drop_rate(value: c_int) -> u32 {
    match u32::try_from(value) {
        Ok(0) => u32::MAX,
        Ok(rate) => rate,
        Err(_) => 1,
    }
}

/// Pages in mebibytes, rounded up; none below 0.
fn mebibytes(pages: c_int) -> u32 {
    u32::try_from(pages)
        .unwrap_or(0)
        .div_ceil(memory::PAGES_A_MIB)
}

/// The other way, as far as the file's numbers go.
fn pages(mebibytes: u32) -> c_int {
    let pages = mebibytes.saturating_mul(memory::PAGES_A_MIB);
    c_int::try_from(pages).unwrap_or(c_int::MAX)
}

/// What `conn_reuse_mode` means: its second bit goes further than the others.
fn conn_reuse(mode: c_int) -> ConnReuse {
    match mode {
        0 => ConnReuse::Off,
        mode if mode & 2 != 0 => ConnReuse::Closing,
        _ => ConnReuse::Closed,
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Why a description of a service, dest or setting is refused.

use core::fmt;
use core::net::IpAddr;

use super::helper::Helper;
use super::limits::{TIMEOUT_MAX, WEIGHT_MAX};
use super::mode::{Mode, Protocol};
use super::persistence_engine::Engine;
use super::portpool::PortRange;
use super::toa;
use super::tunnel::{TunnelKind, TunnelSum};
use super::uoa;

/// Why a description is refused. `Display` gives the text for the user, at most 79 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// Not an address a service can have.
    VirtualAddress(IpAddr),
    /// Mark 0 is none.
    Mark,
    /// Not an address a real server can have.
    DestAddress(IpAddr),
    /// Service and dest are of different families.
    DestFamily(IpAddr),
    /// The real server is the virtual address itself.
    DestIsVirtualAddress(IpAddr),
    /// A dest needs a port.
    DestPort,
    /// Not an address that the director can send from.
    LocalAddress(IpAddr),
    /// The mode leaves the port as it is.
    SamePort {
        /// The mode.
        mode: Mode,
        /// The dest's port.
        dest: u16,
        /// The service's port.
        service: u16,
    },
    /// Weight over [`WEIGHT_MAX`].
    Weight(u32),
    /// Timeout outside 1 to [`TIMEOUT_MAX`].
    Timeout(u32),
    /// Local ports that are none.
    LocalPorts(PortRange),
    /// An option kind that means something else.
    ToaKind(u8),
    /// Not the kind of IP option that carries a UDP client's address.
    UoaKind(u8),
    /// The lower threshold is above the upper.
    Thresholds {
        /// The upper threshold.
        upper: u32,
        /// The lower threshold.
        lower: u32,
    },
    /// A tunnel, and another mode than that.
    TunnelMode(Mode),
    /// A port of a tunnel without one, or no port of one that needs it.
    TunnelPort {
        /// The tunnel's kind.
        kind: TunnelKind,
        /// The port.
        port: u16,
    },
    /// A kind of tunnel whose header has no such sum.
    TunnelSum {
        /// The tunnel's kind.
        kind: TunnelKind,
        /// The sum.
        sum: TunnelSum,
    },
    /// A sum of a tunnel's header that SCTP travels in: the kernel makes it from the inner packet's
    /// checksum, and takes that for one of the kind that TCP has.
    TunnelSctp(TunnelSum),
    /// Not a size that the table of `mh` may have.
    MhSize(u32),
    /// Time to forget an address outside 1 to [`TIMEOUT_MAX`].
    Expiration(u32),
    /// One-packet scheduling is for UDP.
    OnePacket(Protocol),
    /// A helper of TCP.
    Helper(Helper, Protocol),
    /// A persistence engine of UDP.
    Engine(Engine, Protocol),
    /// Persistence over [`TIMEOUT_MAX`].
    Persistence(u32),
    /// A prefix longer than an address.
    Prefix(u8),
    /// Time to drain over [`TIMEOUT_MAX`].
    Drain(u32),
    /// One of no flow is dropped.
    DropRate,
    /// Slow start over [`TIMEOUT_MAX`].
    SlowStart(u32),
    /// More connections than the first namespace lets others have.
    ConnMax(u64),
    /// That limit is set in another namespace than the first.
    ConnMaxOthers,
}

/// The part of a description that an error is about; netlink maps it to the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Address of a service or dest, or a local address.
    Address,
    /// Port of a service or dest.
    Port,
    /// Forwarding mode of a dest.
    Mode,
    /// Weight of a dest.
    Weight,
    /// A timeout.
    Timeout,
    /// Ports of local addresses.
    LocalPorts,
    /// Kind of the option that carries the client's address.
    ToaKind,
    /// Lower threshold of a dest.
    Lower,
    /// Kind of a dest's tunnel.
    TunnelKind,
    /// Port of a dest's tunnel.
    TunnelPort,
    /// Checksum of a dest's tunnel.
    TunnelSum,
    /// Size of the table of `mh`.
    MhSize,
    /// Time after which addresses are forgotten.
    Expiration,
    /// One-packet scheduling.
    OnePacket,
    /// Helper of a service.
    Helper,
    /// What stays with a dest.
    Engine,
    /// Seconds of persistence.
    Persistence,
    /// Length of the prefix of persistence.
    Prefix,
    /// Time to drain a dest.
    Drain,
    /// Share of new flows that is dropped.
    DropRate,
    /// Time of a slow start.
    SlowStart,
    /// Mark of a service.
    Mark,
    /// Connections of a namespace.
    ConnMax,
}

impl SpecError {
    /// Which part of the description is to blame.
    pub const fn field(&self) -> Field {
        match self {
            Self::VirtualAddress(_)
            | Self::DestAddress(_)
            | Self::DestFamily(_)
            | Self::DestIsVirtualAddress(_)
            | Self::LocalAddress(_) => Field::Address,
            Self::DestPort | Self::SamePort { .. } => Field::Port,
            Self::Mark => Field::Mark,
            Self::Weight(_) => Field::Weight,
            Self::Timeout(_) => Field::Timeout,
            Self::LocalPorts(_) => Field::LocalPorts,
            Self::ToaKind(_) | Self::UoaKind(_) => Field::ToaKind,
            Self::Thresholds { .. } => Field::Lower,
            Self::TunnelMode(_) => Field::TunnelKind,
            Self::TunnelPort { .. } => Field::TunnelPort,
            Self::TunnelSum { .. } | Self::TunnelSctp(_) => Field::TunnelSum,
            Self::MhSize(_) => Field::MhSize,
            Self::Expiration(_) => Field::Expiration,
            Self::OnePacket(_) => Field::OnePacket,
            Self::Helper(..) => Field::Helper,
            Self::Engine(..) => Field::Engine,
            Self::Persistence(_) => Field::Persistence,
            Self::Prefix(_) => Field::Prefix,
            Self::Drain(_) => Field::Drain,
            Self::DropRate => Field::DropRate,
            Self::SlowStart(_) => Field::SlowStart,
            Self::ConnMax(_) | Self::ConnMaxOthers => Field::ConnMax,
        }
    }
}

/// What a time is for, and the least it may be, in seconds.
struct Time(&'static str, u32);

impl SpecError {
    /// A time that is out of range.
    const fn time(&self) -> Option<(Time, u32)> {
        match *self {
            Self::Timeout(seconds) => Some((Time("timeout", 1), seconds)),
            Self::Expiration(seconds) => Some((Time("expiration", 1), seconds)),
            Self::Persistence(seconds) => Some((Time("persistence", 0), seconds)),
            Self::Drain(seconds) => Some((Time("drain time", 0), seconds)),
            Self::SlowStart(seconds) => Some((Time("slow start", 0), seconds)),
            _ => None,
        }
    }

    fn fmt_of_kind(kind: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if toa::is_of_tcp(kind) {
            return write!(
                f,
                "option kind {kind}: TCP itself uses 0-5, 8, 19, 29, 30, 34, 69, 172 and 174"
            );
        }
        write!(
            f,
            "option kind {kind}: 0 for none, or one up to 254, but not {} of UDP",
            uoa::KIND
        )
    }

    fn fmt_of_address(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::VirtualAddress(a) => write!(f, "{a} cannot be a virtual address"),
            Self::DestAddress(a) => write!(f, "{a} cannot be a real server"),
            Self::DestFamily(a) => write!(f, "{a} is not of the service's family"),
            Self::DestIsVirtualAddress(a) => write!(f, "{a} is the virtual address itself"),
            Self::LocalAddress(a) => write!(f, "{a} cannot be a local address"),
            _ => Ok(()),
        }
    }

    fn fmt_of_tunnel(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TunnelMode(mode) => {
                let mode = mode.name();
                write!(f, "mode {mode} has no tunnel; that is for mode tun")
            }
            Self::TunnelPort { kind, port: 0 } => {
                write!(f, "tunnel {} needs a port, 1 to 65535", kind.name())
            }
            Self::TunnelPort { kind, port } => {
                write!(f, "tunnel port {port}: {} has no port", kind.name())
            }
            Self::TunnelSum { kind, sum } => {
                let (kind, sum) = (kind.name(), sum.name());
                write!(f, "tunnel checksum {sum}: {kind} has none")
            }
            Self::TunnelSctp(sum) => {
                write!(f, "tunnel checksum {}: not with sctp, use none", sum.name())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((Time(name, least), seconds)) = self.time() {
            return write!(
                f,
                "{name} {seconds} s is out of range, {least} to {TIMEOUT_MAX}"
            );
        }
        match *self {
            Self::Mark => f.write_str("mark 0 is that of packets without one, use 1 or higher"),
            Self::DestPort => f.write_str("port 0: a dest needs a port, 1 to 65535"),
            Self::SamePort {
                mode,
                dest,
                service,
            } => write!(
                f,
                "port {dest}: mode {} cannot change the port, use {service}",
                mode.name()
            ),
            Self::Weight(w) => write!(f, "weight {w} is out of range, 0 to {WEIGHT_MAX}"),
            Self::ToaKind(kind) => Self::fmt_of_kind(kind, f),
            Self::UoaKind(kind) => {
                write!(
                    f,
                    "option kind {kind}: udp has option {}, or 0 for none",
                    uoa::KIND
                )
            }
            Self::LocalPorts(PortRange { first, last }) => {
                write!(f, "local ports {first}-{last}: from 1 up, the lower first")
            }
            Self::Thresholds { upper, lower } => {
                write!(f, "lower threshold {lower} is above the upper, {upper}")
            }
            Self::MhSize(n) => write!(f, "mh has no table of {n}, use 4093, 65537 or 131071"),
            Self::DropRate => {
                f.write_str("drop rate 0: one new flow of how many is dropped, from 1 up")
            }
            Self::ConnMax(n) => write!(f, "conn-max is 1 to {n} here: conn-max-others of the host"),
            Self::ConnMaxOthers => f.write_str("conn-max-others is the host's, not a namespace's"),
            Self::Prefix(n) => write!(f, "prefix length {n} is longer than the address"),
            Self::OnePacket(p) => write!(f, "one-packet scheduling is for udp, not {}", p.name()),
            Self::Engine(engine, p) => {
                let (engine, p) = (engine.name(), p.name());
                write!(f, "persistence engine {engine} is for udp, not {p}")
            }
            Self::Helper(helper, p) => {
                write!(f, "helper {} is for tcp, not {}", helper.name(), p.name())
            }
            _ if matches!(self.field(), Field::Address) => self.fmt_of_address(f),
            _ => self.fmt_of_tunnel(f),
        }
    }
}

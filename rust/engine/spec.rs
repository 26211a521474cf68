// SPDX-License-Identifier: GPL-2.0

//! Descriptions of services, dests and settings, and the rules they must meet.
//!
//! `rvsadm` runs these checks before it sends anything and the kernel runs them again on what it
//! receives, so both refuse with the same words. A text fits an extended ack
//! (`NETLINK_MAX_FMTMSG_LEN`, 80 bytes with the terminating zero).

use core::fmt;
use core::net::IpAddr;

pub use super::id::{DestId, ServiceId};

use super::portpool::PortRange;
use super::threshold::Thresholds;
use super::toa;
use super::tunnel::{Tunnel, TunnelKind, TunnelSum};
use super::uoa;

/// Highest weight a dest may have (as `ipvsadm(8)` documents).
pub const WEIGHT_MAX: u32 = 65_535;

/// Longest timeout, in seconds (31 days).
pub const TIMEOUT_MAX: u32 = 2_678_400;

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// TCP, RFC 9293.
    Tcp = 6,
    /// UDP, RFC 768.
    Udp = 17,
    /// SCTP, RFC 9260.
    Sctp = 132,
}

impl Protocol {
    /// The protocol with this IANA number, if RVS balances it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Its IANA number, as in the IP header.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Name as in a service's printed id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// How packets travel to a dest; the numbers are those of the netlink enum `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Mode {
    /// Direct routing.
    Dr = 1,
    /// Destination NAT in, source NAT out.
    Nat = 2,
    /// Encapsulated toward the dest.
    Tun = 3,
    /// Both addresses translated.
    FullNat = 4,
    /// The dest is this host.
    Local = 5,
}

impl Mode {
    /// The mode with this netlink number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Dr),
            2 => Some(Self::Nat),
            3 => Some(Self::Tun),
            4 => Some(Self::FullNat),
            5 => Some(Self::Local),
            _ => None,
        }
    }

    /// Its netlink number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Name as in `rvsadm dest add … --mode`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dr => "dr",
            Self::Nat => "nat",
            Self::Tun => "tun",
            Self::FullNat => "fullnat",
            Self::Local => "local",
        }
    }

    /// How packets really travel to a dest of that address: to one on loopback they stay on this
    /// host, as they are, whatever the mode. From the network no packet comes to such an address.
    #[must_use]
    pub fn toward(self, address: IpAddr) -> Self {
        if address.is_loopback() {
            return Self::Local;
        }
        self
    }

    /// Whether a dest may listen on another port than its service.
    pub const fn can_change_port(self) -> bool {
        matches!(self, Self::Nat | Self::FullNat)
    }
}

/// A dest's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestSpec {
    /// How packets travel to it.
    pub mode: Mode,
    /// Share of new connections, 0 to [`WEIGHT_MAX`]; 0 takes no new ones.
    pub weight: u32,
    /// How many connections it takes.
    pub thresholds: Thresholds,
    /// What packets travel in, with [`Mode::Tun`]; else [`Tunnel::IPIP`].
    pub tunnel: Tunnel,
}

/// A change of a dest's settings; `None` keeps a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestUpdate {
    /// See [`DestSpec::mode`].
    pub mode: Option<Mode>,
    /// See [`DestSpec::weight`].
    pub weight: Option<u32>,
    /// See [`Thresholds::upper`].
    pub upper: Option<u32>,
    /// See [`Thresholds::lower`].
    pub lower: Option<u32>,
    /// Seconds after which connections that are still there end, up to [`TIMEOUT_MAX`]; the weight
    /// is 0 then. A weight above 0 ends a draining.
    pub drain: Option<u32>,
    /// See [`DestSpec::tunnel`]; with another mode than [`Mode::Tun`] it is forgotten.
    pub tunnel: Option<Tunnel>,
}

impl DestUpdate {
    /// What becomes of `old`.
    #[must_use]
    pub fn of(&self, old: &DestSpec) -> DestSpec {
        let mode = self.mode.unwrap_or(old.mode);
        let tunnel = match mode {
            Mode::Tun => old.tunnel,
            _ => Tunnel::IPIP,
        };
        DestSpec {
            mode,
            weight: match self.drain {
                Some(_) => 0,
                None => self.weight.unwrap_or(old.weight),
            },
            thresholds: Thresholds {
                upper: self.upper.unwrap_or(old.thresholds.upper),
                lower: self.lower.unwrap_or(old.thresholds.lower),
            },
            tunnel: self.tunnel.unwrap_or(tunnel),
        }
    }
}

impl DestUpdate {
    /// Checks what is no part of [`DestSpec`].
    pub fn validate(&self) -> Result<(), SpecError> {
        match self.drain {
            Some(seconds) if seconds > TIMEOUT_MAX => Err(SpecError::Drain(seconds)),
            _ => Ok(()),
        }
    }
}

impl DestSpec {
    /// The settings of a dest without thresholds, and with the plainest tunnel.
    pub const fn new(mode: Mode, weight: u32) -> Self {
        Self {
            mode,
            weight,
            thresholds: Thresholds { upper: 0, lower: 0 },
            tunnel: Tunnel::IPIP,
        }
    }

    /// What is not as unless told otherwise.
    #[must_use]
    pub fn told(&self) -> DestUpdate {
        let Thresholds { upper, lower } = self.thresholds;
        DestUpdate {
            mode: Some(self.mode),
            weight: Some(self.weight),
            upper: (upper != 0).then_some(upper),
            lower: (lower != 0).then_some(lower),
            drain: None,
            tunnel: (self.tunnel != Tunnel::IPIP).then_some(self.tunnel),
        }
    }

    /// Checks a dest that is to be added to, or changed in, `service`.
    pub fn validate(&self, id: &DestId, service: &ServiceId) -> Result<(), SpecError> {
        check_unicast(id.address, SpecError::DestAddress)?;
        // An IPv6 service may have IPv4 dests where both addresses are rewritten anyway; in a tunnel
        // travels what has nothing to do with its ends.
        let is_sctp = service.protocol() == Some(Protocol::Sctp);
        let is_nat64 = self.mode == Mode::FullNat && service.is_ipv6() && !is_sctp;
        let crosses = self.mode == Mode::Tun || is_nat64;
        if id.address.is_ipv6() != service.is_ipv6() && !crosses {
            return Err(SpecError::DestFamily(id.address));
        }
        if Some(id.address) == service.address() && self.mode != Mode::Local {
            return Err(SpecError::DestIsVirtualAddress(id.address));
        }
        if id.port == 0 && service.port() != 0 {
            return Err(SpecError::DestPort);
        }
        let mode = self.mode.toward(id.address);
        if !mode.can_change_port() && id.port != service.port() {
            return Err(SpecError::SamePort {
                mode,
                dest: id.port,
                service: service.port(),
            });
        }
        if self.weight > WEIGHT_MAX {
            return Err(SpecError::Weight(self.weight));
        }
        let Thresholds { upper, lower } = self.thresholds;
        if lower > upper {
            return Err(SpecError::Thresholds { upper, lower });
        }
        if self.mode != Mode::Tun && self.tunnel != Tunnel::IPIP {
            return Err(SpecError::TunnelMode(self.mode));
        }
        if is_sctp && self.tunnel.sum != TunnelSum::None {
            return Err(SpecError::TunnelSctp(self.tunnel.sum));
        }
        validate_tunnel(self.tunnel)
    }
}

/// Checks a tunnel: a port for GUE and only there, a remote checksum only with GUE, none with IPIP.
pub fn validate_tunnel(tunnel: Tunnel) -> Result<(), SpecError> {
    let Tunnel { kind, sum, port } = tunnel;
    if (kind == TunnelKind::Gue) != (port != 0) {
        return Err(SpecError::TunnelPort { kind, port });
    }
    match (kind, sum) {
        (_, TunnelSum::None) | (TunnelKind::Gue, _) | (TunnelKind::Gre, TunnelSum::Whole) => Ok(()),
        _ => Err(SpecError::TunnelSum { kind, sum }),
    }
}

/// When a client's SYN on the ports of a connection that is there opens another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConnReuse {
    /// Never: it goes to the dest of the connection.
    Off = 0,
    /// When the connection is in TIME_WAIT or CLOSE.
    Closed = 1,
    /// In FIN_WAIT too, where the director does not see what the dest says (dr, tun).
    Closing = 2,
}

impl ConnReuse {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Closed, Self::Closing];

    /// The one with this netlink number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Closed),
            2 => Some(Self::Closing),
            _ => None,
        }
    }

    /// Its netlink number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Name as in `rvsadm config set --conn-reuse`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Closed => "closed",
            Self::Closing => "closing",
        }
    }
}

/// Checks a local address that is to be added: what FullNAT puts in the client's place.
pub fn validate_local(address: IpAddr) -> Result<(), SpecError> {
    check_unicast(address, SpecError::LocalAddress)?;
    // No real server could answer it.
    if address.is_loopback() {
        return Err(SpecError::LocalAddress(address));
    }
    Ok(())
}

/// Checks a timeout in seconds.
pub fn validate_timeout(seconds: u32) -> Result<(), SpecError> {
    if seconds == 0 || seconds > TIMEOUT_MAX {
        return Err(SpecError::Timeout(seconds));
    }
    Ok(())
}

/// Kind of the TCP option that carries the client's address, unless told otherwise.
pub const TOA_KIND: u8 = 254;

/// In a service's place of a kind: what the namespace says for TCP, none for UDP.
pub const TOA_INHERITED: u8 = 255;

/// Checks the kind of the TCP option that carries the client's address; 0 is none.
pub fn validate_toa_kind(kind: u8) -> Result<(), SpecError> {
    // That of UDP says something else in a service's place of a kind.
    match kind {
        0 => Ok(()),
        uoa::KIND | TOA_INHERITED => Err(SpecError::ToaKind(kind)),
        kind if toa::is_of_tcp(kind) => Err(SpecError::ToaKind(kind)),
        _ => Ok(()),
    }
}

/// Checks of how many new flows one is dropped.
pub fn validate_drop_rate(rate: u32) -> Result<(), SpecError> {
    if rate == 0 {
        return Err(SpecError::DropRate);
    }
    Ok(())
}

/// Checks the ports that local addresses are used with.
pub fn validate_local_ports(ports: PortRange) -> Result<(), SpecError> {
    if ports.first == 0 || ports.first > ports.last {
        return Err(SpecError::LocalPorts(ports));
    }
    Ok(())
}

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
            Self::Persistence(_) => Field::Persistence,
            Self::Prefix(_) => Field::Prefix,
            Self::Drain(_) => Field::Drain,
            Self::DropRate => Field::DropRate,
            Self::SlowStart(_) => Field::SlowStart,
            Self::ConnMax(_) | Self::ConnMaxOthers => Field::ConnMax,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::VirtualAddress(a) => write!(f, "{a} cannot be a virtual address"),
            Self::Mark => f.write_str("mark 0 is that of packets without one, use 1 or higher"),
            Self::DestAddress(a) => write!(f, "{a} cannot be a real server"),
            Self::DestFamily(a) => write!(f, "{a} is not of the service's family"),
            Self::DestIsVirtualAddress(a) => write!(f, "{a} is the virtual address itself"),
            Self::DestPort => f.write_str("port 0: a dest needs a port, 1 to 65535"),
            Self::LocalAddress(a) => write!(f, "{a} cannot be a local address"),
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
            Self::Timeout(t) => write!(f, "timeout {t} s is out of range, 1 to {TIMEOUT_MAX}"),
            Self::ToaKind(kind) if toa::is_of_tcp(kind) => {
                write!(
                    f,
                    "option kind {kind}: TCP itself uses 0-5, 8, 19, 29, 30, 34, 69, 172 and 174"
                )
            }
            Self::ToaKind(kind) => {
                write!(
                    f,
                    "option kind {kind}: 0 for none, or one up to 254, but not {} of UDP",
                    uoa::KIND
                )
            }
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
            Self::TunnelMode(mode) => {
                write!(
                    f,
                    "mode {} has no tunnel; that is for mode tun",
                    mode.name()
                )
            }
            Self::TunnelPort { kind, port: 0 } => {
                write!(f, "tunnel {} needs a port, 1 to 65535", kind.name())
            }
            Self::TunnelPort { kind, port } => {
                write!(f, "tunnel port {port}: {} has no port", kind.name())
            }
            Self::TunnelSum { kind, sum } => {
                write!(
                    f,
                    "tunnel checksum {}: {} has none",
                    sum.name(),
                    kind.name()
                )
            }
            Self::TunnelSctp(sum) => {
                write!(f, "tunnel checksum {}: not with sctp, use none", sum.name())
            }
            Self::MhSize(n) => write!(f, "mh has no table of {n}, use 4093, 65537 or 131071"),
            Self::Expiration(t) => {
                write!(f, "expiration {t} s is out of range, 1 to {TIMEOUT_MAX}")
            }
            Self::Persistence(t) => {
                write!(f, "persistence {t} s is out of range, 0 to {TIMEOUT_MAX}")
            }
            Self::DropRate => {
                f.write_str("drop rate 0: one new flow of how many is dropped, from 1 up")
            }
            Self::Drain(t) => write!(f, "drain time {t} s is out of range, 0 to {TIMEOUT_MAX}"),
            Self::SlowStart(t) => write!(f, "slow start {t} s is out of range, 0 to {TIMEOUT_MAX}"),
            Self::ConnMax(n) => write!(f, "conn-max is 1 to {n} here: conn-max-others of the host"),
            Self::ConnMaxOthers => f.write_str("conn-max-others is the host's, not a namespace's"),
            Self::Prefix(n) => write!(f, "prefix length {n} is longer than the address"),
            Self::OnePacket(p) => write!(f, "one-packet scheduling is for udp, not {}", p.name()),
        }
    }
}

/// Refuses addresses that no single host can have, or of which nobody knows the network.
pub(super) fn check_unicast(
    address: IpAddr,
    error: fn(IpAddr) -> SpecError,
) -> Result<(), SpecError> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if broadcast || link_local || address.is_unspecified() || address.is_multicast() {
        return Err(error(address));
    }
    Ok(())
}

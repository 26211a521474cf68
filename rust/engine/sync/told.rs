// SPDX-License-Identifier: GPL-2.0

//! What entries mean: connections and templates.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::{
    helper::lengths::Lengths,
    proto::State,
    spec::{DestId, Mode, Protocol, ServiceId},
};
use super::{
    entry::{Entry, Own},
    fault::Fault,
    flags,
};

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// A connection.
    Connection(Connection),
    /// A template.
    Template(Template<'a>),
}

/// A connection of another director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Transport protocol.
    pub protocol: Protocol,
    /// The client.
    pub client: SocketAddr,
    /// Virtual address and port.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub dest: SocketAddr,
    /// How packets travel to it.
    pub mode: Mode,
    /// Its state.
    pub state: State,
    /// Mark of its packets.
    pub mark: u32,
    /// Seconds that it has left; 0 where nobody says.
    pub seconds: u32,
    /// What only RVS has.
    pub own: Option<Own>,
    /// Whether this is about its end, and not about one that has replaced it since.
    pub inactive: bool,
    /// Whether it has ended there. To who does not know it: it is closed, and its time is over soon.
    pub ended: bool,
    /// See [`Entry::lengths`].
    pub lengths: Option<[Lengths; 2]>,
}

/// A template of another director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template<'a> {
    /// Its service.
    pub service: ServiceId,
    /// The first address of the clients' network.
    pub network: IpAddr,
    /// Where their flows go; port 0 where the service has no port of its own.
    pub dest: DestId,
    /// How packets travel there.
    pub mode: Mode,
    /// Seconds that it has left; 0 where nobody says.
    pub seconds: u32,
    /// Whether the dest has answered a flow of it.
    pub assured: bool,
    /// The Call-ID of the only call of that network which it is about; empty where it is about all.
    pub call: &'a [u8],
}

/// Whether others are told of connections in a state, by `ip_vs`'s rule: not of those that have
/// only just begun, which whoever floods a director has plenty of.
pub const fn is_told(state: State) -> bool {
    matches!(
        state,
        State::Established
            | State::FinWait
            | State::TimeWait
            | State::Close
            | State::CloseWait
            | State::Udp
            | State::SctpEstablished
            | State::SctpShutdownSent
            | State::SctpShutdownReceived
            | State::SctpShutdownAckSent
            | State::SctpClosed
    )
}

impl<'a> Told<'a> {
    /// What an entry means.
    ///
    /// # Errors
    ///
    /// Why it can mean nothing.
    pub fn of(entry: &Entry<'a>) -> Result<Self, Fault> {
        if entry.flags & flags::ONE_PACKET != 0 || entry.flags & flags::NO_CLIENT_PORT != 0 {
            // Of the latter: what a helper waits for, which RVS has none of.
            return Err(Fault::Flags);
        }
        let mode = mode_of(entry.flags).ok_or(Fault::Mode)?;
        check_unicast(entry.dest.ip())?;
        if entry.flags & flags::TEMPLATE != 0 {
            return Ok(Self::Template(template(entry, mode)?));
        }
        Ok(Self::Connection(connection(entry, mode)?))
    }
}

fn connection(entry: &Entry<'_>, mode: Mode) -> Result<Connection, Fault> {
    let protocol = Protocol::from_number(entry.protocol).ok_or(Fault::Protocol)?;
    let state = state_of(protocol, entry.state).ok_or(Fault::State)?;
    check_unicast(entry.client.ip())?;
    check_unicast(entry.virtual_address.ip())?;
    let ends = [entry.client, entry.virtual_address, entry.dest];
    if ends.iter().any(|end| end.port() == 0) {
        return Err(Fault::Address);
    }
    if let Some(own) = &entry.own {
        check_unicast(own.local.ip())?;
        if own.local.is_ipv6() != entry.dest.is_ipv6() {
            return Err(Fault::Address);
        }
    }
    Ok(Connection {
        protocol,
        client: entry.client,
        virtual_address: entry.virtual_address,
        dest: entry.dest,
        mode: if entry.own.is_some() {
            Mode::FullNat
        } else {
            mode
        },
        state,
        mark: entry.mark,
        seconds: entry.seconds,
        own: entry.own,
        inactive: entry.flags & flags::INACTIVE != 0,
        ended: entry.ended,
        lengths: entry.lengths,
    })
}

fn template<'a>(entry: &Entry<'a>, mode: Mode) -> Result<Template<'a>, Fault> {
    let ipv6 = entry.client.is_ipv6();
    let (address, port) = (entry.virtual_address.ip(), entry.virtual_address.port());
    let service = if entry.protocol == 0 {
        let mark = entry.mark;
        ServiceId::Marked { mark, ipv6 }
    } else {
        check_unicast(address)?;
        ServiceId::Virtual {
            protocol: Protocol::from_number(entry.protocol).ok_or(Fault::Protocol)?,
            address,
            port,
        }
    };
    if service == (ServiceId::Marked { mark: 0, ipv6 }) {
        return Err(Fault::Protocol);
    }
    // A network's first address may be any but these.
    if entry.client.ip().is_multicast() || entry.client.port() != 0 {
        return Err(Fault::Address);
    }
    let assured = match entry.state {
        0 => false,
        1 => true,
        _ => return Err(Fault::State),
    };
    Ok(Template {
        service,
        network: entry.client.ip(),
        dest: DestId {
            address: entry.dest.ip(),
            port: entry.dest.port(),
        },
        mode,
        seconds: entry.seconds,
        assured,
        call: entry.call,
    })
}

impl Entry<'_> {
    /// As it is told when it has ended.
    pub fn over(self) -> Self {
        let state = match Protocol::from_number(self.protocol) {
            Some(Protocol::Tcp) => State::Close,
            Some(Protocol::Sctp) => State::SctpClosed,
            _ => State::Udp,
        };
        Self {
            flags: self.flags | flags::INACTIVE,
            state: number_of(state),
            seconds: 1,
            ended: true,
            ..self
        }
    }
}

impl From<&Connection> for Entry<'_> {
    fn from(told: &Connection) -> Self {
        let inactive = if told.inactive { flags::INACTIVE } else { 0 };
        Self {
            protocol: told.protocol.number(),
            flags: flags_of(told.mode) | inactive | flags_of_lengths(told.lengths),
            state: number_of(told.state),
            client: told.client,
            virtual_address: told.virtual_address,
            dest: told.dest,
            mark: told.mark,
            seconds: told.seconds,
            own: told.own,
            ended: told.ended,
            call: &[],
            lengths: told.lengths,
        }
    }
}

impl<'a> From<&Template<'a>> for Entry<'a> {
    fn from(told: &Template<'a>) -> Self {
        let (protocol, address, port) = match told.service {
            ServiceId::Virtual {
                protocol,
                address,
                port,
            } => (protocol.number(), address, port),
            // In the place of an address, as `ip_vs` looks them up by it.
            ServiceId::Marked { mark, ipv6: false } => (0, IpAddr::V4(Ipv4Addr::from(mark)), 0),
            ServiceId::Marked { mark, ipv6: true } => {
                let bits = u128::from(mark) << 96;
                (0, IpAddr::V6(Ipv6Addr::from_bits(bits)), 0)
            }
        };
        Self {
            protocol,
            flags: flags_of(told.mode) | flags::TEMPLATE | flags::INACTIVE,
            state: told.assured.into(),
            client: SocketAddr::new(told.network, 0),
            virtual_address: SocketAddr::new(address, port),
            dest: SocketAddr::new(told.dest.address, told.dest.port),
            mark: told.service.mark(),
            seconds: told.seconds,
            own: None,
            ended: false,
            call: told.call,
            lengths: None,
        }
    }
}

/// How packets travel, by an entry's flags; none that RVS has.
fn mode_of(flags: u32) -> Option<Mode> {
    match flags & flags::MODE {
        flags::mode::NAT => Some(Mode::Nat),
        flags::mode::LOCAL => Some(Mode::Local),
        flags::mode::TUN => Some(Mode::Tun),
        flags::mode::DR => Some(Mode::Dr),
        _ => None,
    }
}

/// The flags that say whose numbers are moved.
fn flags_of_lengths(lengths: Option<[Lengths; 2]>) -> u32 {
    let [client, dest] = lengths.unwrap_or_default();
    let flag = |side: Lengths, flag| if side.is_none() { 0 } else { flag };
    flag(client, flags::IN_SEQUENCES) | flag(dest, flags::OUT_SEQUENCES)
}

/// The flags that say so. FullNAT is masquerading to who does not know it.
pub(super) fn flags_of(mode: Mode) -> u32 {
    match mode {
        Mode::Nat | Mode::FullNat => flags::mode::NAT,
        Mode::Local => flags::mode::LOCAL | flags::NO_OUTPUT,
        Mode::Tun => flags::mode::TUN | flags::NO_OUTPUT,
        Mode::Dr => flags::mode::DR | flags::NO_OUTPUT,
    }
}

/// The number that a state has on the wire: those of each protocol begin at 0.
pub(super) fn number_of(state: State) -> u16 {
    let number = u16::from(state.number());
    match state {
        State::Udp => 0,
        _ if number >= u16::from(State::SctpNone.number()) => {
            number.wrapping_sub(State::SctpNone.number().into())
        }
        _ => number,
    }
}

/// The state of that number.
fn state_of(protocol: Protocol, number: u16) -> Option<State> {
    let of = |first: State, last: State| {
        let number = u16::from(first.number()).checked_add(number)?;
        let number = u8::try_from(number).ok()?;
        (number <= last.number()).then(|| State::from_number(number))
    };
    match protocol {
        Protocol::Tcp => of(State::None, State::SynAck),
        Protocol::Udp => of(State::Udp, State::Udp),
        Protocol::Sctp => of(State::SctpNone, State::SctpClosed),
    }
}

fn check_unicast(address: IpAddr) -> Result<(), Fault> {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return Err(Fault::Address);
    }
    Ok(())
}

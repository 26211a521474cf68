// SPDX-License-Identifier: GPL-2.0

//! Records of connections.

use core::net::SocketAddr;

use super::super::proto::State;
use super::super::spec::{validate_toa_kind, DestId, Mode, Protocol, ServiceId};
use super::super::uoa;
use super::bytes::{Reader, Writer};
use super::fault::Fault;

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The service that scheduled it.
    pub service: ServiceId,
    /// What names its dest there.
    pub dest: DestId,
    /// How packets travel to that.
    pub mode: Mode,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Its state.
    pub state: State,
    /// The client.
    pub client: SocketAddr,
    /// Virtual address and port.
    pub virtual_address: SocketAddr,
    /// Milliseconds since its last packet.
    pub silent: u32,
    /// Whether another director looks after it.
    pub is_of_others: bool,
    /// Of one whose dest's packets come by here.
    pub ends: Option<Ends>,
    /// What it carried, where that is accounted: seconds since it began, packets and bytes of the
    /// client and of the dest.
    pub account: Option<(u32, [u64; 4])>,
    /// Of one that a helper follows: how the lines of the client and of the dest have grown, as
    /// [`Lengths::word`](super::super::helper::lengths::Lengths::word) has it, and whether the client has
    /// asked where to open a connection to.
    pub helped: Option<([u64; 2], bool)>,
}

/// What a connection whose dest's packets come by here has besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The real server's.
    pub dest: SocketAddr,
    /// What the real server sees in the client's place.
    pub local: SocketAddr,
    /// What is added to the client's sequence numbers, and to its timestamps.
    pub shift: [u32; 2],
    /// How far the dest was told of the client's address, by the numbers of the table's `Stage`.
    pub stage: u8,
    /// Kind of the option that tells it; 0 for none.
    pub toa_kind: u8,
    /// The numbers that the telling ends with. Of datagrams the second one is how many milliseconds
    /// ago the dest answered.
    pub telling: [u32; 2],
}

/// Bits that say what follows.
const OF_OTHERS: u8 = 1;
const TWO_ENDS: u8 = 2;
const ACCOUNT: u8 = 4;
const HELPED: u8 = 8;
const ASKED: u8 = 16;

/// What a stage has besides where a helper follows the connection.
const STAGE_HELPED: u8 = 8;

impl Connection {
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        let bit = |is: bool, bit| if is { bit } else { 0 };
        let bits = bit(self.is_of_others, OF_OTHERS)
            | bit(self.ends.is_some(), TWO_ENDS)
            | bit(self.account.is_some(), ACCOUNT)
            | bit(self.helped.is_some(), HELPED)
            | bit(self.helped.is_some_and(|(_, asked)| asked), ASKED);
        out.bytes(&[
            bits,
            self.protocol.number(),
            self.state.number(),
            self.mode.number() as u8,
        ]);
        out.word(self.silent);
        out.service(self.service);
        out.dest(self.dest);
        out.end(self.client);
        out.end(self.virtual_address);
        if let Some(ends) = &self.ends {
            out.bytes(&[ends.stage, ends.toa_kind]);
            out.end(ends.dest);
            out.end(ends.local);
            let words = ends.shift.iter().chain(&ends.telling);
            words.for_each(|word| out.word(*word));
        }
        if let Some((age, carried)) = &self.account {
            out.word(*age);
            carried.iter().for_each(|number| out.long(*number));
        }
        if let Some((lengths, _)) = &self.helped {
            lengths.iter().for_each(|word| out.long(*word));
        }
    }

    #[inline(never)] // In the kernel frames are small.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let bits = from.byte()?;
        let is_asked_alone = bits & (HELPED | ASKED) == ASKED;
        if bits & !(OF_OTHERS | TWO_ENDS | ACCOUNT | HELPED | ASKED) != 0 || is_asked_alone {
            return Err(Fault::Content);
        }
        let protocol = from.protocol()?;
        let number = from.byte()?;
        let mut states = State::all();
        let state = states.find(|state| state.number() == number);
        let connection = Self {
            protocol,
            state: state
                .filter(|state| is_of(*state, protocol))
                .ok_or(Fault::Content)?,
            mode: from.mode()?,
            silent: from.word()?,
            service: from.service()?,
            dest: from.dest()?,
            client: from.end()?,
            virtual_address: from.end()?,
            is_of_others: bits & OF_OTHERS != 0,
            ends: match bits & TWO_ENDS {
                0 => None,
                _ => Some(Ends::read(from, protocol)?),
            },
            account: match bits & ACCOUNT {
                0 => None,
                _ => Some((from.word()?, longs(from)?)),
            },
            helped: match bits & HELPED {
                0 => None,
                _ => Some(([from.long()?, from.long()?], bits & ASKED != 0)),
            },
        };
        if connection.families_fit() && connection.helper_fits() {
            Ok(connection)
        } else {
            Err(Fault::Content)
        }
    }

    /// Whether what says that a helper follows it comes with what that has made of it.
    fn helper_fits(&self) -> bool {
        let is_helped = self.ends.is_some_and(|ends| ends.stage & STAGE_HELPED != 0);
        is_helped == self.helped.is_some()
    }

    /// Whether what is of one family is. A client of IPv6 may have a dest of IPv4.
    fn families_fit(&self) -> bool {
        let is_ipv6 = self.client.is_ipv6();
        let is_dest_ipv6 = self.dest.address.is_ipv6();
        let of_one = |a: SocketAddr, ipv6: bool| a.is_ipv6() == ipv6;
        let ends_fit = match &self.ends {
            None => is_ipv6 == is_dest_ipv6,
            Some(ends) => {
                (is_ipv6 || !is_dest_ipv6)
                    && of_one(ends.dest, is_dest_ipv6)
                    && of_one(ends.local, is_dest_ipv6)
            }
        };
        of_one(self.virtual_address, is_ipv6) && ends_fit
    }
}

impl Ends {
    fn read(from: &mut Reader<'_>, protocol: Protocol) -> Result<Self, Fault> {
        let (stage, toa_kind) = (from.byte()?, from.byte()?);
        if !can_be(protocol, stage, toa_kind) {
            return Err(Fault::Content);
        }
        Ok(Self {
            stage,
            toa_kind,
            dest: from.end()?,
            local: from.end()?,
            shift: [from.word()?, from.word()?],
            telling: [from.word()?, from.word()?],
        })
    }
}

fn longs(from: &mut Reader<'_>) -> Result<[u64; 4], Fault> {
    Ok([from.long()?, from.long()?, from.long()?, from.long()?])
}

/// Whether a protocol has that state.
fn is_of(state: State, protocol: Protocol) -> bool {
    let is_sctp = state.number() >= State::SctpNone.number();
    match protocol {
        Protocol::Udp => state == State::Udp,
        Protocol::Sctp => is_sctp,
        Protocol::Tcp => state != State::Udp && !is_sctp,
    }
}

/// Whether a connection of a protocol may be at that stage of telling, in that option.
fn can_be(protocol: Protocol, stage: u8, toa_kind: u8) -> bool {
    match protocol {
        Protocol::Tcp => stage & !STAGE_HELPED <= 4 && validate_toa_kind(toa_kind).is_ok(),
        Protocol::Udp => matches!(stage, 0 | 5 | 7) && (toa_kind == uoa::KIND || stage != 5),
        Protocol::Sctp => stage == 6,
    }
}

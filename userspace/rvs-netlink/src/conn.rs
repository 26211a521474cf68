// SPDX-License-Identifier: GPL-2.0

//! A connection on the wire.

use std::net::SocketAddr;

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::proto::State;
use rvs_engine::selection::Candidate;
use rvs_engine::spec::{Mode, Protocol, ServiceId};

use crate::attr::{received, required, Attr};
use crate::dest::mode_of;
use crate::generated::{account, conn, conn_state};
use crate::service::protocol_of;

/// What a connection carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Seconds since it began.
    pub age: u32,
    /// Packets of the client.
    pub in_packets: u64,
    /// Packets of the dest, of modes in which they come by the director.
    pub out_packets: u64,
    /// Bytes of the client, from the IP header on.
    pub in_bytes: u64,
    /// Bytes of the dest, likewise.
    pub out_bytes: u64,
}

impl Account {
    fn attributes(&self) -> Vec<Attr> {
        vec![
            Attr::u32(account::AGE, self.age),
            Attr::uint(account::IN_PACKETS, self.in_packets),
            Attr::uint(account::OUT_PACKETS, self.out_packets),
            Attr::uint(account::IN_BYTES, self.in_bytes),
            Attr::uint(account::OUT_BYTES, self.out_bytes),
        ]
    }

    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parsed = Self::default();
        for attribute in received(bytes) {
            let a = attribute?;
            match a.kind() {
                account::AGE => parsed.age = a.u32("age")?,
                account::IN_PACKETS => parsed.in_packets = a.uint("in-packets")?,
                account::OUT_PACKETS => parsed.out_packets = a.uint("out-packets")?,
                account::IN_BYTES => parsed.in_bytes = a.uint("in-bytes")?,
                account::OUT_BYTES => parsed.out_bytes = a.uint("out-bytes")?,
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// A connection as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Transport protocol.
    pub protocol: Protocol,
    /// The client's end.
    pub client: SocketAddr,
    /// The virtual end.
    pub service: SocketAddr,
    /// The real server's end.
    pub dest: SocketAddr,
    /// How packets travel to the dest.
    pub mode: Option<Mode>,
    /// State, a number of the enum `conn-state`.
    pub state: u32,
    /// Milliseconds until it expires when no packet comes.
    pub expires_ms: Option<u32>,
    /// Milliseconds since its last packet.
    pub silent_ms: Option<u32>,
    /// What the dest sees in the client's place, with mode fullnat.
    pub local: Option<SocketAddr>,
    /// What it carried, where its service keeps accounts.
    pub account: Option<Account>,
    /// The service that it was scheduled by, where that is not the one of its virtual end.
    pub by: Option<ServiceId>,
}

impl Connection {
    /// The service of its virtual end, whether or not there is one.
    pub fn virtual_end(&self) -> ServiceId {
        ServiceId::Virtual {
            protocol: self.protocol,
            address: self.service.ip(),
            port: self.service.port(),
        }
    }

    /// The service that it was scheduled by.
    pub fn scheduled_by(&self) -> ServiceId {
        self.by.unwrap_or_else(|| self.virtual_end())
    }

    /// What a selection looks at.
    pub fn candidate(&self) -> Candidate {
        let mut states = State::all();
        let state = states.find(|state| u32::from(state.number()) == self.state);
        Candidate {
            protocol: self.protocol,
            client: self.client,
            virtual_address: self.service,
            dest: self.dest,
            mode: self.mode,
            state: state.unwrap_or(State::None),
            silent_ms: self.silent_ms.unwrap_or(0),
            age: self.account.map(|account| account.age),
        }
    }

    /// Name of its state.
    pub fn state_name(&self) -> &'static str {
        conn_state::name(self.state).unwrap_or("unknown")
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = vec![
            Attr::u8(conn::PROTOCOL, self.protocol.number()),
            Attr::address(conn::CLIENT_ADDRESS, self.client.ip()),
            Attr::u16_be(conn::CLIENT_PORT, self.client.port()),
            Attr::address(conn::VIRTUAL_ADDRESS, self.service.ip()),
            Attr::u16_be(conn::VIRTUAL_PORT, self.service.port()),
            Attr::address(conn::DEST_ADDRESS, self.dest.ip()),
            Attr::u16_be(conn::DEST_PORT, self.dest.port()),
            Attr::u32(conn::STATE, self.state),
        ];
        attributes.extend(self.mode.map(|mode| Attr::u32(conn::MODE, mode.number())));
        attributes.extend(self.expires_ms.map(|ms| Attr::u32(conn::EXPIRES, ms)));
        attributes.extend(self.silent_ms.map(|ms| Attr::u32(conn::SILENT, ms)));
        if let Some(local) = self.local {
            attributes.push(Attr::address(conn::LOCAL_ADDRESS, local.ip()));
            attributes.push(Attr::u16_be(conn::LOCAL_PORT, local.port()));
        }
        let account = self.account.map(|account| account.attributes());
        attributes.extend(account.map(|carried| Attr::nest(conn::ACCOUNT, carried)));
        attributes
    }
}

/// One end while its parts come in.
#[derive(Default)]
struct End {
    address: Option<std::net::IpAddr>,
    port: Option<u16>,
}

impl End {
    fn complete(self, name: &str) -> Result<SocketAddr, DecodeError> {
        let address = required(self.address, name)?;
        Ok(SocketAddr::new(address, required(self.port, name)?))
    }
}

impl Parseable<[u8]> for Connection {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut client, mut service, mut dest) = (End::default(), End::default(), End::default());
        let mut local = End::default();
        let (mut protocol, mut mode, mut state) = (None, None, None);
        let (mut expires_ms, mut silent_ms, mut account) = (None, None, None);
        for attribute in received(bytes) {
            let a = attribute?;
            match a.kind() {
                conn::PROTOCOL => protocol = Some(protocol_of(a.u8("protocol")?)?),
                conn::CLIENT_ADDRESS => client.address = Some(a.address("client address")?),
                conn::CLIENT_PORT => client.port = Some(a.u16_be("client port")?),
                conn::VIRTUAL_ADDRESS => service.address = Some(a.address("virtual address")?),
                conn::VIRTUAL_PORT => service.port = Some(a.u16_be("virtual port")?),
                conn::DEST_ADDRESS => dest.address = Some(a.address("dest address")?),
                conn::DEST_PORT => dest.port = Some(a.u16_be("dest port")?),
                conn::MODE => mode = Some(mode_of(a.u32("mode")?)?),
                conn::STATE => state = Some(a.u32("state")?),
                conn::EXPIRES => expires_ms = Some(a.u32("expires")?),
                conn::SILENT => silent_ms = Some(a.u32("silent")?),
                conn::LOCAL_ADDRESS => local.address = Some(a.address("local address")?),
                conn::LOCAL_PORT => local.port = Some(a.u16_be("local port")?),
                conn::ACCOUNT => account = Some(Account::parse(a.bytes())?),
                _ => {}
            }
        }
        Ok(Self {
            protocol: required(protocol, "connection protocol")?,
            client: client.complete("client end")?,
            service: service.complete("virtual end")?,
            dest: dest.complete("dest end")?,
            mode,
            state: required(state, "connection state")?,
            expires_ms,
            silent_ms,
            local: match local.address {
                None => None,
                Some(_) => Some(local.complete("local end")?),
            },
            account,
            by: None,
        })
    }
}

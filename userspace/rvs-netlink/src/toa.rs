// SPDX-License-Identifier: GPL-2.0

//! Client of the family `toa`, the receiver on real servers.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{DecodeError, ParseableParametrized};
use netlink_packet_generic::GenlHeader;
use netlink_sys::protocols::NETLINK_GENERIC;
use rvs_engine::prefix::Prefix;

use crate::attr::{received, required, Attr};
use crate::message::{Message, Speaker, Spoken};
use crate::{Datagrams, Error, NetlinkSocket};

/// Numbers and policies of the family, made from the spec.
#[path = "../../../toa/netlink/generated.rs"]
pub mod generated;

use generated::{cmd, counters, end, main, trust, FAMILY_NAME, FAMILY_VERSION};

/// Names of the counters by number, from 1 on, as the spec spells them.
const COUNTERS: [&str; counters::MAX as usize] = [
    "sockets-now",
    "learned",
    "answered",
    "untrusted",
    "malformed",
    "wrong-length",
    "twice",
    "bad-address",
    "no-memory",
    "flows-now",
    "flows-learned",
    "flows-evicted",
    "without-option",
];

/// What a program asks of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The trusted networks and the kinds of options.
    ConfigGet,
    /// Believe addresses from a network.
    TrustAdd(Prefix),
    /// Believe no more addresses from a network.
    TrustDel(Prefix),
    /// Take addresses from options of a kind.
    KindAdd(u8),
    /// Take no more addresses from options of a kind.
    KindDel(u8),
    /// The counters.
    StatsGet,
    /// Restore clients' addresses in UDP, or no longer.
    UdpSet(bool),
    /// Refuse trusted peers' connections and datagrams that tell no address, or no longer.
    RequireSet(bool),
    /// The client of a TCP connection of this host.
    Lookup {
        /// This host's end, as it is on the wire.
        local: SocketAddr,
        /// The other end, the director's.
        peer: SocketAddr,
    },
    /// The client of a TCP socket of this process, by its file descriptor; needs no privilege.
    ClientGet(u32),
    /// Go by the settings of the first network namespace again.
    Inherit,
}

impl Request {
    /// Its command number.
    pub fn command(&self) -> u8 {
        match self {
            Self::ConfigGet => cmd::CONFIG_GET,
            Self::TrustAdd(_) => cmd::TRUST_ADD,
            Self::TrustDel(_) => cmd::TRUST_DEL,
            Self::KindAdd(_) => cmd::KIND_ADD,
            Self::KindDel(_) => cmd::KIND_DEL,
            Self::StatsGet => cmd::STATS_GET,
            Self::UdpSet(_) => cmd::UDP_SET,
            Self::Lookup { .. } => cmd::LOOKUP,
            Self::ClientGet(_) => cmd::CLIENT_GET,
            Self::Inherit => cmd::INHERIT,
            Self::RequireSet(_) => cmd::REQUIRE_SET,
        }
    }

    /// Its attributes.
    pub fn attributes(&self) -> Vec<Attr> {
        match self {
            Self::ConfigGet | Self::StatsGet | Self::Inherit => Vec::new(),
            Self::TrustAdd(network) | Self::TrustDel(network) => vec![network_attribute(network)],
            Self::KindAdd(kind) | Self::KindDel(kind) => vec![Attr::u8(main::KIND, *kind)],
            Self::UdpSet(on) => vec![Attr::u8(main::UDP, (*on).into())],
            Self::RequireSet(on) => vec![Attr::u8(main::REQUIRE, (*on).into())],
            Self::Lookup { local, peer } => vec![
                end_attribute(main::LOCAL, local),
                end_attribute(main::PEER, peer),
            ],
            Self::ClientGet(descriptor) => vec![Attr::u32(main::SOCKET, *descriptor)],
        }
    }
}

fn network_attribute(network: &Prefix) -> Attr {
    Attr::nest(
        main::TRUST,
        vec![
            Attr::address(trust::ADDRESS, network.address()),
            Attr::u8(trust::PREFIX_LENGTH, network.bits()),
        ],
    )
}

fn end_attribute(kind: u16, end: &SocketAddr) -> Attr {
    let port = Attr::u16_be(end::PORT, end.port());
    Attr::nest(kind, vec![Attr::address(end::ADDRESS, end.ip()), port])
}

/// The family, for [`Message`].
#[derive(Debug)]
struct Toa;

impl Spoken for Toa {
    const NAME: &'static str = FAMILY_NAME;
    const VERSION: u8 = FAMILY_VERSION;

    fn absent() -> Error {
        Error::ReceiverNotLoaded
    }
}

/// What the receiver answers; which parts it has follows from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Networks whose addresses are believed.
    pub trusted: Vec<Prefix>,
    /// Kinds of the options that carry addresses.
    pub kinds: Vec<u8>,
    /// Whether clients' addresses are restored in UDP.
    pub udp: bool,
    /// Whether these are the settings of the first network namespace.
    pub inherited: bool,
    /// Whether trusted peers have to tell an address.
    pub require: bool,
    /// Counters with their names in the spec.
    pub counters: Vec<(&'static str, u64)>,
    /// Whom a connection is forwarded for.
    pub client: Option<SocketAddr>,
}

impl Reply {
    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut all: Vec<_> = self.trusted.iter().map(network_attribute).collect();
        all.extend(self.kinds.iter().map(|kind| Attr::u8(main::KIND, *kind)));
        all.push(Attr::u8(main::UDP, self.udp.into()));
        all.push(Attr::u8(main::INHERITED, self.inherited.into()));
        all.push(Attr::u8(main::REQUIRE, self.require.into()));
        if !self.counters.is_empty() {
            let numbered = (1..).zip(&self.counters);
            let nest = numbered.map(|(kind, (_, value))| Attr::uint(kind, *value));
            all.push(Attr::nest(main::COUNTERS, nest.collect::<Vec<_>>()));
        }
        let client = self.client.iter();
        all.extend(client.map(|client| end_attribute(main::CLIENT, client)));
        all
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Reply {
    fn parse_with_param(bytes: &[u8], _header: GenlHeader) -> Result<Self, DecodeError> {
        let mut reply = Self::default();
        for attribute in received(bytes) {
            let attribute = attribute?;
            match attribute.kind() {
                main::TRUST => reply.trusted.push(network(attribute.bytes())?),
                main::KIND => reply.kinds.push(attribute.u8("kind")?),
                main::CLIENT => reply.client = Some(endpoint(attribute.bytes())?),
                main::UDP => reply.udp = attribute.u8("udp")? != 0,
                main::REQUIRE => reply.require = attribute.u8("require")? != 0,
                main::INHERITED => reply.inherited = attribute.u8("inherited")? != 0,
                main::COUNTERS => reply.counters = counts(attribute.bytes())?,
                _ => {}
            }
        }
        Ok(reply)
    }
}

fn network(bytes: &[u8]) -> Result<Prefix, DecodeError> {
    let (mut address, mut bits): (Option<IpAddr>, Option<u8>) = (None, None);
    for attribute in received(bytes) {
        let attribute = attribute?;
        match attribute.kind() {
            trust::ADDRESS => address = Some(attribute.address("address")?),
            trust::PREFIX_LENGTH => bits = Some(attribute.u8("prefix length")?),
            _ => {}
        }
    }
    let (address, bits) = (
        required(address, "address")?,
        required(bits, "prefix length")?,
    );
    Prefix::new(address, bits).map_err(|error| DecodeError::from(error.to_string()))
}

fn endpoint(bytes: &[u8]) -> Result<SocketAddr, DecodeError> {
    let (mut address, mut port): (Option<IpAddr>, Option<u16>) = (None, None);
    for attribute in received(bytes) {
        let attribute = attribute?;
        match attribute.kind() {
            end::ADDRESS => address = Some(attribute.address("address")?),
            end::PORT => port = Some(attribute.u16_be("port")?),
            _ => {}
        }
    }
    let (address, port) = (required(address, "address")?, required(port, "port")?);
    Ok(SocketAddr::new(address, port))
}

fn counts(bytes: &[u8]) -> Result<Vec<(&'static str, u64)>, DecodeError> {
    let mut counts = COUNTERS.map(|name| (name, 0));
    for attribute in received(bytes) {
        let attribute = attribute?;
        let index = usize::from(attribute.kind()).checked_sub(1);
        if let Some((name, value)) = index.and_then(|index| counts.get_mut(index)) {
            *value = attribute.uint(name)?;
        }
    }
    Ok(counts.to_vec())
}

/// Takes requests to the receiver, or to what stands in for it.
pub trait Transport {
    /// Makes a request; the answer is empty where there is only an ack.
    fn call(&mut self, request: &Request) -> Result<Reply, Error>;
}

/// A client of the module in the current network namespace.
pub struct Client<D = NetlinkSocket>(Speaker<Toa, D>);

impl Client {
    /// Opens a socket and finds the family; [`Error::ReceiverNotLoaded`] when it is not there.
    pub fn connect() -> Result<Self, Error> {
        Self::over(NetlinkSocket::open(NETLINK_GENERIC)?)
    }
}

impl<D: Datagrams> Client<D> {
    /// Finds the family over `datagrams`.
    pub fn over(datagrams: D) -> Result<Self, Error> {
        Speaker::over(datagrams).map(Self)
    }
}

impl<D: Datagrams> Transport for Client<D> {
    fn call(&mut self, request: &Request) -> Result<Reply, Error> {
        self.0
            .ask(Message::new(request.command(), request.attributes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::encode;

    fn prefix(address: &str, bits: u8) -> Prefix {
        Prefix::new(address.parse().unwrap(), bits).unwrap()
    }

    fn parse(bytes: &[u8]) -> Result<Reply, DecodeError> {
        let header = GenlHeader { cmd: 1, version: 1 };
        Reply::parse_with_param(bytes, header)
    }

    #[test]
    fn names_of_counters_are_those_of_the_spec() {
        let spec = include_str!("../../../toa/toa.yaml");
        let set = spec.split("    name: counters\n    doc:").nth(1).unwrap();
        let set = set.split("\noperations:").next().unwrap();
        let names: Vec<_> = set
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("name: "))
            .collect();
        assert_eq!(names, COUNTERS);
    }

    #[test]
    fn known_bytes_of_a_request() {
        let request = Request::TrustAdd(prefix("192.0.2.0", 24));
        assert_eq!(request.command(), 2);
        assert_eq!(
            encode(&request.attributes()),
            [20, 0, 1, 0x80, 8, 0, 1, 0, 192, 0, 2, 0, 5, 0, 2, 0, 24, 0, 0, 0]
        );
        let request = Request::KindAdd(200);
        assert_eq!(encode(&request.attributes()), [5, 0, 2, 0, 200, 0, 0, 0]);
        let request = Request::UdpSet(true);
        assert_eq!(request.command(), 7);
        assert_eq!(encode(&request.attributes()), [5, 0, 4, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn a_reply_comes_back_as_it_was_sent() {
        let mut counters: Vec<_> = COUNTERS.into_iter().zip(1..).collect();
        counters[2].1 = u64::MAX;
        let reply = Reply {
            trusted: vec![prefix("192.0.2.0", 24), prefix("2001:db8::", 32)],
            kinds: vec![200, 254],
            udp: true,
            inherited: true,
            require: true,
            counters,
            client: Some("[2001:db8::7]:40000".parse().unwrap()),
        };
        assert_eq!(parse(&encode(&reply.attributes())).unwrap(), reply);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let nest = |attributes| encode(&[Attr::nest(main::TRUST, attributes)]);
        assert!(parse(&nest(vec![Attr::u8(trust::PREFIX_LENGTH, 8)])).is_err());
        let address = Attr::address(trust::ADDRESS, "192.0.2.1".parse().unwrap());
        assert!(parse(&nest(vec![address.clone()])).is_err());
        let bits = Attr::u8(trust::PREFIX_LENGTH, 33);
        assert!(parse(&nest(vec![address, bits])).is_err());
    }
}

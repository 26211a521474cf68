// SPDX-License-Identifier: GPL-2.0

//! Client of the kernel's family `fou`: UDP ports where packets come out of tunnels.
//!
//! The numbers are those of include/uapi/linux/fou.h.

use netlink_packet_core::{DecodeError, ParseableParametrized};
use netlink_packet_generic::GenlHeader;
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::attr::{received, Attr};
use crate::message::{Message, Speaker, Spoken};
use crate::{Datagrams, Error, NetlinkSocket};

const CMD_ADD: u8 = 1;
const CMD_DEL: u8 = 2;
const CMD_GET: u8 = 3;

const ATTR_PORT: u16 = 1;
const ATTR_AF: u16 = 2;
const ATTR_TYPE: u16 = 4;

/// As in include/linux/socket.h.
const AF_INET: u8 = 2;
/// Likewise.
const AF_INET6: u8 = 10;

/// `FOU_ENCAP_GUE`.
const ENCAP_GUE: u8 = 2;

/// What the kernel says of a port that is none of the family's.
const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();

/// A UDP port that takes packets out of Generic UDP Encapsulation, from and to any address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuePort {
    /// Whether IPv6 carries the UDP, or else IPv4.
    pub ipv6: bool,
    /// Its number, host order.
    pub port: u16,
}

impl GuePort {
    /// What identifies it among the ports of the family.
    fn id(self) -> Vec<Attr> {
        let family = if self.ipv6 { AF_INET6 } else { AF_INET };
        vec![
            Attr::u16_be(ATTR_PORT, self.port),
            Attr::u8(ATTR_AF, family),
        ]
    }
}

/// The family, for [`Message`].
#[derive(Debug)]
struct Fou;

impl Spoken for Fou {
    const NAME: &'static str = "fou";
    const VERSION: u8 = 1;

    fn absent() -> Error {
        Error::FouNotLoaded
    }
}

/// What the kernel says of a port.
#[derive(Debug, Default, PartialEq, Eq)]
struct Port {
    /// How packets are wrapped there.
    encapsulation: Option<u8>,
}

impl ParseableParametrized<[u8], GenlHeader> for Port {
    fn parse_with_param(bytes: &[u8], _header: GenlHeader) -> Result<Self, DecodeError> {
        let mut port = Self::default();
        for attribute in received(bytes) {
            let attribute = attribute?;
            if attribute.kind() == ATTR_TYPE {
                port.encapsulation = Some(attribute.u8("type")?);
            }
        }
        Ok(port)
    }
}

/// A client of the module `fou` in the current network namespace.
pub struct Client<D = NetlinkSocket>(Speaker<Fou, D>);

impl Client {
    /// Opens a socket and finds the family; [`Error::FouNotLoaded`] when it is not there.
    pub fn connect() -> Result<Self, Error> {
        Self::over(NetlinkSocket::open(NETLINK_GENERIC)?)
    }
}

impl<D: Datagrams> Client<D> {
    /// Finds the family over `datagrams`.
    pub fn over(datagrams: D) -> Result<Self, Error> {
        Speaker::over(datagrams).map(Self)
    }

    /// Whether packets in GUE are taken at `port`.
    pub fn has(&mut self, port: GuePort) -> Result<bool, Error> {
        match self.call(CMD_GET, port.id()) {
            Err(error) if error.errno() == Some(ESRCH) => Ok(false),
            found => Ok(found?.encapsulation == Some(ENCAP_GUE)),
        }
    }

    /// Takes packets in GUE at `port`.
    pub fn add(&mut self, port: GuePort) -> Result<(), Error> {
        let mut attributes = port.id();
        attributes.push(Attr::u8(ATTR_TYPE, ENCAP_GUE));
        self.call(CMD_ADD, attributes).map(drop)
    }

    /// Takes them no longer.
    pub fn remove(&mut self, port: GuePort) -> Result<(), Error> {
        self.call(CMD_DEL, port.id()).map(drop)
    }

    fn call(&mut self, command: u8, attributes: Vec<Attr>) -> Result<Port, Error> {
        self.0.ask(Message::new(command, attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::encode;

    #[test]
    fn known_bytes_of_a_port() {
        let id = |ipv6| encode(&GuePort { ipv6, port: 6080 }.id());
        assert_eq!(
            id(false),
            [6, 0, 1, 0, 0x17, 0xc0, 0, 0, 5, 0, 2, 0, 2, 0, 0, 0]
        );
        assert_eq!(
            id(true),
            [6, 0, 1, 0, 0x17, 0xc0, 0, 0, 5, 0, 2, 0, 10, 0, 0, 0]
        );
    }

    #[test]
    fn what_the_kernel_says_of_a_port() {
        let header = || GenlHeader { cmd: 3, version: 1 };
        let said = encode(&[
            Attr::u8(ATTR_AF, 2),
            Attr::u16_be(ATTR_PORT, 6080),
            Attr::u8(ATTR_TYPE, ENCAP_GUE),
        ]);
        let port = Port::parse_with_param(&said, header()).unwrap();
        assert_eq!(port.encapsulation, Some(ENCAP_GUE));
        let long = encode(&[Attr::u32(ATTR_TYPE, 2)]);
        assert!(Port::parse_with_param(&long, header()).is_err());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A network of clients that stay with a dest, on the wire.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::spec::{DestId, Mode};

use crate::attr::{received, required, Attr};
use crate::dest::mode_of;
use crate::generated::template;

/// A network of clients as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its address.
    pub network: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Where its flows go; port 0 is the one that the client asks for.
    pub dest: DestId,
    /// How packets travel there.
    pub mode: Option<Mode>,
    /// Milliseconds that it stays when no flow begins.
    pub expires_ms: Option<u32>,
    /// Of a call of the network, where calls stay.
    pub call_id: Option<String>,
}

impl Template {
    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = vec![
            Attr::address(template::NETWORK, self.network),
            Attr::u8(template::PREFIX, self.prefix),
            Attr::address(template::DEST_ADDRESS, self.dest.address),
            Attr::u16_be(template::DEST_PORT, self.dest.port),
        ];
        let mode = self.mode;
        attributes.extend(mode.map(|mode| Attr::u32(template::MODE, mode.number())));
        let expires = self.expires_ms;
        attributes.extend(expires.map(|ms| Attr::u32(template::EXPIRES, ms)));
        let call_id = self.call_id.as_deref();
        attributes.extend(call_id.map(|id| Attr::text(template::CALL_ID, id)));
        attributes
    }
}

impl Parseable<[u8]> for Template {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut network, mut prefix, mut address, mut port) = (None, None, None, None);
        let (mut mode, mut expires_ms, mut call_id) = (None, None, None);
        for attribute in received(bytes) {
            let a = attribute?;
            match a.kind() {
                template::NETWORK => network = Some(a.address("network")?),
                template::PREFIX => prefix = Some(a.u8("prefix")?),
                template::DEST_ADDRESS => address = Some(a.address("dest address")?),
                template::DEST_PORT => port = Some(a.u16_be("dest port")?),
                template::MODE => mode = Some(mode_of(a.u32("mode")?)?),
                template::EXPIRES => expires_ms = Some(a.u32("expires")?),
                template::CALL_ID => call_id = Some(a.text("call id")?),
                _ => {}
            }
        }
        Ok(Self {
            network: required(network, "network of clients")?,
            prefix: required(prefix, "prefix of a network")?,
            dest: DestId {
                address: required(address, "dest address")?,
                port: required(port, "dest port")?,
            },
            mode,
            expires_ms,
            call_id,
        })
    }
}

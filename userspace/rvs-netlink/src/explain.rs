// SPDX-License-Identifier: GPL-2.0

//! What would become of a packet: the question and the answer on the wire.

use std::net::SocketAddr;

use netlink_packet_core::{DecodeError, Parseable};
use rvs_engine::spec::Protocol;

use crate::attr::{received, Attr};
use crate::generated::{explanation, question};

/// A packet that might come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where it comes from.
    pub client: SocketAddr,
    /// Where it is to.
    pub destination: SocketAddr,
    /// Its mark.
    pub mark: u32,
}

impl Question {
    /// Its attributes.
    pub(crate) fn attributes(&self) -> Vec<Attr> {
        let mut attributes = vec![
            Attr::u8(question::PROTOCOL, self.protocol.number()),
            Attr::address(question::CLIENT_ADDRESS, self.client.ip()),
            Attr::u16_be(question::CLIENT_PORT, self.client.port()),
            Attr::address(question::ADDRESS, self.destination.ip()),
            Attr::u16_be(question::PORT, self.destination.port()),
        ];
        if self.mark != 0 {
            attributes.push(Attr::u32(question::MARK, self.mark));
        }
        attributes
    }
}

/// What would become of it, if no connection is known for it. The service and the dest are beside it
/// in the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Whether packets to that address are looked at.
    pub is_looked_at: bool,
    /// Whether there is room for another connection.
    pub has_room: bool,
    /// Whether some new flows are dropped at present.
    pub is_pressed: bool,
    /// Whether it goes to the dest because its client stays with that.
    pub by_template: bool,
    /// Whether packets to the dest meet rules or IPsec policies.
    pub meets_rules: bool,
}

impl Explanation {
    /// Its attributes, as the kernel sends them.
    pub(crate) fn attributes(&self) -> Vec<Attr> {
        vec![
            Attr::u8(explanation::LOOKED_AT, self.is_looked_at.into()),
            Attr::u8(explanation::ROOM, self.has_room.into()),
            Attr::u8(explanation::PRESSED, self.is_pressed.into()),
            Attr::u8(explanation::TEMPLATE, self.by_template.into()),
            Attr::u8(explanation::RULES, self.meets_rules.into()),
        ]
    }
}

impl Parseable<[u8]> for Explanation {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut told = Self::default();
        for attribute in received(bytes) {
            let attribute = attribute?;
            let flag = match attribute.kind() {
                explanation::LOOKED_AT => &mut told.is_looked_at,
                explanation::ROOM => &mut told.has_room,
                explanation::PRESSED => &mut told.is_pressed,
                explanation::TEMPLATE => &mut told.by_template,
                explanation::RULES => &mut told.meets_rules,
                _ => continue,
            };
            *flag = attribute.u8("explanation")? != 0;
        }
        Ok(told)
    }
}

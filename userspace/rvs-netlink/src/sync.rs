// SPDX-License-Identifier: GPL-2.0

//! The daemons that keep directors at the same connections, on the wire.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, Parseable};

use crate::attr::{received, required, Attr};
use crate::generated::{sync, sync_role};

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It tells others of connections.
    Master,
    /// It takes what others tell.
    Backup,
}

impl Role {
    /// Its number.
    pub fn number(self) -> u32 {
        match self {
            Self::Master => sync_role::MASTER,
            Self::Backup => sync_role::BACKUP,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// How a daemon is set up, or is to be; what is not given is as the module has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// What it does.
    pub role: Role,
    /// Name of the device that datagrams leave or come by.
    pub device: Option<String>,
    /// The directors that belong together have the same.
    pub id: Option<u8>,
    /// Bytes of a datagram.
    pub max_len: Option<u32>,
    /// The hosts' group.
    pub group: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// Hops that datagrams may go.
    pub ttl: Option<u8>,
    /// The key that datagrams are signed with; the module never tells it.
    pub key: Option<Vec<u8>>,
    /// The file that it came from.
    pub key_file: Option<String>,
}

impl Daemon {
    /// One of a role, with nothing else said.
    pub fn of(role: Role) -> Self {
        Self {
            role,
            device: None,
            id: None,
            max_len: None,
            group: None,
            port: None,
            ttl: None,
            key: None,
            key_file: None,
        }
    }

    /// Its attributes.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut attributes = vec![Attr::u32(sync::ROLE, self.role.number())];
        let device = self.device.as_deref();
        attributes.extend(device.map(|name| Attr::text(sync::DEVICE, name)));
        attributes.extend(self.id.map(|id| Attr::u8(sync::ID, id)));
        attributes.extend(self.max_len.map(|len| Attr::u32(sync::MAX_LEN, len)));
        let group = self.group;
        attributes.extend(group.map(|group| Attr::address(sync::GROUP, group)));
        attributes.extend(self.port.map(|port| Attr::u16_be(sync::PORT, port)));
        attributes.extend(self.ttl.map(|ttl| Attr::u8(sync::TTL, ttl)));
        let key = self.key.as_deref();
        attributes.extend(key.map(|key| Attr::bytes(sync::KEY, key)));
        let file = self.key_file.as_deref();
        attributes.extend(file.map(|name| Attr::text(sync::KEY_FILE, name)));
        attributes
    }
}

impl Parseable<[u8]> for Daemon {
    fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut role = None;
        let mut daemon = Self::of(Role::Master);
        for attribute in received(bytes) {
            let a = attribute?;
            match a.kind() {
                sync::ROLE => role = Some(role_of(a.u32("role")?)?),
                sync::DEVICE => daemon.device = Some(a.text("device")?),
                sync::ID => daemon.id = Some(a.u8("id")?),
                sync::MAX_LEN => daemon.max_len = Some(a.u32("max-len")?),
                sync::GROUP => daemon.group = Some(a.address("group")?),
                sync::PORT => daemon.port = Some(a.u16_be("port")?),
                sync::TTL => daemon.ttl = Some(a.u8("ttl")?),
                sync::KEY_FILE => daemon.key_file = Some(a.text("key-file")?),
                _ => {}
            }
        }
        daemon.role = required(role, "role of a daemon")?;
        Ok(daemon)
    }
}

fn role_of(number: u32) -> Result<Role, DecodeError> {
    let roles = [Role::Master, Role::Backup];
    let found = roles.into_iter().find(|role| role.number() == number);
    found.ok_or_else(|| DecodeError::from(format!("{number} is no role of a daemon")))
}

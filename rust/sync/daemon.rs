// SPDX-License-Identifier: GPL-2.0

//! How a daemon is set up.

use core::{
    ffi::CStr,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crate::kapi::{group::Group, netdev, netns::Net};

/// Longest name of a device (`IP_VS_IFNAME_MAXLEN` less the terminating zero).
pub(crate) const NAME_MAX: usize = 15;

/// What a daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Tells of its connections.
    Master,
    /// Listens to a master.
    Backup,
}

/// Both.
pub(crate) const ROLES: [Role; 2] = [Role::Master, Role::Backup];

impl Role {
    /// `IP_VS_STATE_MASTER`, `IP_VS_STATE_BACKUP`.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Master => 1,
            Self::Backup => 2,
        }
    }

    /// As messages have it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// Longest name of a file that a key came from.
const FILE_MAX: usize = 127;

/// The file that a key came from, for those who save how a daemon is set up; empty where nobody said.
#[derive(Clone, Copy)]
pub(crate) struct KeyFile {
    name: [u8; FILE_MAX],
    len: u8,
}

impl KeyFile {
    /// One of that name; none where that is too long.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        let mut file = Self {
            name: [0; FILE_MAX],
            len: u8::try_from(name.len()).ok()?,
        };
        file.name.get_mut(..name.len())?.copy_from_slice(name);
        Some(file)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        let name = self.name.get(..usize::from(self.len)).unwrap_or(&[]);
        core::str::from_utf8(name).unwrap_or("")
    }
}

/// How a daemon is set up.
#[derive(Clone, Copy)]
pub(crate) struct Daemon {
    /// Name of the device, which ends with a zero byte.
    pub(crate) device: [u8; NAME_MAX + 1],
    /// Those who belong together.
    pub(crate) id: u8,
    /// Bytes of a datagram at most.
    pub(crate) max_len: u16,
    /// The group of hosts.
    pub(crate) group: IpAddr,
    /// The first of its ports.
    pub(crate) port: u16,
    /// Hops that datagrams may go.
    pub(crate) ttl: u8,
    /// Where its key came from; none where it has none.
    pub(crate) key_file: Option<KeyFile>,
}

impl Daemon {
    /// What `ip_vs` takes when nobody says.
    pub(crate) const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
    /// As above.
    pub(crate) const PORT: u16 = 8848;
    /// As above.
    pub(crate) const TTL: u8 = 1;

    /// The device's name.
    pub(crate) fn device(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.device).unwrap_or(c"")
    }

    /// The device's name as text.
    pub(crate) fn device_name(&self) -> &str {
        self.device().to_str().unwrap_or("?")
    }

    /// Bytes of a datagram, by `ip_vs`'s rule, where so many are wanted; 0 for as many as are good.
    pub(crate) fn length(role: Role, wanted: u16, mtu: u32, group: IpAddr) -> u16 {
        let headers: u16 = if group.is_ipv6() { 48 } else { 28 };
        let least = match role {
            Role::Master => 1,
            Role::Backup => 1024,
        };
        let mtu = match role {
            Role::Master => 1500,
            Role::Backup => u16::try_from(mtu.max(1500)).unwrap_or(u16::MAX),
        };
        match wanted {
            0 => mtu.saturating_sub(headers),
            wanted => wanted.clamp(least, u16::MAX.saturating_sub(headers)),
        }
    }

    /// Index of its device now; none where there is none of that name.
    pub(super) fn index(&self, net: &Net) -> Option<u32> {
        netdev::index(net, self.device())
    }

    /// The group by the port of that number, on a device.
    pub(super) fn group(&self, number: usize, device: u32, buffer: u32) -> Group {
        let number = u16::try_from(number).unwrap_or(0);
        Group {
            end: SocketAddr::new(self.group, self.port.wrapping_add(number)),
            device,
            ttl: self.ttl,
            buffer,
        }
    }
}

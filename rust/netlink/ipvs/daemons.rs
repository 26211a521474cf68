// SPDX-License-Identifier: GPL-2.0

//! The daemons of a namespace that were started.

use core::net::IpAddr;

/// Longest name of a device (`IP_VS_IFNAME_MAXLEN` less the terminating zero).
pub(super) const NAME_MAX: usize = 15;

/// What a daemon does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Tells of its connections.
    Master,
    /// Listens to a master.
    Backup,
}

impl Role {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Master, Self::Backup];

    /// `IP_VS_STATE_MASTER`, `IP_VS_STATE_BACKUP`.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Master => 1,
            Self::Backup => 2,
        }
    }

    /// As messages have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A daemon that was started.
#[derive(Clone, Copy)]
pub(super) struct Daemon {
    pub(super) device: [u8; NAME_MAX + 1],
    pub(super) sync_id: u32,
    pub(super) max_len: u16,
    pub(super) group: IpAddr,
    pub(super) port: u16,
    pub(super) ttl: u8,
}

/// The daemons of a namespace.
#[derive(Clone, Copy, Default)]
pub(super) struct Daemons {
    master: Option<Daemon>,
    backup: Option<Daemon>,
}

impl Daemons {
    /// The one that does this.
    pub(super) fn of(&mut self, role: Role) -> &mut Option<Daemon> {
        match role {
            Role::Master => &mut self.master,
            Role::Backup => &mut self.backup,
        }
    }
}

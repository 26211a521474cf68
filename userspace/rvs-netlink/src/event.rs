// SPDX-License-Identifier: GPL-2.0

//! A change, as listeners hear of it.

use crate::generated::cmd;
use crate::Reply;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A change, as the kernel tells of it.
    Change(Box<Reply>),
    /// Changes came faster than they were read; some are lost.
    Lost,
}

/// Name of a notification, as in `rvsadm monitor`; `None` for what is none.
fn name(command: u8) -> Option<&'static str> {
    Some(match command {
        cmd::SERVICE_ADD_NTF => "service-add",
        cmd::SERVICE_SET_NTF => "service-set",
        cmd::SERVICE_DEL_NTF => "service-del",
        cmd::DEST_ADD_NTF => "dest-add",
        cmd::DEST_SET_NTF => "dest-set",
        cmd::DEST_DEL_NTF => "dest-del",
        cmd::DEST_DRAINED_NTF => "dest-drained",
        cmd::LADDR_ADD_NTF => "laddr-add",
        cmd::LADDR_DEL_NTF => "laddr-del",
        cmd::CONFIG_NTF => "config",
        cmd::STATS_ZERO_NTF => "stats-zero",
        cmd::CONN_FLUSH_NTF => "conn-flush",
        _ => return None,
    })
}

impl Event {
    /// Its name; `unknown` when this version does not know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Change(reply) => name(reply.command).unwrap_or("unknown"),
            Self::Lost => "lost",
        }
    }
}

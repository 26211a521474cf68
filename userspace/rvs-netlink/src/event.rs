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

/// Events by their command, with their names.
const EVENTS: [(u8, &str); 12] = [
    (cmd::SERVICE_ADD_NTF, "service-add"),
    (cmd::SERVICE_SET_NTF, "service-set"),
    (cmd::SERVICE_DEL_NTF, "service-del"),
    (cmd::DEST_ADD_NTF, "dest-add"),
    (cmd::DEST_SET_NTF, "dest-set"),
    (cmd::DEST_DEL_NTF, "dest-del"),
    (cmd::DEST_DRAINED_NTF, "dest-drained"),
    (cmd::LADDR_ADD_NTF, "laddr-add"),
    (cmd::LADDR_DEL_NTF, "laddr-del"),
    (cmd::CONFIG_NTF, "config"),
    (cmd::STATS_ZERO_NTF, "stats-zero"),
    (cmd::CONN_FLUSH_NTF, "conn-flush"),
];

/// Names of the events there are.
pub fn event_names() -> impl Iterator<Item = &'static str> {
    EVENTS.into_iter().map(|(_, name)| name)
}

fn name(command: u8) -> Option<&'static str> {
    let mut events = EVENTS.into_iter();
    events.find_map(|(of, name)| (of == command).then_some(name))
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

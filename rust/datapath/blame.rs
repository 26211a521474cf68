// SPDX-License-Identifier: GPL-2.0

//! Whom a packet that is dropped is counted for, beside the namespace: it is looked up once more, so that
//! those which go their way carry nothing along for it.

use super::context::Context;
use crate::{
    engine::{
        family::{Tuple, V4, V6},
        tuple::{TupleV4, TupleV6},
        wire::Packet,
    },
    kapi::skb::Skb,
};

/// Which flow a packet is of, before or behind its translation.
pub(super) enum Flow {
    /// One of IPv4.
    V4(TupleV4),
    /// One of IPv6.
    V6(TupleV6),
}

impl Flow {
    /// That of a packet; none where its headers are not those of the frequent kinds.
    #[cold]
    pub(super) fn of(skb: &Skb<'_>) -> Option<Self> {
        let (head, len) = (skb.head(), skb.len() as usize);
        match head.first()? >> 4 {
            4 => Some(Self::V4(Packet::<V4>::frequent(head, len).ok()?.tuple)),
            _ => Some(Self::V6(Packet::<V6>::frequent(head, len).ok()?.tuple)),
        }
    }

    /// Counts that a packet of it was dropped, which has that mark: for its dest, or where it has none for
    /// its service.
    #[cold]
    pub(super) fn count_drop(&self, cx: Context<'_>, mark: u32) {
        match self {
            Self::V4(tuple) => count(cx, tuple, mark),
            Self::V6(tuple) => count(cx, tuple, mark),
        }
    }
}

fn count<T: Tuple>(cx: Context<'_>, tuple: &T, mark: u32) {
    let connections = &cx.netns.connections;
    for known_by in [*tuple, tuple.reversed()] {
        let hash = connections.hash(&known_by);
        if let Some((conn, _)) = connections.lookup(&known_by, hash, cx.rcu) {
            return conn.dest().count_drop();
        }
    }
    let marked = cx.netns.marked_schedule(mark, T::VERSION, cx.rcu);
    if let Some(schedule) = marked.or_else(|| cx.netns.schedule(tuple, cx.rcu)) {
        schedule.count_drop();
    }
}

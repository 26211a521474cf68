// SPDX-License-Identifier: GPL-2.0

//! Listing connections.

use core::{net::SocketAddr, ops::ControlFlow};

use super::{account::Account, conn::Conn, table::Connections};
use crate::{
    engine::{
        proto::State,
        selection::{Candidate, Selection},
        spec::{Mode, Protocol, ServiceId},
    },
    kapi::{rcu::Rcu, time, trace},
    table::settings::LiveSettings,
};

/// Where a listing goes on.
#[derive(Clone, Copy, Default)]
pub(crate) struct ConnCursor {
    /// Chain to go on with.
    pub(crate) bucket: u32,
    /// Connections of that chain that were listed.
    pub(crate) skip: u32,
}

/// A connection as an operator sees it.
pub(crate) struct ConnView {
    /// Transport protocol.
    pub(crate) protocol: Protocol,
    /// The client.
    pub(crate) client: SocketAddr,
    /// Virtual address and port.
    pub(crate) vip: SocketAddr,
    /// The real server.
    pub(crate) dest: SocketAddr,
    /// How packets travel to it.
    pub(crate) mode: Mode,
    /// State now.
    pub(crate) state: State,
    /// Milliseconds until it expires when no packet comes.
    pub(crate) expires_ms: u32,
    /// Milliseconds since its last packet.
    pub(crate) silent_ms: u32,
    /// The service it was scheduled by.
    pub(crate) service: ServiceId,
    /// What the dest sees in the client's place, with mode fullnat.
    pub(crate) local: Option<SocketAddr>,
    /// What it carried, where its service keeps accounts.
    pub(crate) account: Option<Account>,
    /// Whether another director looks after it: it told of it, and no packet has come here since.
    pub(crate) of_others: bool,
}

impl ConnView {
    fn new(conn: &Conn, settings: &LiveSettings) -> Option<Self> {
        let ends = conn.client_ends();
        let dest = conn.dest();
        Some(Self {
            protocol: Protocol::from_number(ends.protocol)?,
            client: ends.client,
            vip: ends.virtual_address,
            dest: SocketAddr::new(dest.id().address, dest.port(ends.virtual_address.port())),
            mode: dest.mode(),
            state: conn.state(),
            expires_ms: conn.expires(settings),
            silent_ms: time::to_millis(conn.silent()),
            service: dest.service(),
            local: conn
                .dest_ends()
                .filter(|_| dest.mode() == Mode::FullNat)
                .map(|(_, local)| local),
            account: conn.account(),
            of_others: conn.memo().is_of_others(conn.seen()),
        })
    }

    /// Whether it is one of a selection.
    pub(crate) fn is_in(&self, selection: &Selection) -> bool {
        selection.is_all()
            || selection.takes(&Candidate {
                protocol: self.protocol,
                client: self.client,
                virtual_address: self.vip,
                dest: self.dest,
                mode: Some(self.mode),
                state: self.state,
                silent_ms: self.silent_ms,
                age: self.account.as_ref().map(|account| account.age),
            })
    }

    /// Whether its service is that of its virtual address and port, not one by mark or of all ports.
    pub(crate) fn is_of_own_address(&self) -> bool {
        self.service
            == ServiceId::Virtual {
                protocol: self.protocol,
                address: self.vip.ip(),
                port: self.vip.port(),
            }
    }
}

impl Conn {
    /// It as tracepoints tell it, in a state.
    pub(in crate::table) fn traced(&self, state: State) -> Option<trace::Flow> {
        let ends = self.client_ends();
        let dest = self.dest();
        Some(trace::Flow {
            protocol: ends.protocol,
            client: ends.client,
            vip: ends.virtual_address,
            dest: SocketAddr::new(dest.id().address, dest.port(ends.virtual_address.port())),
            mode: dest.mode().number() as u8,
            state: state.number(),
            mark: dest.service().mark(),
        })
    }
}

/// Buckets that are listed at a time.
const SLICE: u32 = 4096;

impl ConnCursor {
    /// Behind all.
    pub(crate) const END: Self = Self {
        bucket: u32::MAX,
        skip: 0,
    };
}

impl Connections {
    /// Shows connections to `visit` until it breaks or for a slice of the table, from the cursor on;
    /// a connection at which it breaks comes again. Returns where to go on, none at the end. Not
    /// while the table is resized.
    pub(in crate::table) fn list(
        &self,
        cursor: ConnCursor,
        settings: &LiveSettings,
        mut visit: impl FnMut(&ConnView) -> ControlFlow<()>,
    ) -> Option<ConnCursor> {
        self.walk(cursor, settings, |conn| {
            ConnView::new(conn, settings).map_or(ControlFlow::Continue(()), |view| visit(&view))
        })
    }

    /// As [`Connections::list`], of the connections themselves.
    pub(in crate::table) fn walk(
        &self,
        cursor: ConnCursor,
        settings: &LiveSettings,
        mut visit: impl FnMut(&Conn) -> ControlFlow<()>,
    ) -> Option<ConnCursor> {
        let mut skip = cursor.skip;
        let end = self.buckets();
        let pause = cursor.bucket.saturating_add(SLICE);
        for bucket in cursor.bucket..end.min(pause) {
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            let conns = self.current(rcu).bucket(bucket, rcu);
            for (position, conn) in (0u32..).zip(conns).skip(skip as usize) {
                if conn.is_expired(time::now(), settings) {
                    continue;
                }
                if visit(conn).is_break() {
                    return Some(ConnCursor {
                        bucket,
                        skip: position,
                    });
                }
            }
            skip = 0;
        }
        (pause < end).then_some(ConnCursor {
            bucket: pause,
            skip: 0,
        })
    }

    /// Ends those of a selection, of one service or of all, and says how many. May sleep. Not while
    /// the table is resized.
    pub(in crate::table) fn end_selected(
        &self,
        service: Option<&ServiceId>,
        selection: &Selection,
        settings: &LiveSettings,
        (gone, wait): (impl Fn(&Conn, Rcu<'_>), impl Fn() -> bool),
    ) -> u64 {
        let is_meant = |conn: &Conn| {
            service.is_none_or(|id| conn.dest().service() == *id)
                && (selection.is_all()
                    || ConnView::new(conn, settings).is_some_and(|view| view.is_in(selection)))
        };
        let mut ended = 0u64;
        let which = |conn: &Conn, _: Rcu<'_>| {
            let meant = is_meant(conn);
            ended = ended.saturating_add(meant.into());
            meant
        };
        self.remove_all(which, gone, wait);
        ended
    }
}

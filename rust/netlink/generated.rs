// SPDX-License-Identifier: GPL-2.0
// Made by scripts/gen-netlink from rust/netlink/rvs.yaml; change that and run the script.

//! Numbers and policies of the generic netlink family `rvs`.
//!
//! Configuration and state of the Rust virtual server: services (a virtual address, port and
//! protocol, or a mark), their dests (real servers), connections, statistics and settings, all per
//! network namespace. Every operation needs CAP_NET_ADMIN in the namespace's user namespace.
//! Validation is strict; every refusal carries an extended ack with a text and, where one attribute
//! is to blame, its offset.

// Each side uses its part.
#![allow(dead_code)]

/// Name the family registers.
pub const FAMILY_NAME: &str = "rvs";

/// Version in the generic netlink header.
pub const FAMILY_VERSION: u8 = 1;

/// Name of the multicast group `events`.
pub const MCGRP_EVENTS: &str = "events";

/// Whether listening to `events` needs `CAP_NET_ADMIN` in the namespace's user namespace.
pub const MCGRP_EVENTS_UNS_ADMIN: bool = true;

/// Values a number may have, both ends included, in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Smallest value.
    pub min: u64,
    /// Largest value.
    pub max: u64,
}

impl Range {
    /// Whatever fits the type.
    pub const ANY: Self = Self {
        min: 0,
        max: u64::MAX,
    };
}

/// What a request's attribute must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// No such attribute; refused.
    Unspec,
    /// One byte.
    U8(Range),
    /// Two bytes, host order.
    U16(Range),
    /// Two bytes, network order.
    U16Be(Range),
    /// Four bytes, host order.
    U32(Range),
    /// Eight bytes, host order.
    U64(Range),
    /// Four or eight bytes, host order (`NLA_UINT`).
    Uint(Range),
    /// Text that ends with a zero byte.
    NulString {
        /// Bytes at most, the zero not counted; 0 is no limit.
        max_len: u16,
    },
    /// Bytes.
    Binary {
        /// Bytes at most; 0 is no limit.
        max_len: u16,
    },
    /// Attributes of that set.
    Nested(Set),
}

/// A request that userspace can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// Its command number, of [`cmd`].
    pub cmd: u8,
    /// Its name in the spec.
    pub name: &'static str,
    /// Whether it needs `CAP_NET_ADMIN` in the namespace's user namespace.
    pub uns_admin: bool,
    /// Attributes of [`main`] that a `do` request may carry; `None` when there is no `do`.
    pub do_request: Option<&'static [u16]>,
    /// Attributes of [`main`] that a `dump` request may carry; `None` when there is no `dump`.
    pub dump_request: Option<&'static [u16]>,
}

/// An attribute set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Top level of every message.
    Main,
    /// `service`.
    Service,
    /// `dest`.
    Dest,
    /// `conn`.
    Conn,
    /// What one connection carried. "in" is toward the dest.
    Account,
    /// Traffic of a service, a dest or the namespace. "in" is toward the dest.
    Stats,
    /// Traffic a second of a service, a dest or the namespace: a moving average of about the last 8
    /// seconds, estimated every 2.
    Rates,
    /// Connections in each state of the enum conn-state, in its order, as the worker counted them
    /// when it last went through the table.
    States,
    /// What happened in the namespace besides plain forwarding, counted since load or the last
    /// zero.
    Counters,
    /// `config`.
    Config,
    /// Seconds of silence after which a TCP connection in the state expires, 1 to 2678400 (31
    /// days).
    TcpTimeouts,
    /// `change`.
    Change,
    /// A local address: an address of this host that mode fullnat puts in the client's place. In a
    /// message with a service it is one of the service's own, without one it is for all services
    /// that have none of their own.
    Laddr,
    /// `template`.
    Template,
    /// Which connections are meant; what is not given is any.
    Selection,
    /// A packet that might come.
    Question,
    /// What would become of it, if no connection is known for it.
    Explanation,
    /// A daemon that keeps directors at the same connections.
    Sync,
    /// What directors told each other since the namespace is there.
    SyncCounters,
    /// What became of records.
    Restored,
}

impl Set {
    /// All sets, in the spec's order.
    pub const ALL: [Self; 20] = [
        Self::Main,
        Self::Service,
        Self::Dest,
        Self::Conn,
        Self::Account,
        Self::Stats,
        Self::Rates,
        Self::States,
        Self::Counters,
        Self::Config,
        Self::TcpTimeouts,
        Self::Change,
        Self::Laddr,
        Self::Template,
        Self::Selection,
        Self::Question,
        Self::Explanation,
        Self::Sync,
        Self::SyncCounters,
        Self::Restored,
    ];

    /// Name in the spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Service => "service",
            Self::Dest => "dest",
            Self::Conn => "conn",
            Self::Account => "account",
            Self::Stats => "stats",
            Self::Rates => "rates",
            Self::States => "states",
            Self::Counters => "counters",
            Self::Config => "config",
            Self::TcpTimeouts => "tcp-timeouts",
            Self::Change => "change",
            Self::Laddr => "laddr",
            Self::Template => "template",
            Self::Selection => "selection",
            Self::Question => "question",
            Self::Explanation => "explanation",
            Self::Sync => "sync",
            Self::SyncCounters => "sync-counters",
            Self::Restored => "restored",
        }
    }

    /// What each of its attributes must be, by number.
    pub const fn policy(self) -> &'static [Policy] {
        match self {
            Self::Main => &main::POLICY,
            Self::Service => &service::POLICY,
            Self::Dest => &dest::POLICY,
            Self::Conn => &conn::POLICY,
            Self::Account => &account::POLICY,
            Self::Stats => &stats::POLICY,
            Self::Rates => &rates::POLICY,
            Self::States => &states::POLICY,
            Self::Counters => &counters::POLICY,
            Self::Config => &config::POLICY,
            Self::TcpTimeouts => &tcp_timeouts::POLICY,
            Self::Change => &change::POLICY,
            Self::Laddr => &laddr::POLICY,
            Self::Template => &template::POLICY,
            Self::Selection => &selection::POLICY,
            Self::Question => &question::POLICY,
            Self::Explanation => &explanation::POLICY,
            Self::Sync => &sync::POLICY,
            Self::SyncCounters => &sync_counters::POLICY,
            Self::Restored => &restored::POLICY,
        }
    }
}

/// Commands, as in the generic netlink header.
pub mod cmd {
    /// Add a service.
    pub const SERVICE_ADD: u8 = 1;
    /// Change a service's settings; what is not given stays.
    pub const SERVICE_SET: u8 = 2;
    /// Remove a service with its dests.
    pub const SERVICE_DEL: u8 = 3;
    /// One service, or all of them in the order they were added.
    pub const SERVICE_GET: u8 = 4;
    /// Remove all services.
    pub const SERVICE_FLUSH: u8 = 5;
    /// Add a dest to a service.
    pub const DEST_ADD: u8 = 6;
    /// Change a dest's settings; what is not given stays.
    pub const DEST_SET: u8 = 7;
    /// Remove a dest.
    pub const DEST_DEL: u8 = 8;
    /// One dest, or all dests of one service or of all, in the order they were added.
    pub const DEST_GET: u8 = 9;
    /// All connections, or those of one service, of a selection.
    pub const CONN_GET: u8 = 10;
    /// End all connections at once, or those of one service, of a selection.
    pub const CONN_FLUSH: u8 = 11;
    /// The namespace's traffic and counters.
    pub const STATS_GET: u8 = 12;
    /// Set statistics and counters to zero, of the namespace with all services and dests, or of one
    /// service with its dests.
    pub const STATS_ZERO: u8 = 13;
    /// The namespace's settings.
    pub const CONFIG_GET: u8 = 14;
    /// Change settings; what is not given stays.
    pub const CONFIG_SET: u8 = 15;
    /// Apply many changes of services, dests and local addresses in order, and settings; when one
    /// is refused, nothing is applied.
    pub const BATCH: u8 = 16;
    /// A service was added.
    pub const SERVICE_ADD_NTF: u8 = 17;
    /// A service was changed.
    pub const SERVICE_SET_NTF: u8 = 18;
    /// A service was removed.
    pub const SERVICE_DEL_NTF: u8 = 19;
    /// A dest was added.
    pub const DEST_ADD_NTF: u8 = 20;
    /// A dest was changed.
    pub const DEST_SET_NTF: u8 = 21;
    /// A dest was removed.
    pub const DEST_DEL_NTF: u8 = 22;
    /// A setting was changed.
    pub const CONFIG_NTF: u8 = 23;
    /// Add a local address to a service, or to those of the namespace.
    pub const LADDR_ADD: u8 = 24;
    /// Remove a local address; connections that have it keep it.
    pub const LADDR_DEL: u8 = 25;
    /// The local addresses of the namespace, then those of every service, or those of one service
    /// alone, in the order they were added.
    pub const LADDR_GET: u8 = 26;
    /// A local address was added.
    pub const LADDR_ADD_NTF: u8 = 27;
    /// A local address was removed; those of a removed service have no event.
    pub const LADDR_DEL_NTF: u8 = 28;
    /// The last connection of a dest that drained has ended.
    pub const DEST_DRAINED_NTF: u8 = 29;
    /// Networks of clients that stay with a dest, of all services with persistence, or of one
    /// service.
    pub const TEMPLATE_GET: u8 = 30;
    /// Statistics were set to zero, of the service that is named or of the namespace.
    pub const STATS_ZERO_NTF: u8 = 31;
    /// Connections were ended, all or a selection, of the service that is named or of the
    /// namespace.
    pub const CONN_FLUSH_NTF: u8 = 32;
    /// Let the module be unloaded although there are services, in whatever namespace: without this
    /// they keep it. For those who may unload it (CAP_SYS_MODULE).
    pub const RELEASE: u8 = 33;
    /// What would become of a packet, without anything being changed by the question: the service
    /// that it is for and the dest that its flow would have.
    pub const EXPLAIN: u8 = 34;
    /// Start a daemon that keeps directors at the same connections.
    pub const SYNC_START: u8 = 35;
    /// Stop the daemon of a role.
    pub const SYNC_STOP: u8 = 36;
    /// What directors told each other, or the daemons that run.
    pub const SYNC_GET: u8 = 37;
    /// Records of all connections.
    pub const CONN_RECORD: u8 = 38;
    /// Records of all networks of clients that stay with a dest.
    pub const TEMPLATE_RECORD: u8 = 39;
    /// Records of what dests, services and the namespace have counted.
    pub const COUNT_RECORD: u8 = 40;
    /// Make again what records are of; counts are added to those that there are. When one of them
    /// is of another version, or says what cannot be, none of this request is taken.
    pub const RECORD_RESTORE: u8 = 41;
    /// Highest number in use.
    pub const MAX: u8 = 41;
}

/// How packets travel to a dest.
pub mod mode {
    /// Direct routing; only the frame's destination changes.
    pub const DR: u32 = 1;
    /// Destination NAT in, source NAT out.
    pub const NAT: u32 = 2;
    /// Packets are encapsulated toward the dest.
    pub const TUN: u32 = 3;
    /// Both addresses are translated.
    pub const FULLNAT: u32 = 4;
    /// The dest is this host.
    pub const LOCAL: u32 = 5;
    /// Lowest value in use.
    pub const MIN: u32 = 1;
    /// Highest value in use.
    pub const MAX: u32 = 5;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            DR => Some("dr"),
            NAT => Some("nat"),
            TUN => Some("tun"),
            FULLNAT => Some("fullnat"),
            LOCAL => Some("local"),
            _ => None,
        }
    }
}

/// What packets travel in to a dest of mode tun.
pub mod tunnel_kind {
    /// Nothing but an outer IP header.
    pub const IPIP: u32 = 0;
    /// UDP and Generic UDP Encapsulation.
    pub const GUE: u32 = 1;
    /// Generic Routing Encapsulation.
    pub const GRE: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            IPIP => Some("ipip"),
            GUE => Some("gue"),
            GRE => Some("gre"),
            _ => None,
        }
    }
}

/// Whether the header of a tunnel is summed.
pub mod tunnel_checksum {
    /// It is not.
    pub const NONE: u32 = 0;
    /// It is; for gue and gre.
    pub const WHOLE: u32 = 1;
    /// It is, in the place of an inner checksum that a device was to fill in; for gue.
    pub const REMOTE: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            NONE => Some("none"),
            WHOLE => Some("whole"),
            REMOTE => Some("remote"),
            _ => None,
        }
    }
}

/// State of a connection; states have ip_vs's meaning and order.
pub mod conn_state {
    /// `none`.
    pub const NONE: u32 = 0;
    /// `established`.
    pub const ESTABLISHED: u32 = 1;
    /// `syn-sent`.
    pub const SYN_SENT: u32 = 2;
    /// `syn-recv`.
    pub const SYN_RECV: u32 = 3;
    /// `fin-wait`.
    pub const FIN_WAIT: u32 = 4;
    /// `time-wait`.
    pub const TIME_WAIT: u32 = 5;
    /// `close`.
    pub const CLOSE: u32 = 6;
    /// `close-wait`.
    pub const CLOSE_WAIT: u32 = 7;
    /// `last-ack`.
    pub const LAST_ACK: u32 = 8;
    /// `listen`.
    pub const LISTEN: u32 = 9;
    /// `synack`.
    pub const SYNACK: u32 = 10;
    /// `udp`.
    pub const UDP: u32 = 11;
    /// `sctp-none`.
    pub const SCTP_NONE: u32 = 12;
    /// `sctp-init1`.
    pub const SCTP_INIT1: u32 = 13;
    /// `sctp-init`.
    pub const SCTP_INIT: u32 = 14;
    /// `sctp-cookie-sent`.
    pub const SCTP_COOKIE_SENT: u32 = 15;
    /// `sctp-cookie-replied`.
    pub const SCTP_COOKIE_REPLIED: u32 = 16;
    /// `sctp-cookie-wait`.
    pub const SCTP_COOKIE_WAIT: u32 = 17;
    /// `sctp-cookie`.
    pub const SCTP_COOKIE: u32 = 18;
    /// `sctp-cookie-echoed`.
    pub const SCTP_COOKIE_ECHOED: u32 = 19;
    /// `sctp-established`.
    pub const SCTP_ESTABLISHED: u32 = 20;
    /// `sctp-shutdown-sent`.
    pub const SCTP_SHUTDOWN_SENT: u32 = 21;
    /// `sctp-shutdown-received`.
    pub const SCTP_SHUTDOWN_RECEIVED: u32 = 22;
    /// `sctp-shutdown-ack-sent`.
    pub const SCTP_SHUTDOWN_ACK_SENT: u32 = 23;
    /// `sctp-rejected`.
    pub const SCTP_REJECTED: u32 = 24;
    /// `sctp-closed`.
    pub const SCTP_CLOSED: u32 = 25;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 25;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            NONE => Some("none"),
            ESTABLISHED => Some("established"),
            SYN_SENT => Some("syn-sent"),
            SYN_RECV => Some("syn-recv"),
            FIN_WAIT => Some("fin-wait"),
            TIME_WAIT => Some("time-wait"),
            CLOSE => Some("close"),
            CLOSE_WAIT => Some("close-wait"),
            LAST_ACK => Some("last-ack"),
            LISTEN => Some("listen"),
            SYNACK => Some("synack"),
            UDP => Some("udp"),
            SCTP_NONE => Some("sctp-none"),
            SCTP_INIT1 => Some("sctp-init1"),
            SCTP_INIT => Some("sctp-init"),
            SCTP_COOKIE_SENT => Some("sctp-cookie-sent"),
            SCTP_COOKIE_REPLIED => Some("sctp-cookie-replied"),
            SCTP_COOKIE_WAIT => Some("sctp-cookie-wait"),
            SCTP_COOKIE => Some("sctp-cookie"),
            SCTP_COOKIE_ECHOED => Some("sctp-cookie-echoed"),
            SCTP_ESTABLISHED => Some("sctp-established"),
            SCTP_SHUTDOWN_SENT => Some("sctp-shutdown-sent"),
            SCTP_SHUTDOWN_RECEIVED => Some("sctp-shutdown-received"),
            SCTP_SHUTDOWN_ACK_SENT => Some("sctp-shutdown-ack-sent"),
            SCTP_REJECTED => Some("sctp-rejected"),
            SCTP_CLOSED => Some("sctp-closed"),
            _ => None,
        }
    }
}

/// When something is given up.
pub mod defence {
    /// Never.
    pub const OFF: u32 = 0;
    /// While memory is short.
    pub const AUTO: u32 = 1;
    /// Always.
    pub const ON: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            OFF => Some("off"),
            AUTO => Some("auto"),
            ON => Some("on"),
            _ => None,
        }
    }
}

/// What becomes of connections whose dest is removed.
pub mod removed {
    /// As expire-nodest of the namespace says.
    pub const DEFAULT: u32 = 0;
    /// TCP connections go on until they end.
    pub const GO_ON: u32 = 1;
    /// They end at their next packet.
    pub const EXPIRE: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            DEFAULT => Some("default"),
            GO_ON => Some("go-on"),
            EXPIRE => Some("expire"),
            _ => None,
        }
    }
}

/// A protocol that tells of other connections in what it says.
pub mod helper {
    /// None.
    pub const OFF: u32 = 0;
    /// FTP's PORT, PASV, EPRT and EPSV.
    pub const FTP: u32 = 1;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 1;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            OFF => Some("off"),
            FTP => Some("ftp"),
            _ => None,
        }
    }
}

/// What stays with a dest.
pub mod persistence_engine {
    /// A network of clients.
    pub const OFF: u32 = 0;
    /// Each call of a network of clients, by the Call-ID of SIP.
    pub const SIP: u32 = 1;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 1;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            OFF => Some("off"),
            SIP => Some("sip"),
            _ => None,
        }
    }
}

/// When a SYN on the ports of a connection opens another one: never, in TIME_WAIT and CLOSE, or in
/// FIN_WAIT too (dr, tun).
pub mod conn_reuse {
    /// `off`.
    pub const OFF: u32 = 0;
    /// `closed`.
    pub const CLOSED: u32 = 1;
    /// `closing`.
    pub const CLOSING: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            OFF => Some("off"),
            CLOSED => Some("closed"),
            CLOSING => Some("closing"),
            _ => None,
        }
    }
}

/// What becomes of ICMP echo requests to an address that has a service.
pub mod echo {
    /// They are left to the host, which answers those to its own addresses.
    pub const HOST: u32 = 0;
    /// They are answered, whether or not the address is the host's.
    pub const ANSWER: u32 = 1;
    /// They go to a dest of the service that was added first, where its mode is dr or tun; others
    /// are answered.
    pub const BALANCE: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            HOST => Some("host"),
            ANSWER => Some("answer"),
            BALANCE => Some("balance"),
            _ => None,
        }
    }
}

/// Where in the host's path packets are taken.
pub mod places {
    /// Ahead of routing, rules and connection tracking.
    pub const EARLY: u32 = 0;
    /// Where ip_vs takes them, behind the rules of INPUT and FORWARD.
    pub const IP_VS: u32 = 1;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 1;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            EARLY => Some("early"),
            IP_VS => Some("ip-vs"),
            _ => None,
        }
    }
}

/// Whether the host tracks connections that begin.
pub mod conntrack {
    /// It does not.
    pub const OFF: u32 = 0;
    /// As ip_vs has it with conntrack=1.
    pub const ON: u32 = 1;
    /// So too, but packets of established flows are taken early, for at most half a second until
    /// one goes all the way again.
    pub const FAST: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 0;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            OFF => Some("off"),
            ON => Some("on"),
            FAST => Some("fast"),
            _ => None,
        }
    }
}

/// What a daemon does that keeps directors at the same connections.
pub mod sync_role {
    /// It tells others of connections.
    pub const MASTER: u32 = 1;
    /// It takes what others tell.
    pub const BACKUP: u32 = 2;
    /// Lowest value in use.
    pub const MIN: u32 = 1;
    /// Highest value in use.
    pub const MAX: u32 = 2;

    /// Name in the spec of a value.
    pub const fn name(value: u32) -> Option<&'static str> {
        match value {
            MASTER => Some("master"),
            BACKUP => Some("backup"),
            _ => None,
        }
    }
}

/// Top level of every message.
pub mod main {
    use super::{Policy, Range, Set};

    /// `service`.
    ///
    /// Type: nest of `service`.
    pub const SERVICE: u16 = 1;
    /// `dest`.
    ///
    /// Type: nest of `dest`.
    pub const DEST: u16 = 2;
    /// `conn`.
    ///
    /// Type: nest of `conn`.
    pub const CONN: u16 = 3;
    /// `stats`.
    ///
    /// Type: nest of `stats`.
    pub const STATS: u16 = 4;
    /// `counters`.
    ///
    /// Type: nest of `counters`.
    pub const COUNTERS: u16 = 5;
    /// `config`.
    ///
    /// Type: nest of `config`.
    pub const CONFIG: u16 = 6;
    /// Counts changes of the namespace's configuration; part of replies and events.
    ///
    /// Type: u32.
    pub const GENERATION: u16 = 7;
    /// One step of a batch; steps apply in order, all or none.
    ///
    /// Type: nest of `change`, may come many times.
    pub const CHANGE: u16 = 8;
    /// `laddr`.
    ///
    /// Type: nest of `laddr`.
    pub const LADDR: u16 = 9;
    /// `rates`.
    ///
    /// Type: nest of `rates`.
    pub const RATES: u16 = 10;
    /// `template`.
    ///
    /// Type: nest of `template`.
    pub const TEMPLATE: u16 = 11;
    /// `selection`.
    ///
    /// Type: nest of `selection`.
    pub const SELECTION: u16 = 12;
    /// How many connections were ended.
    ///
    /// Type: uint.
    pub const ENDED: u16 = 13;
    /// `question`.
    ///
    /// Type: nest of `question`.
    pub const QUESTION: u16 = 14;
    /// `explanation`.
    ///
    /// Type: nest of `explanation`.
    pub const EXPLANATION: u16 = 15;
    /// In replies only.
    ///
    /// Type: nest of `states`.
    pub const STATES: u16 = 16;
    /// `sync`.
    ///
    /// Type: nest of `sync`.
    pub const SYNC: u16 = 17;
    /// `sync-counters`.
    ///
    /// Type: nest of `sync-counters`.
    pub const SYNC_COUNTERS: u16 = 18;
    /// A connection, a template or counts, as bytes that outlive the module: rust/engine/record. Of
    /// the version that its first byte says.
    ///
    /// Type: binary, may come many times, max-len 328.
    pub const RECORD: u16 = 19;
    /// `restored`.
    ///
    /// Type: nest of `restored`.
    pub const RESTORED: u16 = 20;
    /// What the module was loaded with, as the kernel's loader takes it; in replies only.
    ///
    /// Type: string.
    pub const PARAMETERS: u16 = 21;
    /// Highest number in use.
    pub const MAX: u16 = 21;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Nested(Set::Service),
        Policy::Nested(Set::Dest),
        Policy::Nested(Set::Conn),
        Policy::Nested(Set::Stats),
        Policy::Nested(Set::Counters),
        Policy::Nested(Set::Config),
        Policy::U32(Range::ANY),
        Policy::Nested(Set::Change),
        Policy::Nested(Set::Laddr),
        Policy::Nested(Set::Rates),
        Policy::Nested(Set::Template),
        Policy::Nested(Set::Selection),
        Policy::Uint(Range::ANY),
        Policy::Nested(Set::Question),
        Policy::Nested(Set::Explanation),
        Policy::Nested(Set::States),
        Policy::Nested(Set::Sync),
        Policy::Nested(Set::SyncCounters),
        Policy::Binary { max_len: 328 },
        Policy::Nested(Set::Restored),
        Policy::NulString { max_len: 0 },
    ];
}

/// Attributes of `service`.
pub mod service {
    use super::{Policy, Range, Set};

    /// IP protocol number, 6 (TCP) or 17 (UDP).
    ///
    /// Type: u8.
    pub const PROTOCOL: u16 = 1;
    /// Virtual address, 4 bytes (IPv4) or 16 (IPv6), network order.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 2;
    /// 0 is all ports for which there is no other service.
    ///
    /// Type: u16, big-endian.
    pub const PORT: u16 = 3;
    /// `scheduler`.
    ///
    /// Type: string, max-len 15.
    pub const SCHEDULER: u16 = 4;
    /// Number of dests; in replies only.
    ///
    /// Type: u32.
    pub const DESTS: u16 = 5;
    /// Active connections of all its dests; in replies only.
    ///
    /// Type: u32.
    pub const ACTIVE: u16 = 6;
    /// Inactive connections of all its dests; in replies only.
    ///
    /// Type: u32.
    pub const INACTIVE: u16 = 7;
    /// In replies only.
    ///
    /// Type: nest of `stats`.
    pub const STATS: u16 = 8;
    /// Flags of the scheduler, as bits; 1 is sh-fallback or mh-fallback, 2 sh-port or mh-port.
    ///
    /// Type: u32, max 7.
    pub const SCHED_FLAGS: u16 = 9;
    /// Size of the table of mh, a prime of the list in sched/mod.rs; 4093 unless given.
    ///
    /// Type: u32.
    pub const MH_SIZE: u16 = 10;
    /// Seconds after which lblc and lblcr forget an unused address, 1 to 2678400 (31 days); 86400
    /// unless given.
    ///
    /// Type: u32.
    pub const SCHED_EXPIRATION: u16 = 11;
    /// 1 schedules every packet on its own and keeps no connection; UDP only.
    ///
    /// Type: u8, max 1.
    pub const ONE_PACKET: u16 = 12;
    /// In replies only.
    ///
    /// Type: nest of `rates`.
    pub const RATES: u16 = 13;
    /// 1 lets rr start at a dest that is drawn, so that many directors do not all start at one.
    ///
    /// Type: u8, max 1.
    pub const RANDOM_START: u16 = 14;
    /// Seconds that a network of clients stays with its dest after its last flow began, up to
    /// 2678400 (31 days); 0 is no persistence.
    ///
    /// Type: u32.
    pub const PERSISTENCE: u16 = 15;
    /// Length of the prefix of such networks; 0 is the whole address.
    ///
    /// Type: u8, max 128.
    pub const PERSISTENCE_PREFIX: u16 = 16;
    /// 1 lets networks stay with a dest whose weight is 0.
    ///
    /// Type: u8, max 1.
    pub const PERSISTENCE_QUIESCED: u16 = 17;
    /// Timeouts of its connections; 0 is the namespace's.
    ///
    /// Type: nest of `tcp-timeouts`.
    pub const TCP_TIMEOUTS: u16 = 18;
    /// Timeout of its UDP flows in seconds, 1 to 2678400 (31 days); 0 is the namespace's.
    ///
    /// Type: u32.
    pub const UDP_TIMEOUT: u16 = 19;
    /// What becomes of connections whose dest is removed.
    ///
    /// Type: u32, one of `removed`.
    pub const REMOVED: u16 = 20;
    /// Networks of clients that stay with a dest; in replies only.
    ///
    /// Type: u32.
    pub const TEMPLATES: u16 = 21;
    /// Seconds, up to 2678400 (31 days), within which a dest that is new, or takes connections
    /// again, gets its share; 0 is at once. For wrr, wlc, sed, nq and twos.
    ///
    /// Type: u32.
    pub const SLOW_START: u16 = 22;
    /// Kind of the option that tells fullnat's real servers the client's address: for TCP up to
    /// 254, but none that TCP itself uses, for UDP 31; 0 for none; 255, unless given, for the
    /// namespace's kind, none for UDP.
    ///
    /// Type: u8.
    pub const TOA: u16 = 23;
    /// Mark of the packets whose flows the service is for, not 0; then it has an ip-version, and no
    /// protocol, address and port.
    ///
    /// Type: u32.
    pub const MARK: u16 = 24;
    /// 4 or 6, of a service by mark.
    ///
    /// Type: u8.
    pub const IP_VERSION: u16 = 25;
    /// What becomes of UDP flows whose dest has weight 0; the default is as expire-quiesced of the
    /// namespace says.
    ///
    /// Type: u32, one of `removed`.
    pub const QUIESCED_FLOWS: u16 = 26;
    /// 1 counts packets and bytes of each connection that begins from now on.
    ///
    /// Type: u8, max 1.
    pub const ACCOUNT: u16 = 27;
    /// Whose commands are followed to the connections that they tell of, of TCP in modes nat and
    /// fullnat.
    ///
    /// Type: u8, one of `helper`.
    pub const HELPER: u16 = 28;
    /// What stays with a dest, with persistence; sip for UDP.
    ///
    /// Type: u8, one of `persistence-engine`.
    pub const PERSISTENCE_ENGINE: u16 = 29;
    /// Highest number in use.
    pub const MAX: u16 = 29;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::NulString { max_len: 15 },
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::Nested(Set::Stats),
        Policy::U32(Range { min: 0, max: 7 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::Nested(Set::Rates),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U32(Range::ANY),
        Policy::U8(Range { min: 0, max: 128 }),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::Nested(Set::TcpTimeouts),
        Policy::U32(Range::ANY),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 1 }),
    ];
}

/// Attributes of `dest`.
pub mod dest {
    use super::{Policy, Range, Set};

    /// Real server's address, 4 bytes (IPv4) or 16 (IPv6), network order.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 1;
    /// `port`.
    ///
    /// Type: u16, big-endian.
    pub const PORT: u16 = 2;
    /// `mode`.
    ///
    /// Type: u32, one of `mode`.
    pub const MODE: u16 = 3;
    /// Share of new connections, 0 to 2147483647; 0 takes no new ones.
    ///
    /// Type: u32.
    pub const WEIGHT: u16 = 4;
    /// Active connections; in replies only.
    ///
    /// Type: u32.
    pub const ACTIVE: u16 = 5;
    /// Inactive connections; in replies only.
    ///
    /// Type: u32.
    pub const INACTIVE: u16 = 6;
    /// In replies only.
    ///
    /// Type: nest of `stats`.
    pub const STATS: u16 = 7;
    /// Connections from which on it takes no more; 0 is no threshold.
    ///
    /// Type: u32.
    pub const UPPER_THRESHOLD: u16 = 8;
    /// Connections below which it takes more again, at most the upper threshold; 0 is three
    /// quarters of that.
    ///
    /// Type: u32.
    pub const LOWER_THRESHOLD: u16 = 9;
    /// In replies only.
    ///
    /// Type: nest of `rates`.
    pub const RATES: u16 = 10;
    /// In a request seconds, up to 2678400 (31 days), after which connections that are still there
    /// end; the weight is 0 then. In a reply the seconds that are left, while the dest drains.
    ///
    /// Type: u32.
    pub const DRAIN: u16 = 11;
    /// Connections that the last draining ended; in replies only.
    ///
    /// Type: u32.
    pub const DRAIN_ENDED: u16 = 12;
    /// Networks of clients that stay with it; in replies only.
    ///
    /// Type: u32.
    pub const TEMPLATES: u16 = 13;
    /// What packets travel in, with mode tun; ipip unless given.
    ///
    /// Type: u32, one of `tunnel-kind`.
    pub const TUNNEL_KIND: u16 = 14;
    /// UDP port that the dest takes tunnels of kind gue on; together with tunnel-kind.
    ///
    /// Type: u16, big-endian.
    pub const TUNNEL_PORT: u16 = 15;
    /// Whether the tunnel's header is summed; none unless given; together with tunnel-kind.
    ///
    /// Type: u32, one of `tunnel-checksum`.
    pub const TUNNEL_CHECKSUM: u16 = 16;
    /// Connections refused as no local address had a port free toward it; in replies only.
    ///
    /// Type: uint.
    pub const NO_PORT: u16 = 17;
    /// Connections that expired before they were established, and UDP flows whose answers would
    /// have come by here (nat, fullnat) and did not; in replies only.
    ///
    /// Type: uint.
    pub const NO_REPLY: u16 = 18;
    /// Highest number in use.
    pub const MAX: u16 = 18;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::U32(Range { min: 1, max: 5 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::Nested(Set::Stats),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::Nested(Set::Rates),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::U16Be(Range::ANY),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Attributes of `conn`.
pub mod conn {
    use super::{Policy, Range, Set};

    /// `protocol`.
    ///
    /// Type: u8.
    pub const PROTOCOL: u16 = 1;
    /// `client-address`.
    ///
    /// Type: binary.
    pub const CLIENT_ADDRESS: u16 = 2;
    /// `client-port`.
    ///
    /// Type: u16, big-endian.
    pub const CLIENT_PORT: u16 = 3;
    /// `virtual-address`.
    ///
    /// Type: binary.
    pub const VIRTUAL_ADDRESS: u16 = 4;
    /// `virtual-port`.
    ///
    /// Type: u16, big-endian.
    pub const VIRTUAL_PORT: u16 = 5;
    /// `dest-address`.
    ///
    /// Type: binary.
    pub const DEST_ADDRESS: u16 = 6;
    /// `dest-port`.
    ///
    /// Type: u16, big-endian.
    pub const DEST_PORT: u16 = 7;
    /// `mode`.
    ///
    /// Type: u32, one of `mode`.
    pub const MODE: u16 = 8;
    /// `state`.
    ///
    /// Type: u32, one of `conn-state`.
    pub const STATE: u16 = 9;
    /// Milliseconds until the connection expires when no packet comes.
    ///
    /// Type: u32.
    pub const EXPIRES: u16 = 10;
    /// Milliseconds since its last packet.
    ///
    /// Type: u32.
    pub const SILENT: u16 = 11;
    /// What the dest sees in the client's place, with mode fullnat.
    ///
    /// Type: binary.
    pub const LOCAL_ADDRESS: u16 = 12;
    /// The port with it.
    ///
    /// Type: u16, big-endian.
    pub const LOCAL_PORT: u16 = 13;
    /// What it carried, where its service has account.
    ///
    /// Type: nest of `account`.
    pub const ACCOUNT: u16 = 14;
    /// Highest number in use.
    pub const MAX: u16 = 14;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 0 },
        Policy::U16Be(Range::ANY),
        Policy::Binary { max_len: 0 },
        Policy::U16Be(Range::ANY),
        Policy::Binary { max_len: 0 },
        Policy::U16Be(Range::ANY),
        Policy::U32(Range { min: 1, max: 5 }),
        Policy::U32(Range { min: 0, max: 25 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::Binary { max_len: 0 },
        Policy::U16Be(Range::ANY),
        Policy::Nested(Set::Account),
    ];
}

/// What one connection carried. "in" is toward the dest.
pub mod account {
    use super::{Policy, Range};

    /// Seconds since it began.
    ///
    /// Type: u32.
    pub const AGE: u16 = 1;
    /// `in-packets`.
    ///
    /// Type: uint.
    pub const IN_PACKETS: u16 = 2;
    /// Of modes whose dests answer by here (nat, fullnat).
    ///
    /// Type: uint.
    pub const OUT_PACKETS: u16 = 3;
    /// Bytes from the IP header on.
    ///
    /// Type: uint.
    pub const IN_BYTES: u16 = 4;
    /// `out-bytes`.
    ///
    /// Type: uint.
    pub const OUT_BYTES: u16 = 5;
    /// Highest number in use.
    pub const MAX: u16 = 5;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U32(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Traffic of a service, a dest or the namespace. "in" is toward the dest.
pub mod stats {
    use super::{Policy, Range};

    /// Connections scheduled.
    ///
    /// Type: uint.
    pub const CONNECTIONS: u16 = 1;
    /// `in-packets`.
    ///
    /// Type: uint.
    pub const IN_PACKETS: u16 = 2;
    /// `out-packets`.
    ///
    /// Type: uint.
    pub const OUT_PACKETS: u16 = 3;
    /// Bytes from the IP header on.
    ///
    /// Type: uint.
    pub const IN_BYTES: u16 = 4;
    /// `out-bytes`.
    ///
    /// Type: uint.
    pub const OUT_BYTES: u16 = 5;
    /// Packets that were dropped; of a service also before a dest was chosen.
    ///
    /// Type: uint.
    pub const DROPS: u16 = 6;
    /// Connections that expired before they were established, and UDP flows without an answer (nat,
    /// fullnat).
    ///
    /// Type: uint.
    pub const NO_REPLY: u16 = 7;
    /// Highest number in use.
    pub const MAX: u16 = 7;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Traffic a second of a service, a dest or the namespace: a moving average of about the last 8
/// seconds, estimated every 2.
pub mod rates {
    use super::{Policy, Range};

    /// `connections`.
    ///
    /// Type: uint.
    pub const CONNECTIONS: u16 = 1;
    /// `in-packets`.
    ///
    /// Type: uint.
    pub const IN_PACKETS: u16 = 2;
    /// `out-packets`.
    ///
    /// Type: uint.
    pub const OUT_PACKETS: u16 = 3;
    /// `in-bytes`.
    ///
    /// Type: uint.
    pub const IN_BYTES: u16 = 4;
    /// `out-bytes`.
    ///
    /// Type: uint.
    pub const OUT_BYTES: u16 = 5;
    /// `drops`.
    ///
    /// Type: uint.
    pub const DROPS: u16 = 6;
    /// `no-reply`.
    ///
    /// Type: uint.
    pub const NO_REPLY: u16 = 7;
    /// Highest number in use.
    pub const MAX: u16 = 7;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Connections in each state of the enum conn-state, in its order, as the worker counted them when
/// it last went through the table.
pub mod states {
    use super::{Policy, Range};

    /// `none`.
    ///
    /// Type: uint.
    pub const NONE: u16 = 1;
    /// `established`.
    ///
    /// Type: uint.
    pub const ESTABLISHED: u16 = 2;
    /// `syn-sent`.
    ///
    /// Type: uint.
    pub const SYN_SENT: u16 = 3;
    /// `syn-recv`.
    ///
    /// Type: uint.
    pub const SYN_RECV: u16 = 4;
    /// `fin-wait`.
    ///
    /// Type: uint.
    pub const FIN_WAIT: u16 = 5;
    /// `time-wait`.
    ///
    /// Type: uint.
    pub const TIME_WAIT: u16 = 6;
    /// `close`.
    ///
    /// Type: uint.
    pub const CLOSE: u16 = 7;
    /// `close-wait`.
    ///
    /// Type: uint.
    pub const CLOSE_WAIT: u16 = 8;
    /// `last-ack`.
    ///
    /// Type: uint.
    pub const LAST_ACK: u16 = 9;
    /// `listen`.
    ///
    /// Type: uint.
    pub const LISTEN: u16 = 10;
    /// `synack`.
    ///
    /// Type: uint.
    pub const SYNACK: u16 = 11;
    /// `udp`.
    ///
    /// Type: uint.
    pub const UDP: u16 = 12;
    /// `sctp-none`.
    ///
    /// Type: uint.
    pub const SCTP_NONE: u16 = 13;
    /// `sctp-init1`.
    ///
    /// Type: uint.
    pub const SCTP_INIT1: u16 = 14;
    /// `sctp-init`.
    ///
    /// Type: uint.
    pub const SCTP_INIT: u16 = 15;
    /// `sctp-cookie-sent`.
    ///
    /// Type: uint.
    pub const SCTP_COOKIE_SENT: u16 = 16;
    /// `sctp-cookie-replied`.
    ///
    /// Type: uint.
    pub const SCTP_COOKIE_REPLIED: u16 = 17;
    /// `sctp-cookie-wait`.
    ///
    /// Type: uint.
    pub const SCTP_COOKIE_WAIT: u16 = 18;
    /// `sctp-cookie`.
    ///
    /// Type: uint.
    pub const SCTP_COOKIE: u16 = 19;
    /// `sctp-cookie-echoed`.
    ///
    /// Type: uint.
    pub const SCTP_COOKIE_ECHOED: u16 = 20;
    /// `sctp-established`.
    ///
    /// Type: uint.
    pub const SCTP_ESTABLISHED: u16 = 21;
    /// `sctp-shutdown-sent`.
    ///
    /// Type: uint.
    pub const SCTP_SHUTDOWN_SENT: u16 = 22;
    /// `sctp-shutdown-received`.
    ///
    /// Type: uint.
    pub const SCTP_SHUTDOWN_RECEIVED: u16 = 23;
    /// `sctp-shutdown-ack-sent`.
    ///
    /// Type: uint.
    pub const SCTP_SHUTDOWN_ACK_SENT: u16 = 24;
    /// `sctp-rejected`.
    ///
    /// Type: uint.
    pub const SCTP_REJECTED: u16 = 25;
    /// `sctp-closed`.
    ///
    /// Type: uint.
    pub const SCTP_CLOSED: u16 = 26;
    /// Highest number in use.
    pub const MAX: u16 = 26;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// What happened in the namespace besides plain forwarding, counted since load or the last zero.
pub mod counters {
    use super::{Policy, Range};

    /// Connections in the table now.
    ///
    /// Type: uint.
    pub const CONNS_NOW: u16 = 1;
    /// `conns-expired`.
    ///
    /// Type: uint.
    pub const CONNS_EXPIRED: u16 = 2;
    /// Buckets of the connection table now.
    ///
    /// Type: uint.
    pub const TABLE_BUCKETS: u16 = 3;
    /// `table-resizes`.
    ///
    /// Type: uint.
    pub const TABLE_RESIZES: u16 = 4;
    /// Packets to a virtual address whose headers are short or lie.
    ///
    /// Type: uint.
    pub const DROP_MALFORMED: u16 = 5;
    /// New flows for which no dest was usable, answered with port unreachable.
    ///
    /// Type: uint.
    pub const DROP_NO_DEST: u16 = 6;
    /// `drop-no-memory`.
    ///
    /// Type: uint.
    pub const DROP_NO_MEMORY: u16 = 7;
    /// New flows refused because conn-max was reached.
    ///
    /// Type: uint.
    pub const DROP_CONN_MAX: u16 = 8;
    /// Packets whose dest had no route or no device.
    ///
    /// Type: uint.
    pub const DROP_NO_ROUTE: u16 = 9;
    /// Packets of connections whose dest was removed and expire-nodest is set.
    ///
    /// Type: uint.
    pub const DROP_DEST_GONE: u16 = 10;
    /// Packets over the path's MTU that may not be fragmented, answered with fragmentation needed.
    ///
    /// Type: uint.
    pub const DROP_TOO_BIG: u16 = 11;
    /// TCP packets of no connection that do not open one; left to the host.
    ///
    /// Type: uint.
    pub const NOT_SYN: u16 = 12;
    /// Packets sent through the slower exit, because they are to be fragmented.
    ///
    /// Type: uint.
    pub const SLOW_XMIT: u16 = 13;
    /// Times a dest's cached route or neighbour was looked up again.
    ///
    /// Type: uint.
    pub const ROUTE_REFRESHES: u16 = 14;
    /// New flows for which no local address had a port free toward the dest (fullnat), or whose
    /// port at the dest is taken by the same client's connection to another service (nat); answered
    /// with port unreachable.
    ///
    /// Type: uint.
    pub const DROP_NO_PORT: u16 = 15;
    /// New flows dropped by drop-packet.
    ///
    /// Type: uint.
    pub const DROP_OVERLOAD: u16 = 16;
    /// Connections ended by drop-entry.
    ///
    /// Type: uint.
    pub const CONNS_DROPPED: u16 = 17;
    /// Packets that rules of OUTPUT or POSTROUTING, IPsec policies or a device did not let out.
    ///
    /// Type: uint.
    pub const DROP_OUTPUT: u16 = 18;
    /// The same as of dests, of all that there were.
    ///
    /// Type: uint.
    pub const NO_REPLY: u16 = 19;
    /// Templates of persistence there are now; they count toward conn-max.
    ///
    /// Type: uint.
    pub const TEMPLATES_NOW: u16 = 20;
    /// Templates of clients that no dest had answered, ended because of conn-max or by drop-entry.
    ///
    /// Type: uint.
    pub const TEMPLATES_DROPPED: u16 = 21;
    /// First packets of flows, ICMP errors and pings whose source the host would not have taken
    /// from where they came.
    ///
    /// Type: uint.
    pub const DROP_MARTIAN: u16 = 22;
    /// Chains and tables of rules in INPUT now that packets to services do not meet.
    ///
    /// Type: uint.
    pub const INPUT_RULES: u16 = 23;
    /// Frames that a program for XDP had RVS send on, at the device.
    ///
    /// Type: uint.
    pub const XDP_TAKEN: u16 = 24;
    /// Frames for the stack: of no established flow.
    ///
    /// Type: uint.
    pub const XDP_PASS_NEW: u16 = 25;
    /// Frames for the stack: headers with options, fragments, ICMP, wrong checksums.
    ///
    /// Type: uint.
    pub const XDP_PASS_ODD: u16 = 26;
    /// Frames for the stack: accounted, of dests that are removed or have weight 0, or a mark is
    /// waited for.
    ///
    /// Type: uint.
    pub const XDP_PASS_CARE: u16 = 27;
    /// Frames for the stack: the mode does more to them, such as telling the client's address.
    ///
    /// Type: uint.
    pub const XDP_PASS_MODE: u16 = 28;
    /// Frames for the stack: no neighbour is known, or rules of OUTPUT or POSTROUTING are to see
    /// them.
    ///
    /// Type: uint.
    pub const XDP_PASS_WAY: u16 = 29;
    /// Frames for the stack: over the MTU, or the time to live is used up.
    ///
    /// Type: uint.
    pub const XDP_PASS_SIZE: u16 = 30;
    /// Frames for the stack: the device to leave by takes none from programs for XDP.
    ///
    /// Type: uint.
    pub const XDP_PASS_DEVICE: u16 = 31;
    /// Packets of tracked flows that were taken early, while the setting conntrack is fast.
    ///
    /// Type: uint.
    pub const CONNTRACK_FAST: u16 = 32;
    /// Flows that a helper read of and that there was no room, port or memory for: what says so
    /// went on as it was.
    ///
    /// Type: uint.
    pub const HELPER_NO_ROOM: u16 = 33;
    /// Highest number in use.
    pub const MAX: u16 = 33;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Attributes of `config`.
pub mod config {
    use super::{Policy, Range, Set};

    /// `tcp-timeouts`.
    ///
    /// Type: nest of `tcp-timeouts`.
    pub const TCP_TIMEOUTS: u16 = 1;
    /// Seconds, 1 to 2678400 (31 days).
    ///
    /// Type: u32.
    pub const UDP_TIMEOUT: u16 = 2;
    /// Connections and templates the namespace may hold; 0 is no limit but memory.
    ///
    /// Type: uint.
    pub const CONN_MAX: u16 = 3;
    /// 1 ends connections of a removed dest at their next packet; 0 lets TCP connections go on.
    ///
    /// Type: u8, max 1.
    pub const EXPIRE_NODEST: u16 = 4;
    /// Lowest port that local addresses are used with (fullnat), not 0.
    ///
    /// Type: u16, big-endian.
    pub const LOCAL_PORT_MIN: u16 = 5;
    /// Highest port that local addresses are used with (fullnat).
    ///
    /// Type: u16, big-endian.
    pub const LOCAL_PORT_MAX: u16 = 6;
    /// Kind of the TCP option that tells a dest of mode fullnat the client's address, up to 254 but
    /// none that TCP itself uses; 0 tells none. For connections that begin.
    ///
    /// Type: u8.
    pub const TOA_KIND: u16 = 7;
    /// 1 lets any TCP packet but a reset begin a connection, for those of another director.
    ///
    /// Type: u8, max 1.
    pub const SLOPPY_TCP: u16 = 8;
    /// When a SYN on the ports of a connection opens another one.
    ///
    /// Type: u8, one of `conn-reuse`, max 2.
    pub const CONN_REUSE: u16 = 9;
    /// 1 makes dests fullnat that clients of the family IPVS add as masqueraded, where the service
    /// or the namespace has local addresses.
    ///
    /// Type: u8, max 1.
    pub const NAT_AS_FULLNAT: u16 = 10;
    /// When connections that their clients have not answered, and UDP flows silent for a minute,
    /// end early; a 32nd of the table each second.
    ///
    /// Type: u32, one of `defence`.
    pub const DROP_ENTRY: u16 = 11;
    /// When some new flows are dropped.
    ///
    /// Type: u32, one of `defence`.
    pub const DROP_PACKET: u16 = 12;
    /// Of how many new flows one is dropped, where drop-packet is on; from 1 up.
    ///
    /// Type: u32.
    pub const DROP_RATE: u16 = 13;
    /// MiB of free memory below which it is short.
    ///
    /// Type: u32.
    pub const MEMORY_MIN: u16 = 14;
    /// 1 lets flows of services by mark that find no dest go where they are to, unless that is this
    /// host.
    ///
    /// Type: u8, max 1.
    pub const CACHE_BYPASS: u16 = 15;
    /// What becomes of ICMP echo requests to virtual addresses.
    ///
    /// Type: u8, one of `echo`, max 2.
    pub const ECHO: u16 = 16;
    /// 1 sends UDP flows of a dest of weight 0 elsewhere at their next packet.
    ///
    /// Type: u8, max 1.
    pub const EXPIRE_QUIESCED: u16 = 17;
    /// Connections each namespace but the first may hold, 0 for no limit; the first alone has it.
    ///
    /// Type: uint.
    pub const CONN_MAX_OTHERS: u16 = 18;
    /// Where packets are taken; where ip_vs takes them while conntrack is not off.
    ///
    /// Type: u8, one of `places`, max 1.
    pub const PLACES: u16 = 19;
    /// Whether the host tracks connections that begin.
    ///
    /// Type: u8, one of `conntrack`, max 2.
    pub const CONNTRACK: u16 = 20;
    /// Highest number in use.
    pub const MAX: u16 = 20;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Nested(Set::TcpTimeouts),
        Policy::U32(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U16Be(Range::ANY),
        Policy::U16Be(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 2 }),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::U32(Range { min: 0, max: 2 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 2 }),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::Uint(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 2 }),
    ];
}

/// Seconds of silence after which a TCP connection in the state expires, 1 to 2678400 (31 days).
pub mod tcp_timeouts {
    use super::{Policy, Range};

    /// `none`.
    ///
    /// Type: u32.
    pub const NONE: u16 = 1;
    /// `established`.
    ///
    /// Type: u32.
    pub const ESTABLISHED: u16 = 2;
    /// `syn-sent`.
    ///
    /// Type: u32.
    pub const SYN_SENT: u16 = 3;
    /// `syn-recv`.
    ///
    /// Type: u32.
    pub const SYN_RECV: u16 = 4;
    /// `fin-wait`.
    ///
    /// Type: u32.
    pub const FIN_WAIT: u16 = 5;
    /// `time-wait`.
    ///
    /// Type: u32.
    pub const TIME_WAIT: u16 = 6;
    /// `close`.
    ///
    /// Type: u32.
    pub const CLOSE: u16 = 7;
    /// `close-wait`.
    ///
    /// Type: u32.
    pub const CLOSE_WAIT: u16 = 8;
    /// `last-ack`.
    ///
    /// Type: u32.
    pub const LAST_ACK: u16 = 9;
    /// `listen`.
    ///
    /// Type: u32.
    pub const LISTEN: u16 = 10;
    /// `synack`.
    ///
    /// Type: u32.
    pub const SYNACK: u16 = 11;
    /// Highest number in use.
    pub const MAX: u16 = 11;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
    ];
}

/// Attributes of `change`.
pub mod change {
    use super::{Policy, Range, Set};

    /// Command number of service-add, service-set, service-del, dest-add, dest-set, dest-del,
    /// laddr-add or laddr-del.
    ///
    /// Type: u32.
    pub const OP: u16 = 1;
    /// `service`.
    ///
    /// Type: nest of `service`.
    pub const SERVICE: u16 = 2;
    /// `dest`.
    ///
    /// Type: nest of `dest`.
    pub const DEST: u16 = 3;
    /// `laddr`.
    ///
    /// Type: nest of `laddr`.
    pub const LADDR: u16 = 4;
    /// Highest number in use.
    pub const MAX: u16 = 4;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U32(Range::ANY),
        Policy::Nested(Set::Service),
        Policy::Nested(Set::Dest),
        Policy::Nested(Set::Laddr),
    ];
}

/// A local address: an address of this host that mode fullnat puts in the client's place. In a
/// message with a service it is one of the service's own, without one it is for all services that
/// have none of their own.
pub mod laddr {
    use super::Policy;

    /// 4 bytes (IPv4) or 16 (IPv6), network order.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 1;
    /// Highest number in use.
    pub const MAX: u16 = 1;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [Policy::Unspec, Policy::Binary { max_len: 16 }];
}

/// Attributes of `template`.
pub mod template {
    use super::{Policy, Range};

    /// Its address, 4 bytes (IPv4) or 16 (IPv6), network order.
    ///
    /// Type: binary.
    pub const NETWORK: u16 = 1;
    /// Length of its prefix.
    ///
    /// Type: u8.
    pub const PREFIX: u16 = 2;
    /// `dest-address`.
    ///
    /// Type: binary.
    pub const DEST_ADDRESS: u16 = 3;
    /// 0 is the one that the client asks for.
    ///
    /// Type: u16, big-endian.
    pub const DEST_PORT: u16 = 4;
    /// `mode`.
    ///
    /// Type: u32, one of `mode`.
    pub const MODE: u16 = 5;
    /// Milliseconds that it has left when no flow begins.
    ///
    /// Type: u32.
    pub const EXPIRES: u16 = 6;
    /// Of a call of the network, with persistence-engine sip.
    ///
    /// Type: string.
    pub const CALL_ID: u16 = 7;
    /// Highest number in use.
    pub const MAX: u16 = 7;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Binary { max_len: 0 },
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 0 },
        Policy::U16Be(Range::ANY),
        Policy::U32(Range { min: 1, max: 5 }),
        Policy::U32(Range::ANY),
        Policy::NulString { max_len: 0 },
    ];
}

/// Which connections are meant; what is not given is any.
pub mod selection {
    use super::{Policy, Range};

    /// IP protocol number.
    ///
    /// Type: u8.
    pub const PROTOCOL: u16 = 1;
    /// Of a client or, with client-prefix, of a network of them; 4 bytes (IPv4) or 16 (IPv6),
    /// network order.
    ///
    /// Type: binary, max-len 16.
    pub const CLIENT_ADDRESS: u16 = 2;
    /// How many leading bits of the address count; all unless given.
    ///
    /// Type: u8, max 128.
    pub const CLIENT_PREFIX: u16 = 3;
    /// `client-port`.
    ///
    /// Type: u16, big-endian.
    pub const CLIENT_PORT: u16 = 4;
    /// `virtual-address`.
    ///
    /// Type: binary, max-len 16.
    pub const VIRTUAL_ADDRESS: u16 = 5;
    /// `virtual-port`.
    ///
    /// Type: u16, big-endian.
    pub const VIRTUAL_PORT: u16 = 6;
    /// Of a dest or, with dest-prefix, of a network of them.
    ///
    /// Type: binary, max-len 16.
    pub const DEST_ADDRESS: u16 = 7;
    /// How many leading bits of the address count; all unless given.
    ///
    /// Type: u8, max 128.
    pub const DEST_PREFIX: u16 = 8;
    /// `dest-port`.
    ///
    /// Type: u16, big-endian.
    pub const DEST_PORT: u16 = 9;
    /// `mode`.
    ///
    /// Type: u32, one of `mode`.
    pub const MODE: u16 = 10;
    /// `state`.
    ///
    /// Type: u32, one of `conn-state`.
    pub const STATE: u16 = 11;
    /// Milliseconds since the last packet, at least.
    ///
    /// Type: u32.
    pub const SILENT: u16 = 12;
    /// Seconds since it began, at least, of services with account.
    ///
    /// Type: u32.
    pub const AGE: u16 = 13;
    /// Highest number in use.
    pub const MAX: u16 = 13;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U8(Range { min: 0, max: 128 }),
        Policy::U16Be(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U8(Range { min: 0, max: 128 }),
        Policy::U16Be(Range::ANY),
        Policy::U32(Range { min: 1, max: 5 }),
        Policy::U32(Range { min: 0, max: 25 }),
        Policy::U32(Range::ANY),
        Policy::U32(Range::ANY),
    ];
}

/// A packet that might come.
pub mod question {
    use super::{Policy, Range};

    /// IP protocol number.
    ///
    /// Type: u8.
    pub const PROTOCOL: u16 = 1;
    /// `client-address`.
    ///
    /// Type: binary, max-len 16.
    pub const CLIENT_ADDRESS: u16 = 2;
    /// `client-port`.
    ///
    /// Type: u16, big-endian.
    pub const CLIENT_PORT: u16 = 3;
    /// Where it is to.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 4;
    /// `port`.
    ///
    /// Type: u16, big-endian.
    pub const PORT: u16 = 5;
    /// 0 unless given.
    ///
    /// Type: u32.
    pub const MARK: u16 = 6;
    /// Highest number in use.
    pub const MAX: u16 = 6;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::U32(Range::ANY),
    ];
}

/// What would become of it, if no connection is known for it.
pub mod explanation {
    use super::{Policy, Range};

    /// 1 when packets to that address are looked at.
    ///
    /// Type: u8.
    pub const LOOKED_AT: u16 = 1;
    /// 1 when there is room for another connection.
    ///
    /// Type: u8.
    pub const ROOM: u16 = 2;
    /// 1 when some new flows are dropped at present.
    ///
    /// Type: u8.
    pub const PRESSED: u16 = 3;
    /// 1 when it goes to the dest because its client stays with that.
    ///
    /// Type: u8.
    pub const TEMPLATE: u16 = 4;
    /// 1 when packets to the dest meet rules of OUTPUT or POSTROUTING, or IPsec policies.
    ///
    /// Type: u8.
    pub const RULES: u16 = 5;
    /// Highest number in use.
    pub const MAX: u16 = 5;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U8(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::U8(Range::ANY),
    ];
}

/// A daemon that keeps directors at the same connections.
pub mod sync {
    use super::{Policy, Range};

    /// `role`.
    ///
    /// Type: u32, one of `sync-role`.
    pub const ROLE: u16 = 1;
    /// Name of the device that datagrams leave or come by.
    ///
    /// Type: string, max-len 15.
    pub const DEVICE: u16 = 2;
    /// The directors that belong together have the same; 0 unless given. A backup with 0 takes what
    /// any tell.
    ///
    /// Type: u8.
    pub const ID: u16 = 3;
    /// Bytes of a datagram; 0, or not given, for as many as are good.
    ///
    /// Type: u32.
    pub const MAX_LEN: u16 = 4;
    /// The hosts' group; 224.0.0.81 unless given.
    ///
    /// Type: binary, max-len 16.
    pub const GROUP: u16 = 5;
    /// 8848 unless given.
    ///
    /// Type: u16, big-endian.
    pub const PORT: u16 = 6;
    /// Hops that datagrams may go; 1 unless given.
    ///
    /// Type: u8.
    pub const TTL: u16 = 7;
    /// The key that datagrams are signed with: 16 to 64 bytes. Those that are not are refused then.
    /// It is never told.
    ///
    /// Type: binary, max-len 64.
    pub const KEY: u16 = 8;
    /// The file that the key came from, for those who save how a daemon is set up. A daemon that
    /// has this has a key.
    ///
    /// Type: string, max-len 127.
    pub const KEY_FILE: u16 = 9;
    /// Highest number in use.
    pub const MAX: u16 = 9;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::U32(Range { min: 1, max: 2 }),
        Policy::NulString { max_len: 15 },
        Policy::U8(Range::ANY),
        Policy::U32(Range::ANY),
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
        Policy::U8(Range::ANY),
        Policy::Binary { max_len: 64 },
        Policy::NulString { max_len: 127 },
    ];
}

/// What directors told each other since the namespace is there.
pub mod sync_counters {
    use super::{Policy, Range};

    /// Connections and templates that others were told of.
    ///
    /// Type: uint.
    pub const TOLD: u16 = 1;
    /// Those that too much waited ahead of; they are told later.
    ///
    /// Type: uint.
    pub const POSTPONED: u16 = 2;
    /// Datagrams that were sent.
    ///
    /// Type: uint.
    pub const SENT: u16 = 3;
    /// Datagrams that could not be sent.
    ///
    /// Type: uint.
    pub const NOT_SENT: u16 = 4;
    /// Datagrams that came.
    ///
    /// Type: uint.
    pub const RECEIVED: u16 = 5;
    /// Connections and templates that were not known here.
    ///
    /// Type: uint.
    pub const LEARNED: u16 = 6;
    /// Those that were known, and are now as they were told.
    ///
    /// Type: uint.
    pub const UPDATED: u16 = 7;
    /// Those that were known better here: packets have come since.
    ///
    /// Type: uint.
    pub const KNOWN: u16 = 8;
    /// Those that there was no room or no memory for.
    ///
    /// Type: uint.
    pub const FULL: u16 = 9;
    /// Those whose dest takes packets in another way here, and templates of services that are not
    /// there.
    ///
    /// Type: uint.
    pub const MISFIT: u16 = 10;
    /// Datagrams of other directors that did not come, by their numbers; they are asked for.
    ///
    /// Type: uint.
    pub const LOST: u16 = 11;
    /// Datagrams that came twice, or behind later ones; nothing of them is taken.
    ///
    /// Type: uint.
    pub const LATE: u16 = 12;
    /// Datagrams of which was not known yet whether they are old ones that somebody repeats.
    ///
    /// Type: uint.
    pub const UNPROVEN: u16 = 13;
    /// Times that another director was asked for what is missing here.
    ///
    /// Type: uint.
    pub const ASKED: u16 = 14;
    /// Datagrams whose connections were told again, as they are now, to those who lacked them.
    ///
    /// Type: uint.
    pub const TOLD_AGAIN: u16 = 15;
    /// Times that all connections were told again, to those who lacked what is not kept any more.
    ///
    /// Type: uint.
    pub const ROUNDS: u16 = 16;
    /// Questions that were not answered: too old, or not for this daemon.
    ///
    /// Type: uint.
    pub const STALE: u16 = 17;
    /// Datagrams of another version, or of no protocol that is known.
    ///
    /// Type: uint.
    pub const BAD_VERSION: u16 = 18;
    /// Datagrams that are not as long as they say.
    ///
    /// Type: uint.
    pub const BAD_LENGTH: u16 = 19;
    /// Datagrams of directors with another id.
    ///
    /// Type: uint.
    pub const BAD_ID: u16 = 20;
    /// Datagrams with an entry that is cut, or of another version or family.
    ///
    /// Type: uint.
    pub const BAD_ENTRY: u16 = 21;
    /// Datagrams with an option that lies about its length or stands twice.
    ///
    /// Type: uint.
    pub const BAD_OPTION: u16 = 22;
    /// Datagrams whose end, which only RVS has, lies about what it is made of.
    ///
    /// Type: uint.
    pub const BAD_TAIL: u16 = 23;
    /// Entries with an option that is not known and may not be passed over.
    ///
    /// Type: uint.
    pub const UNKNOWN_OPTION: u16 = 24;
    /// Entries with flags that no connection and no template has.
    ///
    /// Type: uint.
    pub const BAD_FLAGS: u16 = 25;
    /// Entries of a protocol that has no services.
    ///
    /// Type: uint.
    pub const BAD_PROTOCOL: u16 = 26;
    /// Entries with a state that their protocol does not have.
    ///
    /// Type: uint.
    pub const BAD_STATE: u16 = 27;
    /// Entries with an address or a port that nobody can have.
    ///
    /// Type: uint.
    pub const BAD_ADDRESS: u16 = 28;
    /// Entries of a way for packets that RVS does not have.
    ///
    /// Type: uint.
    pub const BAD_MODE: u16 = 29;
    /// Datagrams that are not signed, where there is a key.
    ///
    /// Type: uint.
    pub const UNSIGNED: u16 = 30;
    /// Datagrams that are signed with another key, or were changed.
    ///
    /// Type: uint.
    pub const BAD_KEY: u16 = 31;
    /// Highest number in use.
    pub const MAX: u16 = 31;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// What became of records.
pub mod restored {
    use super::{Policy, Range};

    /// Those that are there again.
    ///
    /// Type: uint.
    pub const NEW: u16 = 1;
    /// Connections that are there again, and wait for a dest that is not configured.
    ///
    /// Type: uint.
    pub const HELD: u16 = 2;
    /// Those that were there.
    ///
    /// Type: uint.
    pub const KNOWN: u16 = 3;
    /// Those that there was no room or no memory for.
    ///
    /// Type: uint.
    pub const FULL: u16 = 4;
    /// Those whose dest takes packets in another way, or whose service is not there.
    ///
    /// Type: uint.
    pub const MISFIT: u16 = 5;
    /// Highest number in use.
    pub const MAX: u16 = 5;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
        Policy::Uint(Range::ANY),
    ];
}

/// Requests, by rising command number.
pub const OPS: [Op; 29] = [
    Op {
        cmd: cmd::SERVICE_ADD,
        name: "service-add",
        uns_admin: true,
        do_request: Some(&[main::SERVICE]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SERVICE_SET,
        name: "service-set",
        uns_admin: true,
        do_request: Some(&[main::SERVICE]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SERVICE_DEL,
        name: "service-del",
        uns_admin: true,
        do_request: Some(&[main::SERVICE]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SERVICE_GET,
        name: "service-get",
        uns_admin: true,
        do_request: Some(&[main::SERVICE]),
        dump_request: Some(&[]),
    },
    Op {
        cmd: cmd::SERVICE_FLUSH,
        name: "service-flush",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::DEST_ADD,
        name: "dest-add",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::DEST]),
        dump_request: None,
    },
    Op {
        cmd: cmd::DEST_SET,
        name: "dest-set",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::DEST]),
        dump_request: None,
    },
    Op {
        cmd: cmd::DEST_DEL,
        name: "dest-del",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::DEST]),
        dump_request: None,
    },
    Op {
        cmd: cmd::DEST_GET,
        name: "dest-get",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::DEST]),
        dump_request: Some(&[main::SERVICE]),
    },
    Op {
        cmd: cmd::CONN_GET,
        name: "conn-get",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[main::SERVICE, main::SELECTION]),
    },
    Op {
        cmd: cmd::CONN_FLUSH,
        name: "conn-flush",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::SELECTION]),
        dump_request: None,
    },
    Op {
        cmd: cmd::STATS_GET,
        name: "stats-get",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::STATS_ZERO,
        name: "stats-zero",
        uns_admin: true,
        do_request: Some(&[main::SERVICE]),
        dump_request: None,
    },
    Op {
        cmd: cmd::CONFIG_GET,
        name: "config-get",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::CONFIG_SET,
        name: "config-set",
        uns_admin: true,
        do_request: Some(&[main::CONFIG]),
        dump_request: None,
    },
    Op {
        cmd: cmd::BATCH,
        name: "batch",
        uns_admin: true,
        do_request: Some(&[main::CHANGE, main::CONFIG]),
        dump_request: None,
    },
    Op {
        cmd: cmd::LADDR_ADD,
        name: "laddr-add",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::LADDR]),
        dump_request: None,
    },
    Op {
        cmd: cmd::LADDR_DEL,
        name: "laddr-del",
        uns_admin: true,
        do_request: Some(&[main::SERVICE, main::LADDR]),
        dump_request: None,
    },
    Op {
        cmd: cmd::LADDR_GET,
        name: "laddr-get",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[main::SERVICE]),
    },
    Op {
        cmd: cmd::TEMPLATE_GET,
        name: "template-get",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[main::SERVICE]),
    },
    Op {
        cmd: cmd::RELEASE,
        name: "release",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::EXPLAIN,
        name: "explain",
        uns_admin: true,
        do_request: Some(&[main::QUESTION]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SYNC_START,
        name: "sync-start",
        uns_admin: true,
        do_request: Some(&[main::SYNC]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SYNC_STOP,
        name: "sync-stop",
        uns_admin: true,
        do_request: Some(&[main::SYNC]),
        dump_request: None,
    },
    Op {
        cmd: cmd::SYNC_GET,
        name: "sync-get",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: Some(&[]),
    },
    Op {
        cmd: cmd::CONN_RECORD,
        name: "conn-record",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[]),
    },
    Op {
        cmd: cmd::TEMPLATE_RECORD,
        name: "template-record",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[]),
    },
    Op {
        cmd: cmd::COUNT_RECORD,
        name: "count-record",
        uns_admin: true,
        do_request: None,
        dump_request: Some(&[]),
    },
    Op {
        cmd: cmd::RECORD_RESTORE,
        name: "record-restore",
        uns_admin: true,
        do_request: Some(&[main::RECORD]),
        dump_request: None,
    },
];

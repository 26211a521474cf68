// SPDX-License-Identifier: GPL-2.0
// Made by scripts/gen-netlink from toa/toa.yaml; change that and run the script.

//! Numbers and policies of the generic netlink family `toa`.
//!
//! Configuration and state of the receiver on real servers, which gives programs the client's
//! address that a director carries in a TCP option or, for UDP, in an IP option: whom to believe,
//! in which options, and what came of it, all per network namespace. Every operation but client-get
//! needs CAP_NET_ADMIN in the namespace's user namespace. Validation is strict; every refusal
//! carries an extended ack with a text.

// Each side uses its part.
#![allow(dead_code)]

/// Name the family registers.
pub const FAMILY_NAME: &str = "toa";

/// Version in the generic netlink header.
pub const FAMILY_VERSION: u8 = 1;

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
    /// One end of a connection.
    End,
    /// A network.
    Trust,
    /// What happened in the namespace since the module was loaded.
    Counters,
}

impl Set {
    /// All sets, in the spec's order.
    pub const ALL: [Self; 4] = [Self::Main, Self::End, Self::Trust, Self::Counters];

    /// Name in the spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::End => "end",
            Self::Trust => "trust",
            Self::Counters => "counters",
        }
    }

    /// What each of its attributes must be, by number.
    pub const fn policy(self) -> &'static [Policy] {
        match self {
            Self::Main => &main::POLICY,
            Self::End => &end::POLICY,
            Self::Trust => &trust::POLICY,
            Self::Counters => &counters::POLICY,
        }
    }
}

/// Commands, as in the generic netlink header.
pub mod cmd {
    /// The trusted networks, the kinds of options, and whether UDP is restored.
    pub const CONFIG_GET: u8 = 1;
    /// Believe addresses from a network.
    pub const TRUST_ADD: u8 = 2;
    /// Believe no more addresses from a network; connections that there are keep theirs.
    pub const TRUST_DEL: u8 = 3;
    /// Take addresses from options of a kind.
    pub const KIND_ADD: u8 = 4;
    /// Take no more addresses from options of a kind.
    pub const KIND_DEL: u8 = 5;
    /// The counters.
    pub const STATS_GET: u8 = 6;
    /// Restore clients' addresses in UDP, or no longer.
    pub const UDP_SET: u8 = 7;
    /// The client of a TCP connection of this host. ENOENT without such a connection, ENODATA when
    /// its client is not known.
    pub const LOOKUP: u8 = 8;
    /// The client of a TCP socket of the process that asks, which needs no privilege: also where
    /// the socket is of the family IPv4 and the client's address is not. ENODATA when it is not
    /// known.
    pub const CLIENT_GET: u8 = 9;
    /// Go by the settings of the first namespace again, as every other does until something is set
    /// in it. EINVAL in the first one.
    pub const INHERIT: u8 = 10;
    /// Refuse connections and datagrams of trusted peers that tell no address, or no longer.
    pub const REQUIRE_SET: u8 = 11;
    /// Highest number in use.
    pub const MAX: u8 = 11;
}

/// Top level of every message.
pub mod main {
    use super::{Policy, Range, Set};

    /// A network whose addresses are believed; a request has one.
    ///
    /// Type: nest of `trust`, may come many times.
    pub const TRUST: u16 = 1;
    /// Kind of the TCP options that carry addresses, none that TCP itself uses; a request has one.
    ///
    /// Type: u8, may come many times, min 2, max 254.
    pub const KIND: u16 = 2;
    /// `counters`.
    ///
    /// Type: nest of `counters`.
    pub const COUNTERS: u16 = 3;
    /// Whether clients' addresses are restored in UDP, from IP options.
    ///
    /// Type: u8, max 1.
    pub const UDP: u16 = 4;
    /// This host's end of a TCP connection, as it is on the wire.
    ///
    /// Type: nest of `end`.
    pub const LOCAL: u16 = 5;
    /// The other end, the director's.
    ///
    /// Type: nest of `end`.
    pub const PEER: u16 = 6;
    /// Whom the connection is forwarded for.
    ///
    /// Type: nest of `end`.
    pub const CLIENT: u16 = 7;
    /// A socket of the process that asks, by its file descriptor.
    ///
    /// Type: u32.
    pub const SOCKET: u16 = 8;
    /// Whether the settings are those of the first namespace, as nothing was set in this one.
    ///
    /// Type: u8, max 1.
    pub const INHERITED: u16 = 9;
    /// Whether connections and datagrams of trusted peers that tell no address are refused.
    ///
    /// Type: u8, max 1.
    pub const REQUIRE: u16 = 10;
    /// Highest number in use.
    pub const MAX: u16 = 10;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Nested(Set::Trust),
        Policy::U8(Range { min: 2, max: 254 }),
        Policy::Nested(Set::Counters),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::Nested(Set::End),
        Policy::Nested(Set::End),
        Policy::Nested(Set::End),
        Policy::U32(Range::ANY),
        Policy::U8(Range { min: 0, max: 1 }),
        Policy::U8(Range { min: 0, max: 1 }),
    ];
}

/// One end of a connection.
pub mod end {
    use super::{Policy, Range};

    /// 4 or 16 bytes.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 1;
    /// `port`.
    ///
    /// Type: u16, big-endian.
    pub const PORT: u16 = 2;
    /// Highest number in use.
    pub const MAX: u16 = 2;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Binary { max_len: 16 },
        Policy::U16Be(Range::ANY),
    ];
}

/// A network.
pub mod trust {
    use super::{Policy, Range};

    /// Its first address, 4 or 16 bytes.
    ///
    /// Type: binary, max-len 16.
    pub const ADDRESS: u16 = 1;
    /// How many bits of the address count.
    ///
    /// Type: u8, max 128.
    pub const PREFIX_LENGTH: u16 = 2;
    /// Highest number in use.
    pub const MAX: u16 = 2;

    /// What each attribute must be, by number.
    pub const POLICY: [Policy; MAX as usize + 1] = [
        Policy::Unspec,
        Policy::Binary { max_len: 16 },
        Policy::U8(Range { min: 0, max: 128 }),
    ];
}

/// What happened in the namespace since the module was loaded.
pub mod counters {
    use super::{Policy, Range};

    /// Connections whose client is known now.
    ///
    /// Type: uint.
    pub const SOCKETS_NOW: u16 = 1;
    /// Connections whose client became known.
    ///
    /// Type: uint.
    pub const LEARNED: u16 = 2;
    /// Times that a program was told a client's address.
    ///
    /// Type: uint.
    pub const ANSWERED: u16 = 3;
    /// Options from peers that are not trusted, ignored.
    ///
    /// Type: uint.
    pub const UNTRUSTED: u16 = 4;
    /// Segments whose options have a length that lies, ignored.
    ///
    /// Type: uint.
    pub const MALFORMED: u16 = 5;
    /// Options that are neither 8 nor 20 bytes long, ignored.
    ///
    /// Type: uint.
    pub const WRONG_LENGTH: u16 = 6;
    /// Segments with more than one option, ignored.
    ///
    /// Type: uint.
    pub const TWICE: u16 = 7;
    /// Options with port 0 or an address that no client has, ignored.
    ///
    /// Type: uint.
    pub const BAD_ADDRESS: u16 = 8;
    /// Addresses that there was no memory or room to keep, and datagrams lost for want of memory.
    ///
    /// Type: uint.
    pub const NO_MEMORY: u16 = 9;
    /// UDP flows whose client is known now.
    ///
    /// Type: uint.
    pub const FLOWS_NOW: u16 = 10;
    /// UDP flows whose client became known.
    ///
    /// Type: uint.
    pub const FLOWS_LEARNED: u16 = 11;
    /// UDP flows that were forgotten, as there was no room for new ones; those without an answer
    /// first.
    ///
    /// Type: uint.
    pub const FLOWS_EVICTED: u16 = 12;
    /// Connections and datagrams of trusted peers that told no address, refused where that is asked
    /// for.
    ///
    /// Type: uint.
    pub const WITHOUT_OPTION: u16 = 13;
    /// Highest number in use.
    pub const MAX: u16 = 13;

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
    ];
}

/// Requests, by rising command number.
pub const OPS: [Op; 11] = [
    Op {
        cmd: cmd::CONFIG_GET,
        name: "config-get",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::TRUST_ADD,
        name: "trust-add",
        uns_admin: true,
        do_request: Some(&[main::TRUST]),
        dump_request: None,
    },
    Op {
        cmd: cmd::TRUST_DEL,
        name: "trust-del",
        uns_admin: true,
        do_request: Some(&[main::TRUST]),
        dump_request: None,
    },
    Op {
        cmd: cmd::KIND_ADD,
        name: "kind-add",
        uns_admin: true,
        do_request: Some(&[main::KIND]),
        dump_request: None,
    },
    Op {
        cmd: cmd::KIND_DEL,
        name: "kind-del",
        uns_admin: true,
        do_request: Some(&[main::KIND]),
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
        cmd: cmd::UDP_SET,
        name: "udp-set",
        uns_admin: true,
        do_request: Some(&[main::UDP]),
        dump_request: None,
    },
    Op {
        cmd: cmd::LOOKUP,
        name: "lookup",
        uns_admin: true,
        do_request: Some(&[main::LOCAL, main::PEER]),
        dump_request: None,
    },
    Op {
        cmd: cmd::CLIENT_GET,
        name: "client-get",
        uns_admin: false,
        do_request: Some(&[main::SOCKET]),
        dump_request: None,
    },
    Op {
        cmd: cmd::INHERIT,
        name: "inherit",
        uns_admin: true,
        do_request: Some(&[]),
        dump_request: None,
    },
    Op {
        cmd: cmd::REQUIRE_SET,
        name: "require-set",
        uns_admin: true,
        do_request: Some(&[main::REQUIRE]),
        dump_request: None,
    },
];

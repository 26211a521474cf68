// SPDX-License-Identifier: GPL-2.0

//! Policies of requests, made at compile time from the generated tables.
//!
//! A request may carry what its operation lists in the spec; of nests, what is not only for
//! replies. Everything else is refused by the core.

use super::accept::{accept, find};
use super::generated::{
    change, config, dest, laddr, main, question, selection, service, sync, tcp_timeouts,
};
use crate::kapi::genl::AttrPolicy;

static SERVICE: [AttrPolicy; service::POLICY.len()] = accept(
    &service::POLICY,
    &[
        service::PROTOCOL,
        service::ADDRESS,
        service::PORT,
        service::SCHEDULER,
        service::SCHED_FLAGS,
        service::MH_SIZE,
        service::SCHED_EXPIRATION,
        service::ONE_PACKET,
        service::RANDOM_START,
        service::PERSISTENCE,
        service::PERSISTENCE_PREFIX,
        service::PERSISTENCE_QUIESCED,
        service::PERSISTENCE_ENGINE,
        service::TCP_TIMEOUTS,
        service::UDP_TIMEOUT,
        service::REMOVED,
        service::QUIESCED_FLOWS,
        service::SLOW_START,
        service::TOA,
        service::ACCOUNT,
        service::HELPER,
        service::MARK,
        service::IP_VERSION,
    ],
    &[(service::TCP_TIMEOUTS, &TCP_TIMEOUTS)],
);

static DEST: [AttrPolicy; dest::POLICY.len()] = accept(
    &dest::POLICY,
    &[
        dest::ADDRESS,
        dest::PORT,
        dest::MODE,
        dest::WEIGHT,
        dest::UPPER_THRESHOLD,
        dest::LOWER_THRESHOLD,
        dest::DRAIN,
        dest::TUNNEL_KIND,
        dest::TUNNEL_PORT,
        dest::TUNNEL_CHECKSUM,
    ],
    &[],
);

static LADDR: [AttrPolicy; laddr::POLICY.len()] = accept(&laddr::POLICY, &[laddr::ADDRESS], &[]);

static SYNC: [AttrPolicy; sync::POLICY.len()] = accept(
    &sync::POLICY,
    &[
        sync::ROLE,
        sync::DEVICE,
        sync::ID,
        sync::MAX_LEN,
        sync::GROUP,
        sync::PORT,
        sync::TTL,
        sync::KEY,
        sync::KEY_FILE,
    ],
    &[],
);

static QUESTION: [AttrPolicy; question::POLICY.len()] = accept(
    &question::POLICY,
    &[
        question::PROTOCOL,
        question::CLIENT_ADDRESS,
        question::CLIENT_PORT,
        question::ADDRESS,
        question::PORT,
        question::MARK,
    ],
    &[],
);

static SELECTION: [AttrPolicy; selection::POLICY.len()] = accept(
    &selection::POLICY,
    &[
        selection::PROTOCOL,
        selection::CLIENT_ADDRESS,
        selection::CLIENT_PREFIX,
        selection::CLIENT_PORT,
        selection::VIRTUAL_ADDRESS,
        selection::VIRTUAL_PORT,
        selection::DEST_ADDRESS,
        selection::DEST_PREFIX,
        selection::DEST_PORT,
        selection::MODE,
        selection::STATE,
        selection::SILENT,
        selection::AGE,
    ],
    &[],
);

static TCP_TIMEOUTS: [AttrPolicy; tcp_timeouts::POLICY.len()] = accept(
    &tcp_timeouts::POLICY,
    &[
        tcp_timeouts::NONE,
        tcp_timeouts::ESTABLISHED,
        tcp_timeouts::SYN_SENT,
        tcp_timeouts::SYN_RECV,
        tcp_timeouts::FIN_WAIT,
        tcp_timeouts::TIME_WAIT,
        tcp_timeouts::CLOSE,
        tcp_timeouts::CLOSE_WAIT,
        tcp_timeouts::LAST_ACK,
        tcp_timeouts::LISTEN,
        tcp_timeouts::SYNACK,
    ],
    &[],
);

static CONFIG: [AttrPolicy; config::POLICY.len()] = accept(
    &config::POLICY,
    &[
        config::TCP_TIMEOUTS,
        config::UDP_TIMEOUT,
        config::CONN_MAX,
        config::EXPIRE_NODEST,
        config::LOCAL_PORT_MIN,
        config::LOCAL_PORT_MAX,
        config::TOA_KIND,
        config::SLOPPY_TCP,
        config::CONN_REUSE,
        config::NAT_AS_FULLNAT,
        config::DROP_ENTRY,
        config::DROP_PACKET,
        config::DROP_RATE,
        config::MEMORY_MIN,
        config::CACHE_BYPASS,
        config::ECHO,
        config::EXPIRE_QUIESCED,
        config::CONN_MAX_OTHERS,
        config::PLACES,
        config::CONNTRACK,
    ],
    &[(config::TCP_TIMEOUTS, &TCP_TIMEOUTS)],
);

static CHANGE: [AttrPolicy; change::POLICY.len()] = accept(
    &change::POLICY,
    &[change::OP, change::SERVICE, change::DEST, change::LADDR],
    &[
        (change::SERVICE, &SERVICE),
        (change::DEST, &DEST),
        (change::LADDR, &LADDR),
    ],
);

/// What a policy table of the top level looks like.
pub(super) type MainPolicy = [AttrPolicy; main::POLICY.len()];

/// The policy of a `do` request.
///
/// # Panics
///
/// At compile time, when the spec has no such operation.
pub(super) const fn of_do(cmd: u8) -> MainPolicy {
    match find(cmd).do_request {
        Some(attrs) => top_level(attrs),
        None => panic!("the spec has no `do` for this command"),
    }
}

/// The policy of a `dump` request.
///
/// # Panics
///
/// At compile time, when the spec has no such operation.
pub(super) const fn of_dump(cmd: u8) -> MainPolicy {
    match find(cmd).dump_request {
        Some(attrs) => top_level(attrs),
        None => panic!("the spec has no `dump` for this command"),
    }
}

const fn top_level(accepted: &[u16]) -> MainPolicy {
    accept(
        &main::POLICY,
        accepted,
        &[
            (main::SERVICE, &SERVICE),
            (main::DEST, &DEST),
            (main::CONFIG, &CONFIG),
            (main::CHANGE, &CHANGE),
            (main::LADDR, &LADDR),
            (main::SELECTION, &SELECTION),
            (main::QUESTION, &QUESTION),
            (main::SYNC, &SYNC),
        ],
    )
}

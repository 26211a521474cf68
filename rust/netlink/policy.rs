// SPDX-License-Identifier: GPL-2.0

//! Policies of requests, made at compile time from the generated tables.
//!
//! A request may carry what its operation lists in the spec; of nests, what is not only for
//! replies. Everything else is refused by the core.

use super::generated::{
    change, config, dest, laddr, main, service, tcp_timeouts, Policy, Range, OPS,
};
use crate::kapi::genl::AttrPolicy;

/// What stands for an attribute that the request may not carry.
const REFUSED: AttrPolicy = AttrPolicy::reject(c"this attribute is not part of the request");

static SERVICE: [AttrPolicy; service::POLICY.len()] = accept(
    &service::POLICY,
    &[
        service::PROTOCOL,
        service::ADDRESS,
        service::PORT,
        service::SCHEDULER,
    ],
    &[],
);

static DEST: [AttrPolicy; dest::POLICY.len()] = accept(
    &dest::POLICY,
    &[dest::ADDRESS, dest::PORT, dest::MODE, dest::WEIGHT],
    &[],
);

static LADDR: [AttrPolicy; laddr::POLICY.len()] = accept(&laddr::POLICY, &[laddr::ADDRESS], &[]);

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
        ],
    )
}

const fn find(cmd: u8) -> &'static super::generated::Op {
    let mut i = 0;
    while i < OPS.len() {
        if OPS[i].cmd == cmd {
            return &OPS[i];
        }
        i += 1;
    }
    panic!("the spec has no such command")
}

/// Policies of those in `accepted`, the rest refused; `nests` gives the policies of nests.
const fn accept<const N: usize>(
    set: &[Policy; N],
    accepted: &[u16],
    nests: &[(u16, &'static [AttrPolicy])],
) -> [AttrPolicy; N] {
    let mut out = [AttrPolicy::UNSPEC; N];
    // Number 0 is no attribute; its entry has another meaning.
    let mut kind = 1;
    while kind < N {
        // Of a nest the core's text about one that is rejected would mislead; it has another
        // about what is not there at all.
        if !matches!(set[kind], Policy::Nested(_)) {
            out[kind] = REFUSED;
        }
        kind += 1;
    }
    let mut i = 0;
    while i < accepted.len() {
        let kind = accepted[i];
        out[kind as usize] = attr(set[kind as usize], kind, nests);
        i += 1;
    }
    out
}

const fn attr(policy: Policy, kind: u16, nests: &[(u16, &'static [AttrPolicy])]) -> AttrPolicy {
    match policy {
        Policy::Unspec => REFUSED,
        Policy::U8(range) => ranged(AttrPolicy::U8, range),
        Policy::U16(range) => ranged(AttrPolicy::U16, range),
        Policy::U16Be(range) => ranged(AttrPolicy::U16_BE, range),
        Policy::U32(range) => ranged(AttrPolicy::U32, range),
        Policy::U64(range) => ranged(AttrPolicy::U64, range),
        Policy::Uint(range) => ranged(AttrPolicy::UINT, range),
        Policy::NulString { max_len } => AttrPolicy::nul_string(max_len),
        Policy::Binary { max_len } => AttrPolicy::binary(max_len),
        Policy::Nested(_) => {
            let mut i = 0;
            while i < nests.len() {
                if nests[i].0 == kind {
                    return AttrPolicy::nested(nests[i].1);
                }
                i += 1;
            }
            panic!("no policy for this nest")
        }
    }
}

const fn ranged(policy: AttrPolicy, range: Range) -> AttrPolicy {
    if range.min == Range::ANY.min && range.max == Range::ANY.max {
        policy
    } else {
        policy.in_range(range.min, range.max)
    }
}

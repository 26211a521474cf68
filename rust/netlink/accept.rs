// SPDX-License-Identifier: GPL-2.0

//! The core's policies from the generated tables; both families' modules include this file.

use super::generated::{Op, Policy, Range, OPS};
use crate::kapi::genl::AttrPolicy;

/// What stands for an attribute that the request may not carry.
const REFUSED: AttrPolicy = AttrPolicy::reject(c"this attribute is not part of the request");

/// The request with that command number.
///
/// # Panics
///
/// At compile time, when the spec has none.
pub(super) const fn find(cmd: u8) -> &'static Op {
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
///
/// # Panics
///
/// At compile time, when a nest has none.
pub(super) const fn accept<const N: usize>(
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

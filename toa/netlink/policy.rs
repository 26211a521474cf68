// SPDX-License-Identifier: GPL-2.0

//! Policies of requests, made at compile time from the generated tables.

use super::{
    accept::{accept, find},
    generated::{end, main, trust},
};
use crate::kapi::genl::AttrPolicy;

static TRUST: [AttrPolicy; trust::POLICY.len()] =
    accept(&trust::POLICY, &[trust::ADDRESS, trust::PREFIX_LENGTH], &[]);

static END: [AttrPolicy; end::POLICY.len()] = accept(&end::POLICY, &[end::ADDRESS, end::PORT], &[]);

/// The policy of a `do` request.
///
/// # Panics
///
/// At compile time, when the spec has no such operation.
pub(super) const fn of_do(cmd: u8) -> [AttrPolicy; main::POLICY.len()] {
    match find(cmd).do_request {
        Some(accepted) => accept(
            &main::POLICY,
            accepted,
            &[
                (main::TRUST, &TRUST),
                (main::LOCAL, &END),
                (main::PEER, &END),
            ],
        ),
        None => panic!("the spec has no `do` for this command"),
    }
}

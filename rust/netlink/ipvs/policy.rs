// SPDX-License-Identifier: GPL-2.0

//! What the core checks of the dialect's requests.

use super::uapi::main;
use crate::kapi::genl::AttrPolicy;

/// `ip_vs_cmd_policy`.
pub(super) static POLICY: [AttrPolicy; main::MAX as usize + 1] = [
    AttrPolicy::UNSPEC,
    AttrPolicy::NEST,
    AttrPolicy::NEST,
    AttrPolicy::NEST,
    AttrPolicy::U32,
    AttrPolicy::U32,
    AttrPolicy::U32,
];

// SPDX-License-Identifier: GPL-2.0

//! Helpers, which `ip_vs` has as modules for the ports that these are told.

use crate::engine::helper::{ftp, Helper};
use crate::engine::spec::{Protocol, ServiceId};

/// The helper that a new service of the dialect has, whose clients have no word for it: at the port that
/// `ip_vs_ftp` has unless it is told others.
pub(super) fn helper_of(id: &ServiceId) -> Helper {
    match (id.protocol(), id.port()) {
        (Some(Protocol::Tcp), ftp::PORT) => Helper::Ftp,
        _ => Helper::Off,
    }
}

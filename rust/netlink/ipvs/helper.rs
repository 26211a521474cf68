// SPDX-License-Identifier: GPL-2.0

//! Helpers, which `ip_vs` has as modules for the ports that these are told.

use crate::engine::helper::Helper;
use crate::engine::spec::{Protocol, ServiceId};

/// FTP's port (RFC 959), that of `ip_vs_ftp` unless it is told others.
const FTP: u16 = 21;

/// The helper that a new service of the dialect has, whose clients have no word for it.
pub(super) fn helper_of(id: &ServiceId) -> Helper {
    match (id.protocol(), id.port()) {
        (Some(Protocol::Tcp), FTP) => Helper::Ftp,
        _ => Helper::Off,
    }
}

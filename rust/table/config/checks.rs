// SPDX-License-Identifier: GPL-2.0

//! Whether a dest may be as it is asked for.

use core::net::IpAddr;

use kernel::prelude::*;

use crate::{
    engine::{
        change::ChangeError,
        spec::{DestId, DestSpec, Mode, ServiceId},
    },
    kapi::{
        errno::ENOBUFS,
        netns::Net,
        route::{self, NextHop},
    },
};

/// The dest as its settings are checked: where the mode leaves the port as it is, and whoever asks
/// may say any, with the service's.
pub(super) fn port_that_counts(
    id: DestId,
    spec: &DestSpec,
    service: &ServiceId,
    is_lenient: bool,
) -> DestId {
    if is_lenient && !spec.mode.toward(id.address).can_change_port() {
        return DestId {
            port: service.port(),
            ..id
        };
    }
    id
}

/// Whether a dest's packets could be sent now.
pub(super) fn check_route(net: &'static Net, address: IpAddr) -> Result<(), ChangeError> {
    NextHop::check(net, address).map_err(|error| {
        if error == ENOMEM || error == ENOBUFS {
            ChangeError::NoMemory
        } else {
            ChangeError::NoRoute(address)
        }
    })
}

/// Checks that there is a way to a dest, or with mode local that it is this host.
pub(super) fn check_dest(
    net: &'static Net,
    address: IpAddr,
    mode: Mode,
) -> Result<(), ChangeError> {
    if mode != Mode::Local {
        return check_route(net, address);
    }
    match route::is_of_this_host(net, address) {
        true => Ok(()),
        false => Err(ChangeError::NotOnThisHost(address)),
    }
}

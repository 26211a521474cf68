// SPDX-License-Identifier: GPL-2.0

//! What this host's routing says of the host itself.

use core::{net::IpAddr, ptr};

use crate::{bindings, kapi::netns::Net};

/// Whether packets of an IP version that leave this host meet rules or IPsec policies on their way.
pub(crate) fn has_output_rules(net: &Net, version: u8) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_has_output_rules(net.as_raw(), version) }
}

/// Whether this host takes packets to `address` as its own: an address of a device that is up, or
/// one of a local route. May sleep.
pub(crate) fn is_of_this_host(net: &Net, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let address_be = u32::from_ne_bytes(v4.octets());
            // SAFETY: The namespace is alive.
            let kind = unsafe { bindings::inet_addr_type(net.as_raw(), address_be) };
            kind == u32::from(bindings::RTN_LOCAL)
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            // SAFETY: The namespace is alive; the pointer is to sixteen bytes.
            unsafe { bindings::rvs_is_own_address6(net.as_raw(), ptr::addr_of!(octets).cast()) }
        }
    }
}

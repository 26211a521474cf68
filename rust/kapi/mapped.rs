// SPDX-License-Identifier: GPL-2.0

//! Addresses as tracepoints tell them.

use core::net::IpAddr;

/// The bytes of an address of either family, of IPv4's as IPv6 has them (RFC 4291, 2.5.5.2).
pub(crate) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a device does to frames that programs for XDP do not see as they were.

use std::io;

use crate::sys;

/// Bits of `enum ethtool_flags` in `include/uapi/linux/ethtool.h`.
const VLAN_TAGS_TAKEN: u32 = 1 << 8;
const LARGE_RECEIVE: u32 = 1 << 15;

/// What a device is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It takes VLAN tags out of frames (`rxvlan`).
    pub takes_tags: bool,
    /// It puts frames together (`lro`).
    pub puts_together: bool,
}

/// What the device of that name, in this thread's network namespace, is set to.
///
/// # Errors
///
/// What the kernel says.
pub fn offloads(device: &str) -> io::Result<Offloads> {
    let flags = sys::ethtool_flags(device)?;
    Ok(Offloads {
        takes_tags: flags & VLAN_TAGS_TAKEN != 0,
        puts_together: flags & LARGE_RECEIVE != 0,
    })
}

/// How many programs of tcx a device has at its ingress.
///
/// # Errors
///
/// What the kernel says; one without tcx that it knows no such thing.
pub fn ingress_programs(device: u32) -> io::Result<u32> {
    sys::programs(device)
}

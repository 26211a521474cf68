// SPDX-License-Identifier: GPL-2.0

//! How socket options are numbered, and how they name services.

use core::{ffi::c_int, net::Ipv4Addr};

use kernel::error::{
    code::{EINVAL, ESRCH},
    Result,
};

use crate::engine::spec::{Protocol, ServiceId};

/// `IP_VS_BASE_CTL`.
pub(super) const BASE: c_int = 64 + 1024 + 64;

/// Where in a name of a service its parts are: the same in all that have one.
pub(super) const NAME_LEN: usize = 16;
pub(super) const PROTOCOL_AT: usize = 0;
pub(super) const ADDRESS_AT: usize = 4;
pub(super) const PORT_AT: usize = 8;
pub(super) const MARK_AT: usize = 12;

/// The service that the first bytes name.
pub(super) fn named(name: &[u8; NAME_LEN]) -> Result<ServiceId> {
    let mark = u32::from_ne_bytes(part(name, MARK_AT)?);
    if mark != 0 {
        return Ok(ServiceId::Marked { mark, ipv6: false });
    }
    let [p0, p1] = *name.first_chunk().ok_or(EINVAL)?;
    let protocol = u8::try_from(u16::from_ne_bytes([p0, p1])).ok();
    Ok(ServiceId::Virtual {
        protocol: protocol.and_then(Protocol::from_number).ok_or(ESRCH)?,
        address: Ipv4Addr::from(part::<4>(name, ADDRESS_AT)?).into(),
        port: u16::from_be_bytes(part(name, PORT_AT)?),
    })
}

/// The bytes from there on.
pub(super) fn part<const N: usize>(said: &[u8], at: usize) -> Result<[u8; N]> {
    let part = said.get(at..).and_then(<[u8]>::first_chunk);
    part.copied().ok_or(EINVAL)
}

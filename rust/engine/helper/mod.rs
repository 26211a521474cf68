// SPDX-License-Identifier: GPL-2.0

//! Protocols that tell of other connections in what they say (application helpers).

pub mod ftp;
pub mod lengths;
pub mod payload;

use super::id::ServiceId;
use super::mode::Protocol;
use super::numbered::numbered;

/// FTP's port (RFC 959).
const FTP: u16 = 21;

/// Which protocol's commands are read and written anew, of a service's connections of TCP; the numbers
/// are those of the netlink enum `helper`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Helper {
    /// None's.
    #[default]
    Off = 0,
    /// FTP's (RFC 959, RFC 2428).
    Ftp = 1,
}

impl Helper {
    /// That of a service which only its port tells it of, as `ip_vs` with its module `ip_vs_ftp` has it.
    pub fn of_port(id: &ServiceId) -> Self {
        match (id.protocol(), id.port()) {
            (Some(Protocol::Tcp), FTP) => Self::Ftp,
            _ => Self::Off,
        }
    }
}

// Names as in `rvsadm service add … --helper`.
numbered! {
    Helper as u8 {
        Off = "off",
        Ftp = "ftp",
    }
}

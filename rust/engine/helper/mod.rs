// SPDX-License-Identifier: GPL-2.0

//! Protocols that tell of other connections in what they say (application helpers).

pub mod ftp;
pub mod lengths;
pub mod payload;

use super::numbered::numbered;

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

// Names as in `rvsadm service add … --helper`.
numbered! {
    Helper as u8 {
        Off = "off",
        Ftp = "ftp",
    }
}

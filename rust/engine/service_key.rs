// SPDX-License-Identifier: GPL-2.0

//! What a service is looked up by.

use core::net::IpAddr;

use super::address::address_words;
use super::hash::{self, Key};

/// What a service is looked up by: destination address, port, protocol and family, or mark and
/// family, as words that are compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    /// The address as it stands in the header, read little-endian; the second word is 0 for IPv4.
    pub address: [u64; 2],
    /// The port as in the header, read little-endian; the protocol from bit 16, the family's
    /// version from bit 24 on.
    pub rest: u32,
}

/// TCP and port 21 (RFC 959), as [`ServiceKey::rest`] has them.
const FTP: u32 = (6 << 16) | 21u16.to_be() as u32;
const FTP_DATA: u16 = 20;
const FIRST_UNPRIVILEGED: u16 = 1024;

impl ServiceKey {
    /// Of a service at an address; `port` in host order.
    pub fn new(protocol: u8, address: IpAddr, port: u16) -> Self {
        let (address, version) = match address {
            IpAddr::V4(v4) => ([u32::from_le_bytes(v4.octets()).into(), 0], 4),
            IpAddr::V6(v6) => (address_words(v6), 6),
        };
        let port = u16::from_le_bytes(port.to_be_bytes());
        let rest = (u64::from(protocol) << 32) | (u64::from(port) << 16);
        Self::of(address, rest, version)
    }

    /// Of a service by mark, for flows of that IP version. Protocol 0 tells it from addresses.
    pub const fn marked(mark: u32, version: u8) -> Self {
        Self::of([mark as u64, 0], 0, version)
    }

    /// That of the service of all ports at its address.
    pub const fn all_ports(&self) -> Self {
        Self {
            address: self.address,
            rest: self.rest & !0xffff,
        }
    }

    /// Whether it is of an FTP service.
    pub const fn is_of_ftp(&self) -> bool {
        self.rest & 0x00ff_ffff == FTP
    }

    /// That of the FTP service at its address, if this may be of data that a client fetches or
    /// sends there: of TCP to port 20, or to one that a server listens on for a passive transfer.
    pub const fn of_ftp_data(&self) -> Option<Self> {
        let port = u16::from_be(self.rest as u16);
        if (self.rest ^ FTP) & 0x00ff_0000 != 0 || (port != FTP_DATA && port < FIRST_UNPRIVILEGED) {
            return None;
        }
        Some(Self {
            address: self.address,
            rest: (self.rest & 0xff00_0000) | FTP,
        })
    }

    /// That of the address itself, whatever services it has: what an ICMP message to it looks up.
    pub const fn of_address(&self) -> Self {
        let version = self.rest >> 24;
        let icmp: u32 = if version == 4 { 1 } else { 58 };
        Self {
            address: self.address,
            rest: (version << 24) | (icmp << 16),
        }
    }

    /// Whether it is of a service by mark.
    pub const fn is_of_mark(&self) -> bool {
        (self.rest >> 16) & 0xff == 0
    }

    /// Whether it is of a service of all ports.
    pub const fn is_of_all_ports(&self) -> bool {
        let protocol = (self.rest >> 16) & 0xff;
        protocol != 0 && self.rest & 0xffff == 0
    }

    /// Of a service at the address of these words; `rest` is a tuple's second or last word.
    #[inline(always)]
    pub(super) const fn of(address: [u64; 2], rest: u64, version: u8) -> Self {
        Self {
            address,
            rest: ((rest >> 16) as u32 & 0x00ff_ffff) | ((version as u32) << 24),
        }
    }

    /// Keyed hash; all bits are usable.
    #[inline]
    pub fn hash(&self, key: &Key) -> u64 {
        let [low, high] = self.address;
        hash::words(key, [low, high, u64::from(self.rest)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_flows_may_be_data_of_ftp() {
        for address in ["203.0.113.10", "2001:db8::10"] {
            let address = address.parse().unwrap();
            let key = |protocol, port| ServiceKey::new(protocol, address, port);
            let ftp = key(6, 21);
            assert!(ftp.is_of_ftp());
            assert!(!key(17, 21).is_of_ftp() && !key(6, 20).is_of_ftp());
            for port in [20, 1024, 50_000] {
                assert_eq!(key(6, port).of_ftp_data(), Some(ftp));
            }
            for (protocol, port) in [(6, 80), (6, 1023), (17, 50_000), (132, 20), (6, 0)] {
                assert_eq!(key(protocol, port).of_ftp_data(), None);
            }
        }
        assert!(!ServiceKey::marked(21, 4).is_of_ftp());
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Networks: an address and how many of its leading bits count.

use core::fmt;
use core::net::IpAddr;

/// A network, for instance 192.0.2.0/24.
///
/// # Invariants
///
/// `len` is at most the address's bits, and the bits behind it are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// Why an address and a length are no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The length is more than the address has bits.
    Length {
        /// The length.
        len: u8,
        /// The most it may be.
        max: u8,
    },
    /// The address has bits set behind the length; this is the network it is in.
    HostBits(Prefix),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { len, max } => {
                write!(
                    f,
                    "prefix length {len} is more than the address's {max} bits"
                )
            }
            Self::HostBits(network) => {
                write!(
                    f,
                    "bits are set behind the prefix; the network is {network}"
                )
            }
        }
    }
}

impl Prefix {
    /// The network of `len` bits at `address`.
    ///
    /// # Errors
    ///
    /// `Length`, `HostBits`.
    pub fn new(address: IpAddr, len: u8) -> Result<Self, PrefixError> {
        let max = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if len > max {
            return Err(PrefixError::Length { len, max });
        }
        let network = Self {
            address: masked(address, len),
            len,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(PrefixError::HostBits(network))
        }
    }

    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many of its bits count.
    pub const fn bits(&self) -> u8 {
        self.len
    }

    /// Whether `address` is in it. An IPv4 address is in no IPv6 network, nor the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.len) == self.address
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// `address` with the bits behind the first `len` cleared.
fn masked(address: IpAddr, len: u8) -> IpAddr {
    let len = u32::from(len);
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32u32.saturating_sub(len)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & kept).into())
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX
                .checked_shl(128u32.saturating_sub(len))
                .unwrap_or(0);
            IpAddr::V6((v6.to_bits() & kept).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Result<Prefix, PrefixError> {
        let (address, len) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), len.parse().unwrap())
    }

    fn holds(network: &str, address: &str) -> bool {
        prefix(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn it_holds_what_begins_with_its_bits() {
        assert!(holds("192.0.2.0/24", "192.0.2.255"));
        assert!(!holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7/32", "192.0.2.7"));
        assert!(!holds("192.0.2.7/32", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "255.255.255.255"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("::/0", "ffff::"));
        assert!(holds("::1/128", "::1"));
    }

    #[test]
    fn families_are_apart() {
        assert!(!holds("0.0.0.0/0", "::"));
        assert!(!holds("::/0", "0.0.0.0"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_words() {
        let said = |text| prefix(text).unwrap_err().to_string();
        assert_eq!(
            said("192.0.2.0/33"),
            "prefix length 33 is more than the address's 32 bits"
        );
        assert_eq!(
            said("192.0.2.1/24"),
            "bits are set behind the prefix; the network is 192.0.2.0/24"
        );
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127";
        let longest = said(longest);
        assert!(longest.ends_with(":fffe/127"), "{longest}");
        assert!(prefix("::/129").is_err());
    }
}

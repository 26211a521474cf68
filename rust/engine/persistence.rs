// SPDX-License-Identifier: GPL-2.0

//! How long, and how widely, clients stay with a dest.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::hash::{self, Key};
use super::limits::TIMEOUT_MAX;
pub use super::persistence_engine::Engine;
use super::spec_error::SpecError;

/// Persistence of a service: all flows of a network of clients go to the dest of the first, until
/// none has begun for a while (`ip_vs_sched_persist` of `ip_vs_core.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Persistence {
    /// Seconds that a network stays with its dest after its last flow began; 0 is no persistence.
    pub seconds: u32,
    /// Length of the networks' prefix; 0 is the whole address.
    pub prefix: u8,
    /// Whether flows of known networks go to their dest also where its weight is 0.
    pub quiesced: bool,
    /// What stays with a dest.
    pub engine: Engine,
}

/// Who stays with a dest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom<'a> {
    /// A network of clients, as [`Persistence::network`] gives it.
    pub network: u128,
    /// A call of it; empty where it stays as a whole.
    pub call: &'a [u8],
}

impl Whom<'_> {
    /// What it is known by among others, under secret keys. Of a call no more than that: nobody finds two
    /// with the same 128 bits who does not know the keys.
    pub fn place(&self, [first, second]: &[Key; 2]) -> u128 {
        if self.call.is_empty() {
            return self.network;
        }
        let upper = hash::bytes(first, self.network, self.call);
        let lower = hash::bytes(second, self.network, self.call);
        (u128::from(upper) << 64) | u128::from(lower)
    }
}

impl Persistence {
    /// Checks the persistence of a service of that IP version.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn validate(&self, ipv6: bool) -> Result<(), SpecError> {
        if self.seconds > TIMEOUT_MAX {
            return Err(SpecError::Persistence(self.seconds));
        }
        if self.prefix > bits(ipv6) {
            return Err(SpecError::Prefix(self.prefix));
        }
        Ok(())
    }

    /// Length of the prefix of its networks, of that IP version.
    pub fn prefix_len(&self, ipv6: bool) -> u8 {
        match self.prefix {
            0 => bits(ipv6),
            prefix => prefix.min(bits(ipv6)),
        }
    }

    /// Who stays with a dest, of a client and of the call that a packet is about.
    pub fn whom<'a>(&self, client: IpAddr, call: &'a [u8]) -> Whom<'a> {
        let call = match self.engine {
            Engine::Off => &[],
            Engine::Sip => call,
        };
        let network = self.network(client);
        Whom { network, call }
    }

    /// The network that a client is of, as a number: of an IPv4 address its 32 bits.
    pub fn network(&self, client: IpAddr) -> u128 {
        let address = match client {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let bits = bits(client.is_ipv6());
        if self.prefix == 0 || self.prefix >= bits {
            return address;
        }
        let host = u32::from(bits.saturating_sub(self.prefix));
        address & u128::MAX.checked_shl(host).unwrap_or(0)
    }
}

/// The address of a network that [`Persistence::network`] gave for a client of that IP version.
pub fn address(network: u128, ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::from_bits(network).into()
    } else {
        Ipv4Addr::from_bits(network as u32).into()
    }
}

/// Bits of an address.
const fn bits(ipv6: bool) -> u8 {
    if ipv6 {
        128
    } else {
        32
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What differs between IPv4 and IPv6, for code that is written once.

use core::fmt::Debug;

use super::tuple::{TupleV4, TupleV6};
use super::wire::{Ipv4, Ipv6};

pub use super::address::{folded, Address};
pub use super::tuple::Tuple;
pub use super::wire::IpHeader;

/// A version of the Internet Protocol.
pub trait Family: Copy + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// What tells its flows apart.
    type Tuple: Tuple;
    /// Its header.
    type Ip: IpHeader<Tuple = Self::Tuple>;
    /// As the header's version field has it.
    const VERSION: u8;
    /// IANA number of its ICMP.
    const ICMP: u8;
    /// IANA number of its packets inside others.
    const IN_IP: u8;
}

/// IPv4, RFC 791.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V4;

/// IPv6, RFC 8200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V6;

impl Family for V4 {
    type Tuple = TupleV4;
    type Ip = Ipv4;
    const VERSION: u8 = 4;
    const ICMP: u8 = 1;
    const IN_IP: u8 = 4;
}

impl Family for V6 {
    type Tuple = TupleV6;
    type Ip = Ipv6;
    const VERSION: u8 = 6;
    const ICMP: u8 = 58;
    const IN_IP: u8 = 41;
}

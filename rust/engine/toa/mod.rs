// SPDX-License-Identifier: GPL-2.0

//! TOA: the client's address in a TCP option.
//!
//! A director that forwards with its own address as the source tells the real server whom it
//! forwards for by an option in the client's segments: kind, length, port and address, both in
//! network order. The length is 8 for IPv4 and 20 for IPv6. The kind is agreed upon between the
//! two; 254 is the usual one, and 28, 200, 252 and 253 are also met.

pub mod insert;
pub mod read;
pub mod room;
pub mod telling;

pub(super) use read::address;
pub use read::{find, Kinds, Malformed};

/// The kind that directors use unless told otherwise.
pub const DEFAULT_KIND: u8 = 254;

/// Lowest kind that may carry addresses: those below have no length. See [`is_of_tcp`] as well.
pub const KIND_MIN: u8 = 2;

/// Highest kind that may carry addresses.
pub const KIND_MAX: u8 = 254;

/// Length of the option with an IPv4 address, in bytes.
pub const V4_LEN: usize = 8;

/// Length of the option with an IPv6 address, in bytes.
pub const V6_LEN: usize = 20;

/// Whether hosts use an option of this kind for TCP itself, so that it cannot carry addresses: of
/// IANA's "TCP Option Kind Numbers" the end of options, padding, segment size, window scale,
/// selective acknowledgments (4, 5), timestamps, MD5 signatures (19), authentication (29),
/// Multipath TCP (30), Fast Open (34), encryption (69) and accurate ECN (172, 174). The others are
/// historic, never came into use, are for experiments or unassigned.
pub const fn is_of_tcp(kind: u8) -> bool {
    matches!(kind, 0..=5 | 8 | 19 | 29 | 30 | 34 | 69 | 172 | 174)
}

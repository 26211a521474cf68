// SPDX-License-Identifier: GPL-2.0

//! What directors tell each other of their connections: `ip_vs`'s protocol, version 1.
//!
//! A datagram has a header of eight bytes and then entries, each of a connection or of a template of
//! persistence, padded to four bytes but for the last:
//!
//! | bytes of the header | what |
//! |---|---|
//! | 0 | 0, by which version 0 knows that it is not meant |
//! | 1 | the id of those who belong together |
//! | 2-3 | length of the datagram |
//! | 4 | how many entries follow |
//! | 5 | 1, the version |
//! | 6-7 | 0 |
//!
//! | bytes of an entry | what |
//! |---|---|
//! | 0 | 1 for IPv6, 0 for IPv4 |
//! | 1 | transport protocol |
//! | 2-3 | version of the entry, 0, in the upper 4 bits, and its length with its options |
//! | 4-7 | flags, see [`flags`] |
//! | 8-9 | state, by numbers that each protocol has of its own |
//! | 10-15 | ports of client, service and dest |
//! | 16-19 | mark of the packets |
//! | 20-23 | seconds that it has left |
//! | 24-  | addresses of client, service and dest |
//!
//! Options {kind, length of the data, data} end an entry. All numbers are in network order. What is
//! read is in [`datagram`], what is written in [`draft`] and [`brief`], what it means in [`told`]. Behind the last
//! entry RVS adds what others never look at, see [`tail`].

pub mod brief;
pub mod datagram;
pub mod draft;
pub mod entry;
pub mod fault;
pub mod flags;
pub mod memo;
pub mod ranges;
pub mod stream;
pub mod tail;
pub mod told;

pub use brief::Brief;
pub use datagram::Datagram;
pub use draft::{waiting, Draft};
pub use entry::{Entry, Own};
pub use fault::Fault;
pub use ranges::{Range, Ranges};
pub use stream::{Stream, Verdict};
pub use tail::{Kind, Tail};
pub use told::{is_told, Connection, Template, Told};

/// Bytes of the header.
pub const HEADER: usize = 8;

/// The version that this is.
pub const VERSION: u8 = 1;

/// Bytes of an entry of IPv4 without options.
pub const ENTRY_V4: usize = 36;

/// Bytes of an entry of IPv6 without options.
pub const ENTRY_V6: usize = 72;

/// Bit of an entry's first byte: it is of IPv6.
const IPV6: u8 = 1;

/// Bits of an entry's length; above them is its version.
const LENGTH: u16 = 0x0fff;

/// Kinds of options.
mod option {
    /// How the numbers of a TCP stream were moved by a helper: six words.
    pub(super) const SEQUENCES: u8 = 1;
    /// What a persistence engine knows.
    pub(super) const ENGINE_DATA: u8 = 2;
    /// Its name.
    pub(super) const ENGINE_NAME: u8 = 3;
    /// Bit: whoever does not know the option may pass over it.
    pub(super) const MAY_PASS: u8 = 0x40;
    /// What RVS adds of a FullNAT connection.
    pub(super) const OWN: u8 = 0x30;
    /// As `OWN`, where the dest is IPv4 and the client is not: nobody else may take such an entry.
    pub(super) const CROSSING: u8 = 0x32;
    /// It has ended there.
    pub(super) const ENDED: u8 = 0x31;

    /// Bytes ahead of an option's data.
    pub(super) const HEAD: usize = 2;
    /// Bytes of the data of `SEQUENCES`.
    pub(super) const SEQUENCES_LEN: usize = 24;
    /// Bytes of the data of `ENGINE_NAME` at most.
    pub(super) const ENGINE_NAME_MAX: usize = 16;
}

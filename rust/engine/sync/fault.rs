// SPDX-License-Identifier: GPL-2.0

//! Why a datagram, or an entry of it, is not taken.

/// Why something is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Fault {
    /// Not of this version, or of no protocol that is known.
    Version,
    /// Shorter than a header, or not as long as the header says.
    Length,
    /// Of directors with another id.
    Id,
    /// An entry is cut, shorter than it may be, or of another version or family.
    Entry,
    /// An option lies about its length, stands twice, or has the wrong one.
    Option,
    /// What RVS adds behind the entries is not as it should be.
    Tail,
    /// An option that nobody may pass over and that is not known, or is of a persistence engine that RVS
    /// does not have: that entry is not taken.
    UnknownOption,
    /// Flags that no connection and no template has: that entry is not taken.
    Flags,
    /// A protocol that has no services: that entry is not taken.
    Protocol,
    /// A state that its protocol does not have: that entry is not taken.
    State,
    /// An address or a port that nobody can have: that entry is not taken.
    Address,
    /// A way for packets that RVS does not have: that entry is not taken.
    Mode,
    /// It is not signed, and has to be.
    Unsigned,
    /// It is signed with another key.
    Key,
}

impl Fault {
    /// All of them, by number.
    pub const ALL: [Self; 14] = [
        Self::Version,
        Self::Length,
        Self::Id,
        Self::Entry,
        Self::Option,
        Self::Tail,
        Self::UnknownOption,
        Self::Flags,
        Self::Protocol,
        Self::State,
        Self::Address,
        Self::Mode,
        Self::Unsigned,
        Self::Key,
    ];

    /// Its name where it is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Length => "length",
            Self::Id => "id",
            Self::Entry => "entry",
            Self::Option => "option",
            Self::Tail => "tail",
            Self::UnknownOption => "unknown-option",
            Self::Flags => "flags",
            Self::Protocol => "protocol",
            Self::State => "state",
            Self::Address => "address",
            Self::Mode => "mode",
            Self::Unsigned => "unsigned",
            Self::Key => "key",
        }
    }
}

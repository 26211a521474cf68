// SPDX-License-Identifier: GPL-2.0

//! What is wrong with a record.

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are of another version.
    Version(u8),
    /// They are of no kind that there is.
    Kind(u8),
    /// They are not as long as what they say.
    Length,
    /// They say what cannot be.
    Content,
}

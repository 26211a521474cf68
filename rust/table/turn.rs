// SPDX-License-Identifier: GPL-2.0

//! When the datapath's hooks see a packet.

/// When a packet meets a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Ahead of all others. Packets of connections go no further.
    Early,
    /// Behind those that mark packets: for new flows, where there is a service by mark, and for
    /// replies that are routed by their marks.
    Late,
}

impl Turn {
    /// Where its hooks are among others: ahead of the raw table (-300) and of connection tracking
    /// (-200), behind the defragmentation that connection tracking asks for (-400); and behind the
    /// mangle table (-150), ahead of the translation of destinations (-100).
    pub(crate) const fn priority(self) -> i32 {
        match self {
            Self::Early => -350,
            Self::Late => -149,
        }
    }
}

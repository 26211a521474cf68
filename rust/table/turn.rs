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
    /// As early, of a flow that the host tracks, which a moment ago had a packet go all the way.
    Fast,
}

impl Turn {
    /// Where its hooks are among others: ahead of the raw table (-300) and of connection tracking
    /// (-200), behind the defragmentation that connection tracking asks for (-400); and behind the
    /// mangle table (-150), ahead of the translation of destinations (-100).
    pub(crate) const fn priority(self) -> i32 {
        match self {
            Self::Early | Self::Fast => -350,
            Self::Late => -149,
        }
    }
}

/// Where a namespace's hooks stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posts {
    /// Ahead of routing, rules and connection tracking.
    Early,
    /// Where `ip_vs` has its.
    IpVs,
    /// There too, and ahead of all for packets of established flows.
    Fast,
}

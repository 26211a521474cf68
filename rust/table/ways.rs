// SPDX-License-Identifier: GPL-2.0

//! Ways that are kept, to dests and back to clients: which of them are let go of.

use crate::kapi::{netdev::Device, route::NextHop};

/// Which ways are to be let go of.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    /// All.
    All,
    /// Those through a device.
    Through(Device),
    /// Those whose neighbour is not found, or was not sent anything for long.
    Idle,
}

impl Which {
    /// Whether a way is one of them. One that is no longer good always is: its route may name
    /// another device by now, but its neighbour holds on to the old one.
    pub(super) fn has(self, way: &NextHop) -> bool {
        let is = match self {
            Self::All => true,
            Self::Through(device) => way.device() == device,
            Self::Idle => way.is_idle(),
        };
        is || !way.is_good()
    }
}

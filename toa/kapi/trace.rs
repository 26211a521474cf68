// SPDX-License-Identifier: GPL-2.0

//! The tracepoint of `toa/toa_trace.h`. While nobody listens to it, its event is not even made up.

use core::net::SocketAddr;

use super::{mapped::mapped, netns::Net};
use crate::bindings;

/// A client that became known.
pub(crate) struct Learned {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    /// The client.
    pub(crate) client: SocketAddr,
    /// The director's end.
    pub(crate) peer: SocketAddr,
    /// This host's end.
    pub(crate) local: SocketAddr,
}

/// A client became known.
#[inline]
pub(crate) fn learned(net: &Net, told: impl FnOnce() -> Learned) {
    // SAFETY: It only looks whether anybody listens.
    if !unsafe { bindings::toa_traces_learned() } {
        return;
    }
    let told = told();
    let mut record = bindings::toa_trace {
        client: mapped(told.client.ip()),
        peer: mapped(told.peer.ip()),
        local: mapped(told.local.ip()),
        netns: 0,
        client_port: told.client.port(),
        peer_port: told.peer.port(),
        local_port: told.local.port(),
        protocol: told.protocol,
    };
    // SAFETY: The namespace is alive, and the record lives until the call returns.
    unsafe { bindings::toa_trace_learned(net.as_raw(), &mut record) };
}

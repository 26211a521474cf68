// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of `rust/helpers/trace.h`. While nobody listens to one, its event is not even made up.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use core::{ffi::CStr, net::SocketAddr};

use kernel::str::CStrExt as _;

use super::{mapped::mapped, netns::Net, skb::Skb};
use crate::bindings;

/// A flow.
pub(crate) struct Flow {
    /// IANA protocol number.
    pub(crate) protocol: u8,
    /// The client.
    pub(crate) client: SocketAddr,
    /// Virtual address and port.
    pub(crate) vip: SocketAddr,
    /// The real server.
    pub(crate) dest: SocketAddr,
    /// Number of the mode.
    pub(crate) mode: u8,
    /// Number of the connection's state.
    pub(crate) state: u8,
    /// Mark of the service, 0 for one of an address.
    pub(crate) mark: u32,
}

/// Why a connection is over.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// It was silent for too long.
    Expired = 1,
    /// Somebody ended it, or its dest's deadline has come.
    Ended = 2,
    /// A new flow took its place, or its dest takes it no more.
    Replaced = 3,
    /// Memory is short.
    Overload = 4,
}

/// What became of a dest.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// It was added.
    Add = 1,
    /// Its settings were changed.
    Set = 2,
    /// It was removed.
    Del = 3,
    /// Its last connection is over.
    Drained = 4,
}

/// A dest.
pub(crate) struct Dest {
    /// IANA protocol number of its service; 0 for one by mark.
    pub(crate) protocol: u8,
    /// Virtual address and port of its service, which one by mark has not.
    pub(crate) vip: Option<SocketAddr>,
    /// Mark of its service, 0 for one of an address.
    pub(crate) mark: u32,
    /// Its address and port.
    pub(crate) dest: SocketAddr,
    /// Number of the mode; 0 where it is as it was.
    pub(crate) mode: u8,
    /// Its weight.
    pub(crate) weight: u32,
}

/// The number of a namespace.
fn number(net: &Net) -> u32 {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_netns_number(net.as_raw()) }
}

fn record(net: &Net, flow: &Flow) -> bindings::rvs_trace_flow {
    bindings::rvs_trace_flow {
        client: mapped(flow.client.ip()),
        vip: mapped(flow.vip.ip()),
        dest: mapped(flow.dest.ip()),
        netns: number(net),
        mark: flow.mark,
        client_port: flow.client.port(),
        vip_port: flow.vip.port(),
        dest_port: flow.dest.port(),
        protocol: flow.protocol,
        mode: flow.mode,
        state: flow.state,
    }
}

/// A flow begins.
#[inline]
pub(crate) fn new_flow(net: &Net, flow: impl FnOnce() -> Option<Flow>) {
    #[cold]
    #[inline(never)]
    fn tell(net: &Net, flow: &Flow) {
        let record = record(net, flow);
        // SAFETY: The record lives until the call returns.
        unsafe { bindings::rvs_trace_new_flow(&record) };
    }
    // SAFETY: It only looks whether anybody listens.
    if unsafe { bindings::rvs_traces_new_flow() } {
        if let Some(flow) = flow() {
            tell(net, &flow);
        }
    }
}

/// A connection is over.
#[inline]
pub(crate) fn conn_end(net: &Net, why: End, flow: impl FnOnce() -> Option<Flow>) {
    #[cold]
    #[inline(never)]
    fn tell(net: &Net, why: End, flow: &Flow) {
        let record = record(net, flow);
        // SAFETY: The record lives until the call returns.
        unsafe { bindings::rvs_trace_conn_end(&record, why as u8) };
    }
    // SAFETY: It only looks whether anybody listens.
    if unsafe { bindings::rvs_traces_conn_end() } {
        if let Some(flow) = flow() {
            tell(net, why, &flow);
        }
    }
}

/// A packet is dropped; `reason` is the name of the counter it goes to.
#[cold]
pub(crate) fn drop(net: &Net, skb: &Skb<'_>, reason: &'static CStr) {
    // SAFETY: It only looks whether anybody listens.
    if unsafe { bindings::rvs_traces_drop() } {
        // SAFETY: The packet is ours, and the reason a C string that lives on.
        unsafe { bindings::rvs_trace_drop(skb.as_raw(), number(net), reason.as_char_ptr()) };
    }
}

/// A dest was changed.
pub(crate) fn dest_change(net: &Net, change: Change, dest: impl FnOnce() -> Dest) {
    // SAFETY: It only looks whether anybody listens.
    if !unsafe { bindings::rvs_traces_dest_change() } {
        return;
    }
    let dest = dest();
    let record = bindings::rvs_trace_dest {
        vip: dest.vip.map_or([0; 16], |vip| mapped(vip.ip())),
        dest: mapped(dest.dest.ip()),
        netns: number(net),
        mark: dest.mark,
        weight: dest.weight,
        vip_port: dest.vip.map_or(0, |vip| vip.port()),
        dest_port: dest.dest.port(),
        protocol: dest.protocol,
        mode: dest.mode,
        change: change as u8,
    };
    // SAFETY: The record lives until the call returns.
    unsafe { bindings::rvs_trace_dest_change(&record) };
}

// SPDX-License-Identifier: GPL-2.0

//! What policy routing is told of a reply to a client: what it is told of a packet that this host
//! forwards, but for the device that it came by, as `ip_vs` has it.

use core::{
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
};

use crate::{
    bindings,
    kapi::{netns::Net, skb::Skb},
};

/// A reply, as its client will see it.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    skb: *const bindings::sk_buff,
    protocol: u8,
    source: SocketAddr,
    client: SocketAddr,
    asked: bool,
    _skb: PhantomData<&'a ()>,
}

impl<'a> Reply<'a> {
    /// `skb` is the packet as it came; its client knows it as one from `source`.
    pub(crate) fn new(
        skb: &'a Skb<'_>,
        protocol: u8,
        source: SocketAddr,
        client: SocketAddr,
    ) -> Self {
        Self {
            skb: skb.as_raw(),
            protocol,
            source,
            client,
            asked: false,
            _skb: PhantomData,
        }
    }

    /// The same, where rules may ask for its mark and its DSCP.
    pub(crate) fn asked(self, asked: bool) -> Self {
        Self { asked, ..self }
    }

    /// The address that its client has asked.
    pub(super) fn source(&self) -> IpAddr {
        self.source.ip()
    }

    /// Its client.
    pub(super) fn client(&self) -> IpAddr {
        self.client.ip()
    }

    /// What C takes, for as long as the packet lives.
    pub(super) fn raw(&self) -> bindings::rvs_reply {
        bindings::rvs_reply {
            skb: self.skb,
            sport: self.source.port().to_be(),
            dport: self.client.port().to_be(),
            protocol: self.protocol,
            asked: self.asked,
        }
    }

    /// The IP version that it leaves with.
    pub(crate) fn version(&self) -> u8 {
        if self.client.is_ipv6() {
            6
        } else {
            4
        }
    }
}

/// Changes when routes of an IP version or rules of policy routing have changed.
pub(crate) fn generation(net: &Net, version: u8) -> u32 {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_route_generation(net.as_raw(), version) }
}

/// Whether rules of policy routing ask for what differs between the packets of a flow: the mark or
/// the DSCP.
pub(crate) fn rules_ask(net: &Net, version: u8) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_rules_ask(net.as_raw(), version) }
}

/// Whether rules of policy routing ask for the mark.
pub(crate) fn rules_ask_mark(net: &Net, version: u8) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_rules_ask_mark(net.as_raw(), version) }
}

/// Whether the host has rules in PREROUTING between two priorities, which may mark packets.
pub(crate) fn has_rules_between(net: &Net, version: u8, after: i32, before: i32) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_has_rules_between(net.as_raw(), version, after, before) }
}

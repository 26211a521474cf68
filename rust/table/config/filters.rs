// SPDX-License-Identifier: GPL-2.0

//! Which packets are let in: those that services and connections are there for.

use core::net::IpAddr;

use super::{
    super::{
        activity::goes_by_mark,
        filter::{header_word, AddressFilter, Gate},
        live::Live,
    },
    guard::ConfigGuard,
};

impl ConfigGuard<'_> {
    /// Lets exactly those packets in that services and connections are there for. That takes a look at
    /// all there is, so the worker does it; what is new is let in by [`Self::let_in`] at once.
    pub(super) fn update_filters(&self) {
        let config = &*self.config;
        let services = config.services.iter().map(|s| s.id);
        let removed = config.removed.iter().map(|r| r.dest.service());
        let ids = Iterator::chain(services, removed);
        let addresses = ids.clone().filter_map(|id| id.address());
        let addresses = Iterator::chain(addresses, self.locals_in_use());
        set(self.live, |gate| &gate.virtual_addresses, addresses);
        // Those that marked flows came to, while there may be connections of such.
        for (gate, version) in [(&self.live.gate_v4, 4), (&self.live.gate_v6, 6)] {
            if !ids.clone().any(|id| goes_by_mark(&id, version)) {
                gate.virtual_addresses.forget_added();
            }
        }
        let members = config.services.iter().flat_map(|s| s.dests.iter());
        let dests = Iterator::chain(
            members.map(|member| &member.dest),
            config.removed.iter().map(|removed| &removed.dest),
        );
        let translated = dests.filter(|dest| dest.is_translated());
        let translated = translated.map(|dest| dest.id().address);
        set(self.live, |gate| &gate.translated_dests, translated);
    }

    /// Lets packets to `address` in, or those from a dest that `is_translated`.
    pub(super) fn let_in(&self, address: IpAddr, is_translated: bool) {
        let gate = match address.is_ipv6() {
            true => &self.live.gate_v6,
            false => &self.live.gate_v4,
        };
        let filter = match is_translated {
            true => &gate.translated_dests,
            false => &gate.virtual_addresses,
        };
        filter.include(header_word(address));
    }

    /// Addresses that dests may answer to: those of all pools, and those that have left them.
    fn locals_in_use(&self) -> impl Iterator<Item = IpAddr> + Clone + '_ {
        let config = &*self.config;
        let services = config.services.iter();
        let of_services = services.flat_map(|service| service.locals.addresses());
        let pools = Iterator::chain(of_services, config.locals.addresses());
        let all = Iterator::chain(pools, config.left_locals.addresses());
        all.copied()
    }
}

/// Makes a filter of each family hold exactly those of `addresses` that are of it.
fn set(
    live: &Live,
    filter: fn(&Gate) -> &AddressFilter,
    addresses: impl Iterator<Item = IpAddr> + Clone,
) {
    let v4 = addresses.clone().filter(IpAddr::is_ipv4);
    filter(&live.gate_v4).set(v4.map(header_word));
    let v6 = addresses.filter(IpAddr::is_ipv6);
    filter(&live.gate_v6).set(v6.map(header_word));
}

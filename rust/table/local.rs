// SPDX-License-Identifier: GPL-2.0

//! Local addresses: what FullNAT puts in the client's place, so that dests answer to this host.
//!
//! A service has a pool of its own, and the namespace has one for services whose own is empty.
//! Packets see a pool as part of its service's schedule.
//!
//! Dests go on answering to an address that has left its pool as long as connections use it. Which
//! do is known to none but the connections, so [`Left`] keeps all such addresses until the
//! namespace has no connection at all. An address too many costs those packets to it that belong
//! to nothing a look-up that misses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kernel::prelude::*;

use crate::{
    engine::{change::ChangeError, family::Address, spec},
    kapi::{broken::broken, netns::Net, rcu::Moment, route},
};

/// Local addresses in the order they were added, each once.
pub(crate) struct Pool(KVVec<IpAddr>);

impl Pool {
    /// One without addresses.
    pub(super) const fn new() -> Self {
        Self(KVVec::new())
    }

    /// Its addresses.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.0
    }

    /// Whether it has no addresses.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has this address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.position(address).is_some()
    }

    fn position(&self, address: IpAddr) -> Option<usize> {
        self.0.iter().position(|there| *there == address)
    }

    /// Adds an address of this host at the end.
    pub(super) fn add(&mut self, net: &Net, address: IpAddr) -> Result<(), ChangeError> {
        spec::validate_local(address)?;
        if self.contains(address) {
            return Err(ChangeError::LocalExists(address));
        }
        if !route::is_of_this_host(net, address) {
            return Err(ChangeError::NotOnThisHost(address));
        }
        let pushed = self.0.push(address, GFP_KERNEL_ACCOUNT);
        pushed.map_err(|_| ChangeError::NoMemory)
    }

    /// Takes back the last [`Pool::add`].
    pub(super) fn take_back_add(&mut self) {
        self.0.pop();
    }

    /// Removes an address; tells where it was.
    pub(super) fn remove(&mut self, address: IpAddr) -> Result<(usize, IpAddr), ChangeError> {
        let missing = ChangeError::NoLocal(address);
        let position = self.position(address).ok_or(missing)?;
        let address = self.0.remove(position).map_err(|_| missing)?;
        Ok((position, address))
    }

    /// Takes back a [`Pool::remove`].
    pub(super) fn take_back_remove(&mut self, position: usize, address: IpAddr) {
        // There is room where it was taken from.
        if self.0.insert_within_capacity(position, address).is_err() {
            broken!(c"no room for a local address where it was");
        }
    }

    /// The addresses that a service with this pool uses: these, or, of a family that has none of
    /// them, `default`'s.
    pub(super) fn or_default(&self, default: &Self) -> Result<Locals> {
        Ok(Locals {
            v4: self.of_family(default)?,
            v6: self.of_family(default)?,
        })
    }

    fn of_family<A: Address>(&self, default: &Self) -> Result<KVVec<A>> {
        let mut addresses = KVVec::new();
        for pool in [self, default] {
            for address in pool.0.iter().copied().filter_map(A::of) {
                addresses.push(address, GFP_KERNEL_ACCOUNT)?;
            }
            if !addresses.is_empty() {
                break;
            }
        }
        Ok(addresses)
    }
}

/// The local addresses that a service uses, in the order they were added.
pub(crate) struct Locals {
    v4: KVVec<Ipv4Addr>,
    v6: KVVec<Ipv6Addr>,
}

/// A family whose local addresses are kept.
pub(crate) trait LocalAddress: Address {
    /// Those of the family.
    fn of_service(locals: &Locals) -> &[Self];
}

impl LocalAddress for Ipv4Addr {
    fn of_service(locals: &Locals) -> &[Self] {
        &locals.v4
    }
}

impl LocalAddress for Ipv6Addr {
    fn of_service(locals: &Locals) -> &[Self] {
        &locals.v6
    }
}

/// Addresses that have left their pools, while connections may have them.
pub(super) struct Left {
    addresses: KVVec<IpAddr>,
    /// When the last of them left: those who were reading then may still give it to a connection.
    at: Option<Moment>,
}

impl Left {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            addresses: KVVec::new(),
            at: None,
        }
    }

    /// The addresses.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Makes room for `more` addresses.
    pub(super) fn reserve(&mut self, more: usize) -> Result {
        Ok(self.addresses.reserve(more, GFP_KERNEL_ACCOUNT)?)
    }

    /// Keeps addresses that packets no longer see, but for those that are on their way; there is
    /// room for them.
    pub(super) fn keep(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            let is_new = !self.addresses.contains(address);
            if is_new && self.addresses.push_within_capacity(*address).is_err() {
                broken!(c"no room for a local address that was removed");
            }
            self.at = Some(Moment::now());
        }
    }

    /// Forgets them when the namespace has no connections and those get none that begin now; true
    /// when it did. `connections` is asked last, so that it counts what the last readers began.
    pub(super) fn forget(&mut self, connections: impl FnOnce() -> u32) -> bool {
        let is_over = self.at.is_some_and(Moment::has_no_readers) && connections() == 0;
        if is_over {
            *self = Self::new();
        }
        is_over
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Dests of connections that other directors tell of: those that there are, those that were removed,
//! and those that are not configured yet. The latter are kept as if they had been removed: when they
//! are added, their connections find them. So are local addresses that are of no pool here.

use core::net::IpAddr;

use kernel::{error::Result, sync::Arc};

use super::{
    super::{
        connections::need_slabs, counters::Traffic, dest::Dest, local::Pool, peers::PeerCount,
        publication::Publication,
    },
    guard::ConfigGuard,
};
use crate::{
    engine::{
        helper::{ftp, Helper},
        spec::{DestId, DestSpec, Mode, Protocol, ServiceId},
        sync::{Connection, Template},
        threshold::Thresholds,
        tunnel::Tunnel,
    },
    kapi::rcu::Rcu,
};

/// Removed dests beyond which none is kept that was never there.
const HELD_MAX: usize = 4096;

/// Local addresses without a pool beyond which none is kept.
const LOCALS_MAX: usize = 4096;

impl ConfigGuard<'_> {
    /// The dest of a connection that was told, among those that are configured.
    pub(in crate::table) fn present_dest(&self, told: &Connection) -> Option<Arc<Dest>> {
        let mut services = services_of(told).into_iter().flatten();
        let own = services.find_map(|id| {
            let service = self.config.services.find(&id)?;
            let mut ids = dests_of(told).into_iter();
            let member = ids.find_map(|id| service.dests.find(&id))?;
            Some(member.dest.clone())
        });
        own.or_else(|| self.dest_of_helper(told))
    }

    /// The dest of a connection that was told of by the helper of another there: a dest of that address.
    fn dest_of_helper(&self, told: &Connection) -> Option<Arc<Dest>> {
        helping(told).find_map(|id| {
            let service = self.config.services.find(&id)?;
            let mut dests = service.dests.iter().map(|member| &member.dest);
            let is_there = |dest: &&Arc<Dest>| dest.id().address == told.dest.ip();
            let helps = service.spec.helper != Helper::Off;
            helps.then(|| dests.find(is_there).cloned())?
        })
    }

    /// Whether a helper follows a connection that was told: not where another has told of it.
    pub(in crate::table) fn is_helped(&self, dest: &Dest, told: &Connection) -> bool {
        let service = self.config.services.find(&dest.service());
        let helps = service.is_some_and(|service| service.spec.helper != Helper::Off);
        let port = dest.port(told.virtual_address.port());
        helps && told.protocol == Protocol::Tcp && port == told.dest.port()
    }

    /// The dest of a connection that was told. Kept for it where it is not there yet.
    pub(in crate::table) fn dest_of(&mut self, told: &Connection) -> Result<Arc<Dest>, PeerCount> {
        match self.present_dest(told) {
            Some(dest) => Ok(dest),
            None => self.absent_dest(told),
        }
    }

    #[inline(never)]
    fn absent_dest(&mut self, told: &Connection) -> Result<Arc<Dest>, PeerCount> {
        for service in services_of(told).into_iter().flatten() {
            for id in dests_of(told) {
                if let Some(dest) = self.config.removed.gone(service, id, told.mode) {
                    return Ok(dest);
                }
            }
        }
        if self.config.removed.len() >= HELD_MAX {
            return Err(PeerCount::Full);
        }
        self.hold_dest(told).map_err(|_| PeerCount::Full)
    }

    fn hold_dest(&mut self, told: &Connection) -> Result<Arc<Dest>> {
        let mut ids = services_of(told).into_iter().flatten();
        let there = ids
            .clone()
            .find(|id| self.config.services.find(id).is_some());
        let Some(service) = there.or_else(|| ids.next()) else {
            return Err(kernel::error::code::EINVAL);
        };
        let id = DestId {
            address: told.dest.ip(),
            port: match service.port() {
                0 => 0,
                _ => told.dest.port(),
            },
        };
        self.hold(service, id, told.mode)
    }

    /// Keeps a dest that is not there yet.
    fn hold(&mut self, service: ServiceId, id: DestId, mode: Mode) -> Result<Arc<Dest>> {
        let published = if let Some(there) = self.config.services.find(&service) {
            (*there.published).clone()
        } else if let Some(removed) = self.config.removed.of_service(&service) {
            removed.published.clone()
        } else {
            (*Publication::new()?).clone()
        };
        let spec = DestSpec {
            mode,
            weight: 0,
            thresholds: Thresholds::default(),
            tunnel: Tunnel::IPIP,
        };
        self.config.removed.reserve(1)?;
        need_slabs(service.is_ipv6(), id.address.is_ipv6())?;
        let dest = Dest::new(service, id, spec, published.clone())?;
        self.retire_dest(dest.clone(), published, Traffic::default());
        Ok(dest)
    }

    /// The dest of a connection that was recorded. Kept for it, which the second part says, where it is
    /// not there; none where no more are kept.
    pub(in crate::table) fn dest_of_record(
        &mut self,
        (service, id): (ServiceId, DestId),
        mode: Mode,
    ) -> Option<(Arc<Dest>, bool)> {
        let there = self.config.services.find(&service);
        if let Some(member) = there.and_then(|there| there.dests.find(&id)) {
            return Some((member.dest.clone(), false));
        }
        if let Some(dest) = self.config.removed.gone(service, id, mode) {
            return Some((dest, true));
        }
        if self.config.removed.len() >= HELD_MAX {
            return None;
        }
        Some((self.hold(service, id, mode).ok()?, true))
    }

    /// Lets answers of dests in to the local address of a connection that was not begun here, where it
    /// is of no pool: another director's, or one that was removed before this module was there.
    pub(in crate::table) fn expect_answers(&mut self, dest: &Dest, local: IpAddr) -> Result {
        let config = &mut *self.config;
        let has = |pool: &Pool| pool.contains(local);
        let service = || config.services.find(&dest.service());
        let is_expected = dest.mode() != Mode::FullNat
            || config.left_locals.addresses().contains(&local)
            || has(&config.locals)
            || service().is_some_and(|service| has(&service.locals));
        if is_expected {
            return Ok(());
        }
        if config.left_locals.addresses().len() >= LOCALS_MAX {
            return Err(kernel::error::code::ENOSPC);
        }
        config.left_locals.reserve(1)?;
        self.retire_locals(&[local]);
        self.let_in(local, false);
        Ok(())
    }

    /// Takes a template that was told, of a call where there is one.
    pub(in crate::table) fn learn_template(&self, told: &Template<'_>) -> PeerCount {
        let Some(service) = self.config.services.find(&told.service) else {
            return PeerCount::Misfit;
        };
        let guard = kernel::sync::rcu::read_lock();
        match service.published.get(Rcu::of(&guard)) {
            Some(schedule) => schedule.learn(told),
            None => PeerCount::Misfit,
        }
    }
}

/// The services that a connection may be of, the likeliest first. Packets of a service at an address
/// may have a mark too.
fn services_of(told: &Connection) -> [Option<ServiceId>; 3] {
    let end = told.virtual_address;
    let at = |port| ServiceId::Virtual {
        protocol: told.protocol,
        address: end.ip(),
        port,
    };
    let marked = (told.mark != 0).then_some(ServiceId::Marked {
        mark: told.mark,
        ipv6: end.is_ipv6(),
    });
    [marked, Some(at(end.port())), Some(at(0))]
}

/// The services whose helper may have told of a connection: FTP's at its port, and at the one behind that from
/// which a dest has opened it.
fn helping(told: &Connection) -> impl Iterator<Item = ServiceId> + '_ {
    let end = told.virtual_address;
    let ports = [Some(ftp::PORT), end.port().checked_add(1)];
    let is_flow = told.protocol == Protocol::Tcp;
    ports
        .into_iter()
        .flatten()
        .filter(move |_| is_flow)
        .map(move |port| ServiceId::Virtual {
            protocol: Protocol::Tcp,
            address: end.ip(),
            port,
        })
}

/// What its dest may be called.
fn dests_of(told: &Connection) -> [DestId; 2] {
    let address = told.dest.ip();
    [told.dest.port(), 0].map(|port| DestId { address, port })
}

impl super::removed::RemovedDests {
    /// One of that id and mode.
    fn gone(&mut self, service: ServiceId, id: DestId, mode: Mode) -> Option<Arc<Dest>> {
        let mut of = self.of(service, id);
        let found = of.find(|removed| removed.dest.mode() == mode)?;
        Some(found.dest.clone())
    }
}

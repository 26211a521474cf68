// SPDX-License-Identifier: GPL-2.0

//! What packets see of a namespace, and what they change: all but the configuration.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel::prelude::*;

use super::{
    callers::Callers,
    client_routes::ClientRoutes,
    complaints::Complaints,
    connections::{Conn, Connections},
    counters::{Counter, EventCounters},
    defence::Defence,
    dest::Dest,
    estimation::Estimation,
    expected::Expected,
    filter::Gate,
    index::Index,
    peers::Peers,
    schedule::Schedule,
    settings::{LiveSettings, Settings},
    templates::Total,
    waking::Waking,
};
use crate::{
    engine::{family::Tuple, hash::Key},
    kapi::{
        memcg::{Charge, Owner},
        netfilter,
        netns::Net,
        random,
        rcu::{Rcu, RcuSlot},
        route,
        trace::End,
    },
};

/// That of one namespace.
pub(crate) struct Live {
    /// First, as every IPv4 packet asks it.
    pub(crate) gate_v4: Gate,
    /// What every IPv6 packet asks.
    pub(crate) gate_v6: Gate,
    /// Ways back to clients.
    pub(crate) ways: ClientRoutes,
    /// The connections.
    pub(crate) connections: Connections,
    /// How many templates of persistence there are.
    pub(super) templates: Total,
    /// Settings as packets need them.
    pub(crate) settings: LiveSettings,
    /// What is given up when memory runs short.
    pub(crate) defence: Defence,
    /// Counts of what happened.
    pub(crate) counters: EventCounters,
    /// What other directors are told.
    pub(crate) peers: Peers,
    /// Flows that helpers have read of.
    pub(super) expected: Expected,
    pub(super) index: RcuSlot<Index>,
    /// Dests that begin calls themselves; none where no service has calls.
    pub(super) callers: RcuSlot<Callers>,
    pub(super) service_key: Key,
    /// For the sequence numbers of FullNAT connections, which other hosts see.
    pub(super) sequence_key: Key,
    net: &'static Net,
    /// Who pays for the memory of connections, where that is not the host.
    owner: Owner,
    pub(super) waking: Waking,
    pub(super) complaints: Complaints,
    pub(super) estimation: Estimation,
    /// Whether packets of IPv4 and IPv6 met rules or IPsec policies on their way out when the worker
    /// last looked.
    output_rules: [AtomicBool; 2],
    generation: AtomicU32,
}

impl Live {
    /// That of a namespace with nothing in it, where it is to be: it is large. May sleep.
    pub(super) fn init(net: &'static Net) -> impl Init<Self, Error> {
        init!(Self {
            gate_v4: Gate::new(),
            gate_v6: Gate::new(),
            ways: ClientRoutes::new()?,
            connections: Connections::new(random_key(), net)?,
            templates: Total::new()?,
            settings: LiveSettings::new(&Settings::DEFAULT, net.is_first()),
            defence: Defence::new(),
            counters: EventCounters::new()?,
            peers: Peers::new()?,
            expected: Expected::new()?,
            index: RcuSlot::empty(),
            callers: RcuSlot::empty(),
            service_key: random_key(),
            sequence_key: random_key(),
            net,
            owner: Owner::new(),
            waking: Waking::new(),
            complaints: Complaints::new(),
            estimation: Estimation::new(),
            output_rules: [const { AtomicBool::new(false) }; 2],
            generation: AtomicU32::new(1),
        }? Error)
    }

    /// The namespace.
    #[inline]
    pub(crate) fn net(&self) -> &'static Net {
        self.net
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn next_generation(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether rates of traffic are estimated, or stay as they are.
    pub(crate) fn estimate_rates(&self, wanted: bool) {
        self.estimation.suspend(!wanted);
    }

    /// The schedule of the service that a new flow is for.
    pub(crate) fn schedule<'a>(&self, tuple: &impl Tuple, rcu: Rcu<'a>) -> Option<&'a Schedule> {
        self.index.get(rcu)?.find(tuple.service_key(), rcu)
    }

    /// The schedule of the service that was added first of those of a packet's destination, where
    /// ICMP messages are to find it.
    pub(crate) fn schedule_of_address<'a>(
        &self,
        tuple: &impl Tuple,
        rcu: Rcu<'a>,
    ) -> Option<&'a Schedule> {
        let address = tuple.service_key().of_address();
        self.index.get(rcu)?.find_exactly(address, rcu)
    }

    /// Whether packets with that destination are for an address of a service.
    pub(crate) fn is_virtual(&self, tuple: &impl Tuple, rcu: Rcu<'_>) -> bool {
        self.schedule_of_address(tuple, rcu).is_some()
    }

    /// The schedule of the service of new flows with that mark, of that IP version.
    pub(crate) fn marked_schedule<'a>(
        &self,
        mark: u32,
        version: u8,
        rcu: Rcu<'a>,
    ) -> Option<&'a Schedule> {
        if mark == 0 {
            return None;
        }
        self.index.get(rcu)?.find_marked(mark, version, rcu)
    }

    /// Charges whoever set the namespace up for connections and what else flows that begin leave,
    /// until the result is dropped.
    #[inline]
    pub(crate) fn charge(&self) -> Option<Charge<'_>> {
        self.owner.charge()
    }

    /// The present task sets the namespace up. The first one is the host's.
    pub(super) fn is_set_up(&self) {
        if !self.net.is_first() {
            self.owner.set_to_caller();
        }
    }

    /// Ends a connection.
    pub(crate) fn disconnect(&self, conn: &Conn, rcu: Rcu<'_>) {
        if self.connections.remove(conn, End::Replaced, rcu) {
            self.has_ended(conn, rcu);
        }
        self.waking.wake();
    }

    /// There is something to clear up, or to look after, before long.
    pub(crate) fn expect_work(&self) {
        self.waking.wake();
    }

    /// Counts that a way is looked up. One that is kept is let go of by the worker, which goes to
    /// sleep where there are no connections.
    #[cold]
    pub(crate) fn looks_for_way(&self) {
        self.counters.count(Counter::RouteRefreshes);
        self.expect_work();
    }

    /// Notes that no local address has a port free toward a dest, or that there is no address.
    #[cold]
    pub(super) fn exhausted(&self, dest: &Dest, has_addresses: bool) {
        dest.failures().lacks_port(has_addresses);
        self.complaints.note();
        self.waking.wake();
    }

    /// How many chains or tables of rules there are in INPUT that packets to services do not meet.
    pub(super) fn input_rules(&self) -> u32 {
        let gates = [(&self.gate_v4, 4), (&self.gate_v6, 6)];
        let ahead = gates.iter().filter(|(gate, _)| gate.is_ahead_of_input());
        let rules = ahead.map(|(_, version)| netfilter::input_rules(self.net, *version));
        rules.fold(0, u32::saturating_add)
    }

    /// Whether rules or IPsec policies for what leaves the host have come or gone since this was last
    /// asked: each way knows from its look-up whether there are any.
    pub(super) fn have_output_rules_changed(&self) -> bool {
        let mut changed = false;
        for (known, version) in self.output_rules.iter().zip([4, 6]) {
            let rules = route::has_output_rules(self.net, version);
            changed |= known.swap(rules, Ordering::Relaxed) != rules;
        }
        changed
    }

    /// Whether there are connections, or some to be freed.
    pub(super) fn is_busy(&self) -> bool {
        self.connections.count() > 0 || self.connections.has_dead()
    }
}

/// A key that nobody can guess.
pub(super) fn random_key() -> Key {
    Key::new(random::u64(), random::u64())
}

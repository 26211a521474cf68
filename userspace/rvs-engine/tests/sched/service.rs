// SPDX-License-Identifier: GPL-2.0

//! What the kernel's side keeps for one service, on the host.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use rvs_engine::sched::{by_name, Flow, Identity, Live, Options, Plan, Scheduler, View, GONE};
use rvs_engine::tuple::TupleV4;

/// A dest by name, so that it is known again after a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dest {
    pub name: u32,
    pub weight: u32,
    pub last_weight: u32,
    pub overloaded: bool,
    pub active: u32,
    pub inactive: u32,
}

impl Dest {
    pub fn new(name: u32, weight: u32) -> Self {
        Self {
            name,
            weight,
            last_weight: weight,
            overloaded: false,
            active: 0,
            inactive: 0,
        }
    }

    pub fn set_weight(&mut self, weight: u32) {
        self.weight = weight;
        if weight > 0 {
            self.last_weight = weight;
        }
    }

    pub fn overhead(&self) -> u128 {
        u128::from(self.active) * 257 + u128::from(self.inactive)
    }

    pub fn identity(&self) -> Identity {
        Identity {
            address: 0x0a00_0000 + self.name,
            port: 80,
            last_weight: self.last_weight,
        }
    }
}

/// Dests of these weights, named by their place.
pub fn weighted(weights: &[u32]) -> Vec<Dest> {
    let named = (0..).zip(weights);
    named
        .map(|(name, &weight)| Dest::new(name, weight))
        .collect()
}

/// A flow that differs from others in every part.
pub fn flow(number: u32) -> Flow {
    let client = Ipv4Addr::from(0xc633_6400 + number % 251);
    let port = 1024 + (number % 60_000) as u16;
    let address = Ipv4Addr::from(0xcb00_7100 + number % 3);
    Flow::of(&TupleV4::new(
        SocketAddrV4::new(client, port),
        SocketAddrV4::new(address, 80),
        6,
    ))
}

/// What changes of a dest, as the kernel keeps it.
#[derive(Default)]
struct Counts {
    active: AtomicU32,
    inactive: AtomicU32,
    overloaded: AtomicBool,
}

pub struct Service {
    pub scheduler: &'static dyn Scheduler,
    pub dests: Vec<Dest>,
    pub options: Options,
    pub thresholds: bool,
    pub state: Vec<AtomicU64>,
    pub seconds: AtomicU32,
    seed: AtomicU64,
    weights: Vec<u32>,
    table: Vec<u32>,
    counts: Vec<Counts>,
}

impl Live for Service {
    fn active(&self, index: u32) -> u32 {
        self.counts[index as usize].active.load(Relaxed)
    }
    fn inactive(&self, index: u32) -> u32 {
        self.counts[index as usize].inactive.load(Relaxed)
    }
    fn is_overloaded(&self, index: u32) -> bool {
        assert!(self.thresholds, "asked although nobody has a threshold");
        self.counts[index as usize].overloaded.load(Relaxed)
    }
    fn now(&self) -> u32 {
        self.seconds.load(Relaxed)
    }
    fn random(&self) -> u64 {
        // SplitMix64.
        let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Service {
    pub fn with(name: &str, dests: Vec<Dest>, options: Options, thresholds: bool) -> Self {
        let scheduler = by_name(name).unwrap();
        let weights: Vec<u32> = dests.iter().map(|d| d.weight).collect();
        let identities: Vec<Identity> = dests.iter().map(Dest::identity).collect();
        let needs = scheduler.needs(dests.len(), &options);
        let mut table = vec![0xdead_beef; needs.table];
        let mut scratch = vec![0xdead_beef; needs.scratch];
        let plan = Plan {
            weights: &weights,
            identities: &identities,
            options: &options,
        };
        scheduler.build(&plan, &mut table, &mut scratch);
        let counts = dests.iter().map(|dest| Counts {
            active: dest.active.into(),
            inactive: dest.inactive.into(),
            overloaded: dest.overloaded.into(),
        });
        let service = Self {
            scheduler,
            counts: counts.collect(),
            dests,
            options,
            thresholds,
            state: (0..needs.state).map(|_| AtomicU64::new(0)).collect(),
            seconds: AtomicU32::new(0),
            seed: AtomicU64::new(1),
            weights,
            table,
        };
        service.scheduler.start(&service.view());
        service
    }

    /// No dest has a threshold.
    pub fn weighted(name: &str, weights: &[u32]) -> Self {
        Self::with(name, weighted(weights), small(), false)
    }

    pub fn view(&self) -> View<'_> {
        View {
            weights: &self.weights,
            table: &self.table,
            state: &self.state,
            live: self,
            options: &self.options,
            thresholds: self.thresholds,
        }
    }

    /// The index picked, which is checked to be of a dest that takes something.
    pub fn pick_index(&self, flow: &Flow) -> Option<u32> {
        let index = self.scheduler.pick(&self.view(), flow)?;
        let dest = self.dests[index as usize];
        assert!(dest.weight > 0, "{index} has no weight");
        Some(index)
    }

    pub fn pick_for(&self, flow: &Flow) -> Option<u32> {
        let index = self.pick_index(flow)?;
        assert!(!self.dests[index as usize].overloaded || !self.thresholds);
        Some(self.dests[index as usize].name)
    }

    pub fn pick(&self) -> Option<u32> {
        self.pick_for(&flow(0))
    }

    pub fn picks(&self, count: usize) -> Vec<Option<u32>> {
        (0..count).map(|_| self.pick()).collect()
    }

    /// Tells the scheduler of a dest's change.
    fn changed(&self, index: usize) {
        self.scheduler.changed(&self.view(), index as u32);
    }

    pub fn set_counts(&mut self, index: usize, active: u32, inactive: u32) {
        let dest = &mut self.dests[index];
        (dest.active, dest.inactive) = (active, inactive);
        self.counts[index].active.store(active, SeqCst);
        self.counts[index].inactive.store(inactive, SeqCst);
        if self.scheduler.follows_counts() {
            self.changed(index);
        }
    }

    pub fn set_overloaded(&mut self, index: usize, on: bool) {
        self.dests[index].overloaded = on;
        self.counts[index].overloaded.store(on, SeqCst);
        self.changed(index);
    }

    pub fn overload_all(&mut self, on: bool) {
        (0..self.dests.len()).for_each(|index| self.set_overloaded(index, on));
    }

    /// A connection begins (1) or ends (-1), on whatever CPU; `dests` is not kept up.
    pub fn count(&self, index: u32, active: bool, by: i32) {
        let counts = &self.counts[index as usize];
        let count = if active {
            &counts.active
        } else {
            &counts.inactive
        };
        count.fetch_add(by as u32, SeqCst);
        if self.scheduler.follows_counts() {
            self.changed(index as usize);
        }
    }

    /// `active` and `inactive` of all dests.
    pub fn counts(&self) -> Vec<(u32, u32)> {
        let load = |counts: &Counts| (counts.active.load(SeqCst), counts.inactive.load(SeqCst));
        self.counts.iter().map(load).collect()
    }

    /// Goes on with other dests.
    pub fn change(&mut self, dests: Vec<Dest>) {
        let new = Self::with(self.scheduler.name(), dests, self.options, self.thresholds);
        let index = |dest: &Dest| new.dests.iter().position(|d| d.name == dest.name);
        let map: Vec<u32> = self
            .dests
            .iter()
            .map(|dest| index(dest).map_or(GONE, |i| i as u32))
            .collect();
        self.scheduler.carry(&self.view(), &map, &new.view());
        new.seconds.store(self.seconds.load(Relaxed), Relaxed);
        new.seed.store(self.seed.load(Relaxed), Relaxed);
        *self = new;
        for index in 0..self.dests.len() {
            self.changed(index);
        }
    }
}

/// Options that make few words.
pub fn small() -> Options {
    Options {
        addresses: 100,
        mh_size: 251,
        ..Options::DEFAULT
    }
}

/// Numbers that look random, the same each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A service's dests as the scheduler sees them.

use core::{
    net::IpAddr,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::{
    counters::EarlyDrops,
    dest::Dest,
    local::Locals,
    peers::PeerCount,
    templates::{Candidates, Templates},
};
use crate::{
    engine::{
        family::Tuple,
        helper::Helper,
        persistence::{Engine, Persistence, Whom},
        sched::{Flow, Live, Options, Plan, Scheduler, View, GONE},
        service::ServiceSpec,
        slow,
        spec::{DestId, Mode},
        sync::Template,
    },
    kapi::{random, time},
};

/// A snapshot of a service's dests, newest first as `ip_vs` lists them. Never changed once it is
/// published, but for the scheduler's state.
pub(crate) struct Schedule {
    scheduler: &'static dyn Scheduler,
    options: Options,
    /// Whether any dest has one.
    thresholds: bool,
    /// Whether flows are scheduled packet by packet.
    one_packet: bool,
    /// Whether a dest has less than its weight because it started not long ago.
    warming: bool,
    /// Where networks of clients go, if they stay with a dest.
    templates: Option<Arc<Templates>>,
    persistence: Persistence,
    /// As in the settings.
    toa: u8,
    /// As in the settings.
    helper: Helper,
    dests: KVVec<Arc<Dest>>,
    weights: KVVec<u32>,
    table: KVVec<u32>,
    state: KVVec<AtomicU64>,
    locals: Locals,
    early_drops: EarlyDrops,
}

impl Schedule {
    /// A snapshot of `dests`, that many, which come in the order they were added, for a service of `spec`,
    /// whose scheduler is `scheduler`, set up with `options`, with the local addresses that FullNAT
    /// uses, and the templates of persistence.
    pub(super) fn new<'a>(
        spec: &ServiceSpec,
        (scheduler, options): (&'static dyn Scheduler, Options),
        (len, dests): (usize, impl DoubleEndedIterator<Item = &'a Arc<Dest>>),
        locals: Locals,
        templates: Option<Arc<Templates>>,
        early_drops: &EarlyDrops,
    ) -> Result<Self> {
        let needs = scheduler.needs(len, &options);
        let mut new = Self {
            scheduler,
            options,
            thresholds: false,
            one_packet: spec.one_packet,
            warming: false,
            templates,
            persistence: spec.persistence,
            toa: spec.toa,
            helper: spec.helper,
            dests: KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?,
            weights: KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?,
            table: KVVec::from_elem(0, needs.table, GFP_KERNEL_ACCOUNT)?,
            state: KVVec::with_capacity(needs.state, GFP_KERNEL_ACCOUNT)?,
            locals,
            early_drops: early_drops.clone(),
        };
        for _ in 0..needs.state {
            new.state.push(AtomicU64::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        let mut identities = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        for dest in dests.rev() {
            new.dests.push(dest.clone(), GFP_KERNEL_ACCOUNT)?;
            let spec = dest.spec();
            new.weights.push(spec.weight, GFP_KERNEL_ACCOUNT)?;
            new.thresholds |= spec.thresholds.upper != 0;
            identities.push(dest.identity(), GFP_KERNEL_ACCOUNT)?;
        }
        new.warm_up(spec.slow_start);
        let mut scratch = KVVec::from_elem(0, needs.scratch, GFP_KERNEL_ACCOUNT)?;
        let plan = Plan {
            weights: &new.weights,
            identities: &identities,
            options: &options,
        };
        scheduler.build(&plan, &mut new.table, &mut scratch);
        new.scheduler.start(&new.view());
        Ok(new)
    }

    /// Lowers the weights of dests that started less than `period` seconds ago.
    fn warm_up(&mut self, period: u32) {
        let cold = |dest: &Arc<Dest>| dest.life().warm_for().filter(|seconds| *seconds < period);
        let warming = self.dests.iter().any(|dest| cold(dest).is_some());
        if !warming || !self.scheduler.takes_shares() {
            return;
        }
        self.warming = true;
        let scale = slow::scale(self.weights.iter().copied().max().unwrap_or(0));
        for (weight, dest) in self.weights.iter_mut().zip(&self.dests) {
            let seconds = cold(dest).unwrap_or(period);
            *weight = slow::weight(*weight, scale, seconds, period);
        }
    }

    /// Whether a dest has less than its weight for now.
    pub(super) fn is_warming(&self) -> bool {
        self.warming
    }

    /// The local addresses that FullNAT has for this service.
    pub(crate) fn locals(&self) -> &Locals {
        &self.locals
    }

    /// Counts a packet of its service that is dropped before a dest was chosen.
    pub(crate) fn count_drop(&self) {
        self.early_drops.count();
    }

    /// Whether clients stay with their dest.
    pub(crate) fn is_persistent(&self) -> bool {
        self.templates.is_some()
    }

    /// How many dests there are.
    pub(super) fn len(&self) -> usize {
        self.dests.len()
    }

    /// Lets this snapshot go on where `old` stands, if the rule is the same. `map` is empty and has
    /// room for as many words as `old` has dests.
    ///
    /// Both list the dests they share in the same order, so one pass over each finds them.
    pub(super) fn carry_on(&self, old: &Self, map: &mut KVVec<u32>) {
        if old.scheduler.name() != self.scheduler.name() {
            return;
        }
        let mut rest = (0u32..).zip(self.dests.iter()).peekable();
        for dest in &old.dests {
            // Those that are newer were added since.
            while rest
                .next_if(|(_, other)| other.order() > dest.order())
                .is_some()
            {}
            let index = match rest.next_if(|(_, other)| Arc::ptr_eq(dest, other)) {
                Some((index, _)) => index,
                None => GONE,
            };
            if map.push_within_capacity(index).is_err() {
                return;
            }
        }
        self.scheduler.carry(&old.view(), map, &self.view());
    }

    /// Lets the dests tell this snapshot of changes, and looks at them once.
    pub(super) fn settle(&self) {
        // A dest's counts say whether it is overloaded, which every scheduler has to be told.
        let follows = self.scheduler.follows_counts() || self.thresholds;
        for (index, dest) in (0u32..).zip(self.dests.iter()) {
            dest.note_published();
            dest.load().set_place(follows.then_some(index));
            if follows {
                self.scheduler.changed(&self.view(), index);
            }
        }
    }

    /// A dest that was told to be at `place` has other counts than before.
    pub(super) fn changed(&self, place: u32, dest: &Dest) {
        let there = self.dests.get(place as usize);
        // Places are told after the snapshot is published: it may be another's.
        if there.is_some_and(|there| ptr::eq(&**there, dest)) {
            self.scheduler.changed(&self.view(), place);
        }
    }

    fn view(&self) -> View<'_> {
        View {
            weights: &self.weights,
            table: &self.table,
            state: &self.state,
            live: self,
            options: &self.options,
            thresholds: self.thresholds,
        }
    }

    /// Whether every packet is scheduled on its own and no connection is kept.
    pub(crate) fn is_one_packet(&self) -> bool {
        self.one_packet
    }

    /// Kind of the option that tells the client's address; see [`ServiceSpec::toa`].
    pub(crate) fn toa(&self) -> u8 {
        self.toa
    }

    /// Whose commands are followed; see [`ServiceSpec::helper`].
    pub(super) fn helper(&self) -> Helper {
        self.helper
    }

    /// One of the dests, whether or not it takes new flows.
    pub(super) fn member(&self, id: DestId) -> Option<&Arc<Dest>> {
        self.dests.iter().find(|dest| dest.id() == id)
    }

    /// Where networks of clients may go, and for how long.
    fn candidates(&self) -> Candidates<'_> {
        Candidates {
            dests: &self.dests,
            rule: &self.persistence,
        }
    }

    /// Makes room by ending a template that is not assured. False when none was found.
    pub(super) fn give_up_template(&self) -> bool {
        let templates = self.templates.as_ref();
        templates.is_some_and(|templates| templates.give_up_one())
    }

    /// Whether calls of clients stay with their dest.
    pub(crate) fn keeps_calls(&self) -> bool {
        self.is_persistent() && self.persistence.engine == Engine::Sip
    }

    /// Takes a template that another director tells of.
    pub(super) fn learn(&self, told: &Template<'_>) -> PeerCount {
        let Some(templates) = &self.templates else {
            return PeerCount::Misfit;
        };
        let are_calls = self.persistence.engine == Engine::Sip;
        if are_calls == told.call.is_empty() {
            return PeerCount::Misfit;
        }
        // Of a service of all ports nobody says the dest's.
        let is_meant = |(_, dest): &(u32, &Arc<Dest>)| {
            let id = dest.id();
            id.address == told.dest.address && [0, id.port].contains(&told.dest.port)
        };
        let Some(chosen) = (0u32..).zip(self.dests.iter()).find(is_meant) else {
            return PeerCount::Misfit;
        };
        let left = match told.seconds {
            0 => self.persistence.seconds,
            seconds => seconds,
        };
        let whom = self.persistence.whom(told.network, told.call);
        let rule = (&self.persistence, told.assured);
        match templates.learn(whom, chosen, left, rule) {
            Ok(true) => PeerCount::Learned,
            Ok(false) => PeerCount::Updated,
            Err(_) => PeerCount::Full,
        }
    }

    /// A flow of `client` to `dest` was answered, about a call where calls stay.
    pub(super) fn assure(&self, (client, call): (IpAddr, &[u8]), dest: &Dest) {
        let whom = self.persistence.whom(client, call);
        let is_known = self.persistence.engine == Engine::Off || !whom.call.is_empty();
        if let Some(templates) = self.templates.as_ref().filter(|_| is_known) {
            templates.assure(whom, dest, self.candidates());
        }
    }

    /// The dest for a new flow of `client`: the one that its client, or where calls stay this call, stays
    /// with, or the scheduler's choice.
    pub(crate) fn pick(
        &self,
        flow: &Flow,
        (client, call): (IpAddr, &[u8]),
    ) -> Result<&Arc<Dest>, NoDest> {
        let index = match &self.templates {
            None => self.scheduler.pick(&self.view(), flow),
            Some(templates) => {
                let whom = self.persistence.whom(client, call);
                self.persistent(templates, flow, whom)?
            }
        };
        let dest = index.and_then(|index| self.dests.get(index as usize));
        dest.ok_or(NoDest::Usable)
    }

    /// A call that one of the dests has begun stays there, unless it has its place. An error when there is no
    /// memory.
    pub(super) fn keep_call(
        &self,
        (client, call): (IpAddr, &[u8]),
        dest: &Arc<Dest>,
    ) -> Result<(), NoDest> {
        let whom = self.persistence.whom(client, call);
        let mut places = (0u32..).zip(self.dests.iter());
        let place = places.find(|(_, other)| Arc::ptr_eq(other, dest));
        let (Some(templates), Some(chosen)) = (&self.templates, place) else {
            return Ok(());
        };
        if templates.find(whom, self.candidates()).is_none() {
            let kept = templates.keep(whom, chosen, self.candidates());
            kept.map_err(|_| NoDest::Memory)?;
        }
        Ok(())
    }

    /// A dest that takes new flows, for packets that are of none: the same for the same hash as long
    /// as the dests stay as they are.
    pub(crate) fn by_hash(&self, hash: u32) -> Option<&Arc<Dest>> {
        let len = self.dests.len();
        let start = (hash as usize).checked_rem(len)?;
        (0..len)
            .filter_map(|step| self.dests.get(start.wrapping_add(step) % len))
            .find(|dest| dest.spec().weight > 0 && !dest.load().is_too_much())
    }

    /// Which dest [`Schedule::pick`] would give, without taking a turn: the scheduler changes `copy`,
    /// not its state. An error says how many words that has, when there is no room for them.
    pub(super) fn peek(
        &self,
        tuple: &impl Tuple,
        client: IpAddr,
        copy: &mut StateCopy,
    ) -> Result<Option<Hint>, usize> {
        let templates = self.templates.as_ref();
        // Of a call nobody asks.
        let templates = templates.filter(|_| self.persistence.engine == Engine::Off);
        let whom = self.persistence.whom(client, &[]);
        let kept = templates.and_then(|templates| templates.peek(whom, self.candidates()));
        let index = match kept {
            Some(index) => Some(index),
            None => {
                let view = View {
                    state: copy.of(&self.state)?,
                    ..self.view()
                };
                self.scheduler.pick(&view, &Flow::of(tuple))
            }
        };
        let dest = index.and_then(|index| self.dests.get(index as usize));
        Ok(dest.map(|dest| Hint {
            dest: dest.id(),
            mode: dest.mode(),
            by_template: kept.is_some(),
        }))
    }

    fn persistent(
        &self,
        templates: &Templates,
        flow: &Flow,
        whom: Whom<'_>,
    ) -> Result<Option<u32>, NoDest> {
        if let Some(index) = templates.find(whom, self.candidates()) {
            return Ok(Some(index));
        }
        let index = self.scheduler.pick(&self.view(), flow);
        let chosen = index.and_then(|index| Some((index, self.dests.get(index as usize)?)));
        let Some(chosen) = chosen else {
            return Ok(None);
        };
        let kept = templates.keep(whom, chosen, self.candidates());
        kept.map(Some).map_err(|_| NoDest::Memory)
    }
}

/// The dest that a flow would have.
pub(super) struct Hint {
    pub(super) dest: DestId,
    pub(super) mode: Mode,
    /// Whether its client stays with it.
    pub(super) by_template: bool,
}

/// A copy of a scheduler's state.
pub(super) struct StateCopy(KVVec<AtomicU64>);

impl StateCopy {
    /// With room for so many words. May sleep.
    pub(super) fn with_room(words: usize) -> Result<Self> {
        Ok(Self(KVVec::with_capacity(words, GFP_KERNEL_ACCOUNT)?))
    }

    /// The copy of `state`; how many words that has when there is no room.
    fn of(&mut self, state: &[AtomicU64]) -> Result<&[AtomicU64], usize> {
        self.0.clear();
        for word in state {
            let word = AtomicU64::new(word.load(Ordering::Relaxed));
            self.0.push_within_capacity(word).map_err(|_| state.len())?;
        }
        Ok(&self.0)
    }
}

/// Why a new flow has no dest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDest {
    /// None takes it.
    Usable,
    /// No memory to remember it for the client.
    Memory,
}

impl Live for Schedule {
    fn active(&self, index: u32) -> u32 {
        self.dests.get(index as usize).map_or(0, |d| d.active())
    }

    fn inactive(&self, index: u32) -> u32 {
        self.dests.get(index as usize).map_or(0, |d| d.inactive())
    }

    fn is_overloaded(&self, index: u32) -> bool {
        let dest = self.dests.get(index as usize);
        dest.is_some_and(|dest| dest.load().is_too_much())
    }

    fn now(&self) -> u32 {
        time::uptime()
    }

    fn random(&self) -> u64 {
        random::u64()
    }
}

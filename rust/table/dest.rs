// SPDX-License-Identifier: GPL-2.0

//! Real servers.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicU8, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use super::{
    counters::{Traffic, TrafficCounters},
    index::Published,
    line::Line,
    ports::Ports,
    settings::{LiveSettings, Settings},
    ways::Which,
};
use crate::{
    engine::{
        family,
        proto::{own::OwnTimeouts, State},
        sched::Identity,
        service::{Removed, ServiceSpec},
        spec::{DestId, DestSpec, Mode, ServiceId},
        threshold::Thresholds,
        tunnel::Tunnel,
    },
    kapi::{
        broken::broken,
        netns::Net,
        percpu::Cpu,
        rcu::{Rcu, RcuBox, RcuSlot},
        route::NextHop,
        time,
    },
};

/// One active connection in [`Load::counts`].
const ACTIVE: u64 = 1 << 32;

/// One inactive connection in [`Load::counts`].
const INACTIVE: u64 = 1;

/// In [`Load::overload`]: it is overloaded. The bits above count how often that was looked at.
const OVERLOADED: u64 = 1;

/// In [`Dest::care`]: it was removed from its service.
const GONE: u8 = 1;

/// In [`Dest::care`]: its weight is 0, and UDP flows are to leave it then.
const QUIESCED: u8 = 2;

/// In [`Dest::care`]: its deadline has passed, its connections are over.
const OVERDUE: u8 = 4;

/// No place in a schedule that follows counts.
const NOWHERE: u32 = u32::MAX;

/// What connections change that begin and end.
struct Load {
    /// Active connections in the upper half, inactive ones in the lower: one word, so that a
    /// connection that goes from one to the other is never missing in their sum.
    counts: AtomicU64,
    /// See [`OVERLOADED`].
    overload: AtomicU64,
    /// Networks of clients that stay with it.
    templates: AtomicU32,
}

/// A real server of a service. Connections hold a reference, so it may outlive its place in the
/// service.
pub(crate) struct Dest {
    load: Line<Load>,
    // Packets of established connections read from here on; the count of references is ahead.
    way: RcuSlot<NextHop>,
    traffic: TrafficCounters,
    /// The thresholds published, as a word; 0 is none.
    limits: AtomicU64,
    /// The thresholds set, as a word.
    thresholds: AtomicU64,
    weight: AtomicU32,
    /// The last weight published that was not 0.
    last_weight: AtomicU32,
    /// Where it is in its service's schedule, if that follows its counts.
    place: AtomicU32,
    schedule: Published,
    /// How packets really travel to it.
    mode: AtomicU32,
    /// Ticks of silence by state where its service has its own; 0 is the namespace's.
    timeouts: [AtomicU32; 32],
    /// Second of the uptime at which it began to take connections, where that was a slow start; 0
    /// where not.
    warm_since: AtomicU32,
    /// Second of the uptime at which its connections end, from 1 on; 0 while it does not drain.
    deadline: AtomicU32,
    /// Connections that the last draining ended.
    drain_ended: AtomicU32,
    /// Number of a [`Removed`].
    removed: AtomicU32,
    /// The mode it was given.
    given_mode: AtomicU32,
    /// Its tunnel, as a word.
    tunnel: AtomicU32,
    /// Connections that no local address had a port for.
    no_port: AtomicU64,
    /// As many of them as were told of.
    no_port_told: AtomicU64,
    ports: Ports,
    /// Whether the last of them lacked an address as well.
    no_address: AtomicBool,
    /// Connections that it has not answered.
    no_reply: AtomicU64,
    /// Bits that say that a packet of its connections needs a look: [`GONE`], [`QUIESCED`],
    /// [`OVERDUE`].
    care: AtomicU8,
    /// Whether its service keeps clients with their dest.
    persistent: AtomicBool,
    /// Greater than those of dests that were added before it.
    order: AtomicU64,
    /// It has or had connections whose packets get other addresses.
    translated: AtomicBool,
    id: DestId,
    service: ServiceId,
}

impl Dest {
    /// A dest of the service whose schedules are published in `schedule`.
    #[inline(never)] // It is large, and its callers have much on the stack already.
    pub(super) fn new(
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
        schedule: Published,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                way: RcuSlot::empty(),
                traffic: TrafficCounters::new()?,
                load: Line(Load {
                    counts: AtomicU64::new(0),
                    overload: AtomicU64::new(0),
                    templates: AtomicU32::new(0),
                }),
                limits: AtomicU64::new(0),
                thresholds: AtomicU64::new(spec.thresholds.to_word()),
                weight: AtomicU32::new(spec.weight),
                last_weight: AtomicU32::new(0),
                place: AtomicU32::new(NOWHERE),
                schedule,
                mode: AtomicU32::new(spec.mode.toward(id.address).number()),
                timeouts: [const { AtomicU32::new(0) }; 32],
                warm_since: AtomicU32::new(0),
                deadline: AtomicU32::new(0),
                drain_ended: AtomicU32::new(0),
                removed: AtomicU32::new(0),
                given_mode: AtomicU32::new(spec.mode.number()),
                tunnel: AtomicU32::new(spec.tunnel.to_word()),
                no_port: AtomicU64::new(0),
                no_port_told: AtomicU64::new(0),
                ports: Ports::new(),
                no_address: AtomicBool::new(false),
                no_reply: AtomicU64::new(0),
                care: AtomicU8::new(0),
                persistent: AtomicBool::new(false),
                order: AtomicU64::new(0),
                translated: AtomicBool::new(spec.mode.toward(id.address) == Mode::Nat),
                id,
                service,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// How many networks of clients stay with it, with those that have expired and were not swept
    /// yet.
    pub(crate) fn templates(&self) -> u32 {
        self.load.templates.load(Ordering::Relaxed)
    }

    /// A network of clients stays with it from now on.
    pub(super) fn template_begins(&self) {
        self.load.templates.fetch_add(1, Ordering::Relaxed);
    }

    /// One that did does so no more.
    pub(super) fn template_ends(&self) {
        self.load.templates.fetch_sub(1, Ordering::Relaxed);
    }

    /// What names it within its service.
    pub(crate) fn id(&self) -> DestId {
        self.id
    }

    /// The service it was added to.
    pub(crate) fn service(&self) -> ServiceId {
        self.service
    }

    /// Its settings.
    pub(crate) fn spec(&self) -> DestSpec {
        DestSpec {
            mode: mode_of(&self.given_mode),
            weight: self.weight.load(Ordering::Relaxed),
            thresholds: Thresholds::from_word(self.thresholds.load(Ordering::Relaxed)),
            tunnel: self.tunnel(),
        }
    }

    /// How packets travel to it: not as it was told where its address is on loopback.
    #[inline(always)]
    pub(crate) fn mode(&self) -> Mode {
        mode_of(&self.mode)
    }

    /// What packets travel in, with mode tun.
    #[inline(always)]
    pub(crate) fn tunnel(&self) -> Tunnel {
        Tunnel::from_word(self.tunnel.load(Ordering::Relaxed))
    }

    pub(super) fn set_spec(&self, spec: DestSpec) {
        self.given_mode.store(spec.mode.number(), Ordering::Relaxed);
        let mode = spec.mode.toward(self.id.address);
        self.mode.store(mode.number(), Ordering::Relaxed);
        if mode == Mode::Nat {
            self.translated.store(true, Ordering::Relaxed);
        }
        let before = self.weight.swap(spec.weight, Ordering::Relaxed);
        if before == 0 && spec.weight > 0 {
            self.start_slowly();
        }
        let thresholds = spec.thresholds.to_word();
        self.thresholds.store(thresholds, Ordering::Relaxed);
        self.tunnel.store(spec.tunnel.to_word(), Ordering::Relaxed);
    }

    /// Sets what its service, and where that does not, the namespace, says of its connections.
    pub(super) fn follow_service(&self, spec: &ServiceSpec, settings: &Settings) {
        let leaves = spec.quiesced_flows.ends(settings.expire_quiesced);
        self.mark(QUIESCED, leaves && self.weight.load(Ordering::Relaxed) == 0);
        let removed = u32::from(spec.removed.number());
        self.removed.store(removed, Ordering::Relaxed);
        let persistent = spec.persistence.seconds != 0;
        self.persistent.store(persistent, Ordering::Relaxed);
        let own: &OwnTimeouts = &spec.timeouts;
        for (state, ticks) in State::all().zip(&self.timeouts) {
            ticks.store(time::seconds(own.get(state)), Ordering::Relaxed);
        }
    }

    /// Ticks of silence that `state` lasts.
    #[inline(always)]
    pub(super) fn timeout(&self, state: State, settings: &LiveSettings) -> u32 {
        match self.timeouts[(state.number() & 31) as usize].load(Ordering::Relaxed) {
            0 => settings.timeout(state),
            own => own,
        }
    }

    /// Whether its service keeps clients with their dest.
    pub(crate) fn has_persistence(&self) -> bool {
        self.persistent.load(Ordering::Relaxed)
    }

    /// Whether its connections end when it was removed.
    pub(crate) fn ends_when_removed(&self, settings: &LiveSettings) -> bool {
        let removed = Removed::from_number(self.removed.load(Ordering::Relaxed));
        let removed = removed.unwrap_or_else(|| {
            broken!(c"a dest does not know what becomes of its connections");
            Removed::default()
        });
        removed.ends(settings.expire_nodest())
    }

    /// From now on it takes connections.
    pub(super) fn start_slowly(&self) {
        let now = time::uptime().max(1);
        self.warm_since.store(now, Ordering::Relaxed);
    }

    /// Seconds for which it has taken connections; none for long.
    pub(super) fn warm_for(&self) -> Option<u32> {
        let since = self.warm_since.load(Ordering::Relaxed);
        (since != 0).then(|| time::uptime().saturating_sub(since))
    }

    /// Lets it drain for that many seconds.
    pub(super) fn drain(&self, seconds: u32) {
        self.drain_ended.store(0, Ordering::Relaxed);
        let deadline = time::uptime().saturating_add(seconds).max(1);
        self.set_deadline(Some(deadline));
    }

    /// Second of the uptime at which its connections end.
    pub(super) fn deadline(&self) -> Option<u32> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        (deadline != 0).then_some(deadline)
    }

    pub(super) fn set_deadline(&self, deadline: Option<u32>) {
        self.mark(OVERDUE, false);
        self.deadline
            .store(deadline.unwrap_or(0), Ordering::Relaxed);
    }

    /// Seconds until its connections end, while it drains.
    pub(crate) fn drain_left(&self) -> Option<u32> {
        let deadline = self.deadline()?;
        Some(deadline.saturating_sub(time::uptime()))
    }

    /// Whether it has connections past its deadline.
    pub(super) fn is_overdue(&self) -> bool {
        self.drain_left() == Some(0) && (self.active() > 0 || self.inactive() > 0)
    }

    /// Its connections are over; whoever speaks in them is told.
    pub(super) fn dismiss(&self) {
        self.mark(OVERDUE, true);
    }

    /// Whether its connections are over, as its deadline has passed.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.care.load(Ordering::Relaxed) & OVERDUE != 0
    }

    /// Seconds since its deadline.
    pub(super) fn overdue_for(&self) -> u32 {
        let deadline = self.deadline().unwrap_or(u32::MAX);
        time::uptime().saturating_sub(deadline)
    }

    /// Connections that the last draining ended.
    pub(crate) fn drain_ended(&self) -> u32 {
        self.drain_ended.load(Ordering::Relaxed)
    }

    pub(super) fn count_drain_ended(&self) {
        self.drain_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Its port, where the client asks for `wanted`; both in host order.
    ///
    /// A service of one port has flows to others where they are data of FTP, which go to the port
    /// that its server named.
    pub(super) fn port(&self, wanted: u16) -> u16 {
        let of_service = [0, wanted].contains(&self.service.port());
        match self.id.port {
            0 => wanted,
            port if of_service => port,
            _ => wanted,
        }
    }

    /// Whether its packets may be replies that get other addresses.
    pub(super) fn is_translated(&self) -> bool {
        self.translated.load(Ordering::Relaxed)
    }

    /// Active connections now.
    pub(crate) fn active(&self) -> u32 {
        (self.load.counts.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Inactive connections now.
    pub(crate) fn inactive(&self) -> u32 {
        self.load.counts.load(Ordering::Relaxed) as u32
    }

    /// Whether it was removed from its service.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.care.load(Ordering::Relaxed) & GONE != 0
    }

    /// Whether a packet of its connections needs a look: it was removed, its deadline has passed, or
    /// UDP flows are to leave it as its weight is 0.
    #[inline(always)]
    pub(crate) fn needs_care(&self) -> bool {
        self.care.load(Ordering::Relaxed) != 0
    }

    /// Sets or clears a bit that says so.
    fn mark(&self, bit: u8, is_set: bool) {
        if is_set {
            self.care.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.care.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Greater for dests that were added to their service later.
    pub(super) fn order(&self) -> u64 {
        self.order.load(Ordering::Relaxed)
    }

    pub(super) fn set_order(&self, order: u64) {
        self.order.store(order, Ordering::Relaxed);
    }

    /// Takes it back into its service, which is told of its counts again.
    pub(super) fn set_back(&self) {
        self.set_deadline(None);
        self.mark(GONE, false);
    }

    /// Whether its service is the one whose schedules are published in `schedule`.
    pub(super) fn is_told_by(&self, schedule: &Published) -> bool {
        Arc::ptr_eq(&self.schedule, schedule)
    }

    /// Where schedules of its service are published.
    pub(super) fn published(&self) -> &Published {
        &self.schedule
    }

    pub(super) fn set_gone(&self) {
        self.mark(GONE, true);
        self.set_place(None);
    }

    /// What hashes know it by.
    pub(super) fn identity(&self) -> Identity {
        let last_weight = match self.weight.load(Ordering::Relaxed) {
            0 => self.last_weight.load(Ordering::Relaxed),
            weight => weight,
        };
        Identity {
            address: family::folded(self.id.address),
            port: self.id.port,
            last_weight,
        }
    }

    /// Remembers the weight, which was published.
    pub(super) fn keep_weight(&self) {
        let weight = self.weight.load(Ordering::Relaxed);
        if weight > 0 {
            self.last_weight.store(weight, Ordering::Relaxed);
        }
    }

    /// Notes that its present thresholds were published, and looks whether it is overloaded.
    pub(super) fn keep_thresholds(&self) {
        let thresholds = self.thresholds.load(Ordering::Relaxed);
        // Before the look at the counts: whoever changes them and does not see the thresholds yet
        // has changed them before that.
        if self.limits.load(Ordering::Relaxed) != thresholds {
            self.limits.swap(thresholds, Ordering::SeqCst);
            self.weigh(thresholds);
        }
    }

    /// Whether it has reached its upper threshold and not come down to the lower since.
    pub(super) fn is_overloaded(&self) -> bool {
        self.load.overload.load(Ordering::Relaxed) & OVERLOADED != 0
    }

    /// Finds out anew whether it is overloaded, after a change of its counts or thresholds.
    #[cold]
    fn weigh(&self, limits: u64) {
        let thresholds = Thresholds::from_word(limits);
        let mut seen = self.load.overload.load(Ordering::Acquire);
        loop {
            // Of two that change counts, the one whose swap succeeds second has read the first's
            // word, so it looks at the counts with both changes. The word changes each time, also
            // where the answer does not.
            let counts = self.load.counts.load(Ordering::SeqCst);
            let total = ((counts >> 32) as u32).saturating_add(counts as u32);
            let is = thresholds.is_overloaded(seen & OVERLOADED != 0, total);
            let next = (seen | OVERLOADED).wrapping_add(1) | u64::from(is);
            let swapped = self.load.overload.compare_exchange_weak(
                seen,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Sets where its service's published schedule has it, if that is to be told of its counts.
    pub(super) fn set_place(&self, place: Option<u32>) {
        // Before the schedule looks at the counts: whoever changes one and does not see the new
        // place yet has changed it before that. Most schedules do not look.
        let place = place.unwrap_or(NOWHERE);
        if place != NOWHERE || self.place.load(Ordering::Relaxed) != NOWHERE {
            self.place.swap(place, Ordering::SeqCst);
        }
    }

    /// Tells the schedule that the counts have changed.
    #[inline]
    fn counts_changed(&self) {
        let limits = self.limits.load(Ordering::SeqCst);
        if limits != 0 {
            self.weigh(limits);
        }
        let place = self.place.load(Ordering::SeqCst);
        if place != NOWHERE {
            self.tell(place);
        }
    }

    #[cold]
    fn tell(&self, place: u32) {
        let guard = kernel::sync::rcu::read_lock();
        if let Some(schedule) = self.schedule.get(Rcu::of(&guard)) {
            schedule.changed(place, self);
        }
    }

    /// A flow of a client that stays with it was answered.
    pub(super) fn assure(&self, client: IpAddr) {
        let guard = kernel::sync::rcu::read_lock();
        if let Some(schedule) = self.schedule.get(Rcu::of(&guard)) {
            schedule.assure(client, self);
        }
    }

    /// Counts a packet toward it; `bytes` from the IP header on.
    #[inline(always)]
    pub(crate) fn packet_in(&self, bytes: u32) {
        self.traffic.packet_in(bytes);
    }

    /// Counts a packet from it; `bytes` from the IP header on.
    #[inline(always)]
    pub(crate) fn packet_out(&self, bytes: u32) {
        self.traffic.packet_out(bytes);
    }

    /// What is known of the local ports toward it.
    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Counts a connection that no local address had a port for toward it, or that there was none for.
    pub(super) fn lacks_port(&self, has_addresses: bool) {
        self.no_address.store(!has_addresses, Ordering::Relaxed);
        self.no_port.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that no local address had a port for toward it, since it was added.
    pub(crate) fn lacked_ports(&self) -> u64 {
        self.no_port.load(Ordering::Relaxed)
    }

    /// The same, if there are more than when this was last asked, and whether there were addresses.
    pub(super) fn newly_lacked_ports(&self) -> Option<(u64, bool)> {
        let now = self.lacked_ports();
        let is_news = self.no_port_told.swap(now, Ordering::Relaxed) != now;
        is_news.then(|| (now, !self.no_address.load(Ordering::Relaxed)))
    }

    /// Counts a connection that it has not answered.
    pub(super) fn count_no_reply(&self) {
        self.no_reply.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that it has not answered, since it was added.
    pub(crate) fn unanswered(&self) -> u64 {
        self.no_reply.load(Ordering::Relaxed)
    }

    /// What it has carried since it was added.
    pub(super) fn carried(&self) -> Traffic {
        self.traffic.sum()
    }

    /// What one CPU counted of that.
    pub(super) fn carried_on(&self, cpu: Cpu) -> Traffic {
        self.traffic.of_cpu(cpu)
    }

    /// Counts a connection that was scheduled here.
    pub(crate) fn connection(&self) {
        self.traffic.connection();
    }

    /// Counts a connection in `state` that begins.
    pub(super) fn connection_begins(&self, state: State) {
        self.load.counts.fetch_add(one(state), Ordering::SeqCst);
        self.counts_changed();
    }

    /// Counts a connection that goes from one state to another.
    #[inline]
    pub(super) fn connection_moves(&self, from: State, to: State) {
        if from.is_active() != to.is_active() {
            let change = one(to).wrapping_sub(one(from));
            self.load.counts.fetch_add(change, Ordering::SeqCst);
            self.counts_changed();
        }
    }

    /// Counts a connection out that was in `state`.
    pub(super) fn connection_ends(&self, state: State) {
        self.load.counts.fetch_sub(one(state), Ordering::SeqCst);
        self.counts_changed();
    }

    /// The way to it, if it is known and still good.
    #[inline(always)]
    pub(crate) fn way<'a>(&'a self, rcu: Rcu<'a>) -> Option<&'a NextHop> {
        self.way.get(rcu).filter(|way| way.is_good())
    }

    /// Looks the way to it up anew. From any context.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(crate) fn find_way<'a>(&'a self, net: &'static Net, rcu: Rcu<'a>) -> Result<&'a NextHop> {
        let found = self.look_up(net).and_then(|way| {
            let is_idle = way.is_idle();
            Ok((RcuBox::new(way, GFP_ATOMIC | __GFP_NOWARN)?, is_idle))
        });
        match found {
            // The way is not kept until its neighbour is found: that may never be.
            Ok((way, true)) => {
                self.way.replace(None);
                Ok(RcuBox::lend(way, rcu))
            }
            Ok((way, false)) => Ok(self.way.publish(way, rcu)),
            Err(error) => {
                // A way that is no longer good would hold on to its device.
                self.way.replace(None);
                Err(error)
            }
        }
    }

    fn look_up(&self, net: &'static Net) -> Result<NextHop> {
        NextHop::lookup(net, self.id.address)
    }

    /// Forgets the way to it where it is one of `which`.
    pub(super) fn forget_way(&self, which: Which) {
        let guard = kernel::sync::rcu::read_lock();
        let way = self.way.get(Rcu::of(&guard));
        if way.is_some_and(|way| which.has(way)) {
            self.way.replace(None);
        }
    }
}

/// The mode whose number that is.
#[inline(always)]
fn mode_of(number: &AtomicU32) -> Mode {
    let mode = Mode::from_number(number.load(Ordering::Relaxed));
    mode.unwrap_or_else(|| {
        broken!(c"a dest has no mode");
        Mode::Dr
    })
}

/// What a connection in `state` is in the word of counts.
#[inline(always)]
fn one(state: State) -> u64 {
    if state.is_active() {
        ACTIVE
    } else {
        INACTIVE
    }
}

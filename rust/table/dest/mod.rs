// SPDX-License-Identifier: GPL-2.0

//! Real servers.

mod failures;
mod life;
mod load;
mod rules;
mod way;

use core::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use kernel::{prelude::*, sync::Arc};

use self::{failures::Failures, life::Life, load::Load, rules::Rules, way::Way};
use super::{
    counters::{Traffic, TrafficCounters},
    line::Line,
    ports::Ports,
    settings::{LiveSettings, Settings},
    ways::Which,
};
use crate::{
    engine::{
        family,
        persistence::Engine,
        proto::State,
        sched::Identity,
        service::ServiceSpec,
        spec::{DestId, DestSpec, Mode, ServiceId},
        threshold::Thresholds,
        tunnel::Tunnel,
    },
    kapi::{broken::broken, netns::Net, percpu::Cpu, rcu::Rcu, route::NextHop},
};

/// Who is told what happens to a dest: its service, whose schedules hold the dest.
pub(super) trait Audience: Send + Sync {
    /// The counts of the dest that was told to be at `place` have changed.
    fn counts_changed(&self, place: u32, dest: &Dest);

    /// A flow of a client that stays with the dest was answered; about that call, where calls stay.
    fn answered(&self, whose: (IpAddr, &[u8]), dest: &Dest);
}

/// A real server of a service. Connections hold a reference, so it may outlive its place in the
/// service.
pub(crate) struct Dest {
    load: Line<Load>,
    // Packets of established connections read from here on; the count of references is ahead.
    way: Way,
    traffic: TrafficCounters,
    /// The thresholds set, as a word.
    thresholds: AtomicU64,
    weight: AtomicU32,
    /// The last weight published that was not 0.
    last_weight: AtomicU32,
    audience: Arc<dyn Audience>,
    /// How packets really travel to it.
    mode: AtomicU32,
    rules: Rules,
    life: Life,
    /// The mode it was given.
    given_mode: AtomicU32,
    /// Its tunnel, as a word.
    tunnel: AtomicU32,
    ports: Ports,
    failures: Failures,
    /// Greater than those of dests that were added before it.
    order: AtomicU64,
    /// It has or had connections whose packets get other addresses.
    translated: AtomicBool,
    id: DestId,
    service: ServiceId,
}

impl Dest {
    /// A dest of a service, which is told what happens to it.
    #[inline(never)] // It is large, and its callers have much on the stack already.
    pub(super) fn new(
        service: ServiceId,
        id: DestId,
        spec: DestSpec,
        audience: Arc<dyn Audience>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                load: Line(Load::new()),
                way: Way::new(),
                traffic: TrafficCounters::new()?,
                thresholds: AtomicU64::new(spec.thresholds.to_word()),
                weight: AtomicU32::new(spec.weight),
                last_weight: AtomicU32::new(0),
                audience,
                mode: AtomicU32::new(spec.mode.toward(id.address).number()),
                rules: Rules::new(),
                life: Life::new(),
                given_mode: AtomicU32::new(spec.mode.number()),
                tunnel: AtomicU32::new(spec.tunnel.to_word()),
                ports: Ports::new(),
                failures: Failures::new(),
                order: AtomicU64::new(0),
                translated: AtomicBool::new(spec.mode.toward(id.address) == Mode::Nat),
                id,
                service,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// What names it within its service.
    pub(crate) fn id(&self) -> DestId {
        self.id
    }

    /// Its address.
    #[inline(always)]
    pub(crate) fn address(&self) -> IpAddr {
        self.id.address
    }

    /// The mark of its service's packets; 0 where that has none.
    #[inline(always)]
    pub(crate) fn mark(&self) -> u32 {
        self.service.mark()
    }

    /// The service it was added to.
    pub(crate) fn service(&self) -> ServiceId {
        self.service
    }

    /// Where it is in its life.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// What it carries.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// What came to nothing toward it.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// What is known of the local ports toward it.
    pub(super) fn ports(&self) -> &Ports {
        &self.ports
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

    /// Whether that is mode dr, which is less to ask.
    #[inline(always)]
    pub(crate) fn is_dr(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == Mode::Dr.number()
    }

    /// What packets travel in, with mode tun.
    #[inline(always)]
    pub(crate) fn tunnel(&self) -> Tunnel {
        Tunnel::from_word(self.tunnel.load(Ordering::Relaxed))
    }

    /// Whether that is IPIP, which is less to ask.
    #[inline(always)]
    pub(crate) fn has_plain_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed) == Tunnel::IPIP.to_word()
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
            self.life.start_slowly();
        }
        let thresholds = spec.thresholds.to_word();
        self.thresholds.store(thresholds, Ordering::Relaxed);
        self.tunnel.store(spec.tunnel.to_word(), Ordering::Relaxed);
    }

    /// Sets what its service, and where that does not, the namespace, says of its connections.
    pub(super) fn follow_service(&self, spec: &ServiceSpec, settings: &Settings) {
        let leaves = spec.quiesced_flows.ends(settings.expire_quiesced);
        let is_quiesced = leaves && self.weight.load(Ordering::Relaxed) == 0;
        self.life.set_quiesced(is_quiesced);
        self.life.set_accounted(spec.has_accounts());
        self.life.set_conntrack(settings.conntrack);
        self.rules.follow(spec);
    }

    /// Ticks of silence that `state` lasts.
    #[inline(always)]
    pub(super) fn timeout(&self, state: State, settings: &LiveSettings) -> u32 {
        self.rules.timeout(state, settings)
    }

    /// What its service keeps with their dest; none without persistence.
    pub(crate) fn keeps(&self) -> Option<Engine> {
        self.rules.keeps()
    }

    /// Whether the host tracks connections to it that begin. It has only one side's numbers of those
    /// that get others.
    pub(crate) fn tracks(&self) -> bool {
        self.life.conntrack().is_on() && self.mode() != Mode::FullNat
    }

    /// Whether its connections end when it was removed.
    pub(crate) fn ends_when_removed(&self, settings: &LiveSettings) -> bool {
        self.rules.ends_when_removed(settings)
    }

    /// Whether it has connections past its deadline.
    pub(super) fn is_overdue(&self) -> bool {
        self.life.drain_left() == Some(0) && self.has_connections()
    }

    /// Whether its connections are over, as its deadline has passed.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.life.is_dismissed()
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
        self.load.active()
    }

    /// Inactive connections now.
    pub(crate) fn inactive(&self) -> u32 {
        self.load.inactive()
    }

    /// Whether there are any.
    pub(super) fn has_connections(&self) -> bool {
        self.active() > 0 || self.inactive() > 0
    }

    /// How many networks of clients stay with it, with those that have expired and were not swept
    /// yet.
    pub(crate) fn templates(&self) -> u32 {
        self.load.templates()
    }

    /// Whether it was removed from its service.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.life.is_gone()
    }

    /// See [`Life::needs_care`].
    #[inline(always)]
    pub(crate) fn needs_care(&self) -> bool {
        self.life.needs_care()
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
        self.life.set_deadline(None);
        self.life.set_gone(false);
    }

    /// It was removed from its service.
    pub(super) fn set_gone(&self) {
        self.life.set_gone(true);
        self.load.set_place(None);
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

    /// Notes that its present weight and thresholds were published.
    pub(super) fn note_published(&self) {
        let weight = self.weight.load(Ordering::Relaxed);
        if weight > 0 {
            self.last_weight.store(weight, Ordering::Relaxed);
        }
        self.load.limit(self.thresholds.load(Ordering::Relaxed));
    }

    /// Tells the schedule that has it at `place`, if one is to be told, that its counts have changed.
    #[inline]
    fn tell(&self, place: Option<u32>) {
        if let Some(place) = place {
            self.audience.counts_changed(place, self);
        }
    }

    /// A flow of a client that stays with it was answered; about that call, where calls stay.
    pub(super) fn assure(&self, whose: (IpAddr, &[u8])) {
        self.audience.answered(whose, self);
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

    /// Counts a packet to or from it that is dropped.
    pub(crate) fn count_drop(&self) {
        self.traffic.drop();
    }

    /// Counts a connection that it has not answered.
    pub(super) fn count_no_reply(&self) {
        self.failures.count_no_reply();
        self.traffic.unanswered();
    }

    /// What it has carried since it was added.
    pub(super) fn carried(&self) -> Traffic {
        self.traffic.sum()
    }

    /// Goes on with what was counted before the module was changed: its traffic, and what came to
    /// nothing.
    pub(super) fn add_counts(&self, traffic: Traffic, failures: [u64; 2]) {
        self.traffic.add(traffic);
        self.failures.add(failures);
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
        self.tell(self.load.begins(state));
    }

    /// Counts a connection that goes from one state to another.
    #[inline]
    pub(super) fn connection_moves(&self, from: State, to: State) {
        self.tell(self.load.moves(from, to));
    }

    /// Counts a connection out that was in `state`.
    pub(super) fn connection_ends(&self, state: State) {
        self.tell(self.load.ends(state));
    }

    /// The way to it, if it is known and still good.
    #[inline(always)]
    pub(crate) fn way<'a>(&'a self, rcu: Rcu<'a>) -> Option<&'a NextHop> {
        self.way.get(rcu)
    }

    /// Looks the way to it up anew. From any context.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`], and `ENOMEM`.
    #[cold]
    pub(crate) fn find_way<'a>(&'a self, net: &'static Net, rcu: Rcu<'a>) -> Result<&'a NextHop> {
        self.way.find(net, self.id.address, rcu)
    }

    /// Forgets the way to it where it is one of `which`.
    pub(super) fn forget_way(&self, which: Which) {
        self.way.forget(which);
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

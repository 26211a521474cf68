// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has.

use core::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Mutex, SetOnce},
};

use super::{
    activity::Turn,
    config::{Config, ConfigGuard},
    connections::{Conn, ConnCursor, ConnView, Connections},
    counters::{Counter, EventCounters},
    defence::Defence,
    dest::Dest,
    estimation::Estimation,
    filter::Gate,
    index::Index,
    schedule::Schedule,
    settings::{LiveSettings, Settings},
    templates::Total,
    ways::{Ways, Which},
};
use crate::{
    engine::{family::Tuple, hash::Key, spec::ServiceId},
    kapi::{
        memcg::{Charge, Owner},
        netdev::{Device, DeviceWatcher},
        netfilter::{self, Description, Hooks},
        netns::{Net, PerNet, Registered, Registration},
        notifier, random,
        rcu::{self, Rcu, RcuSlot},
        route, time,
        work::{Work, Worker},
    },
};

/// Ticks between two lines in the log about a namespace's lack of ports.
const COMPLAINT_TICKS: u32 = 10 * time::HZ;

/// Ticks between two runs of the worker.
pub(super) const TICK: u32 = time::HZ / 4;

/// Ticks of the worker between two looks for ways that nobody needs.
const TIDY_TURNS: u32 = 16;

/// Puts the datapath's hooks of a turn for that IP version into a namespace.
pub(crate) type Activation = fn(&Netns, u8, Turn) -> Result<Hooks>;

/// Set once, by the module's init.
static ACTIVATION: SetOnce<Activation> = SetOnce::new();

/// State of one network namespace.
#[pin_data]
pub(crate) struct Netns {
    /// First, as every IPv4 packet asks it.
    pub(crate) gate_v4: Gate,
    /// What every IPv6 packet asks.
    pub(crate) gate_v6: Gate,
    /// Ways back to clients.
    pub(crate) ways: Ways,
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
    pub(super) index: RcuSlot<Index>,
    pub(super) service_key: Key,
    /// For the sequence numbers of FullNAT connections, which other hosts see.
    pub(super) sequence_key: Key,
    net: &'static Net,
    /// Who pays for the memory of connections, where that is not the host.
    owner: Owner,
    idle: AtomicBool,
    /// The worker was told to run at once, and has not begun yet.
    hurried: AtomicBool,
    /// Whether a dest has lacked ports since the worker last looked.
    exhausted: AtomicBool,
    /// When the log was last told so, in ticks.
    complained: AtomicU32,
    /// Whether packets of IPv4 and IPv6 met rules or IPsec policies on their way out when the worker
    /// last looked.
    output_rules: [AtomicBool; 2],
    generation: AtomicU32,
    #[pin]
    pub(super) config: Mutex<Config>,
    /// Held while the table is resized, and by those who must not meet that. Holds where the next
    /// sweep starts.
    #[pin]
    maintenance: Mutex<u32>,
    #[pin]
    worker: Worker<Netns>,
    #[pin]
    pub(super) estimation: Estimation,
}

static REGISTRATION: Registration<Netns> = Registration::new();

impl PerNet for Netns {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let connections = Connections::new(random_key())?;
        let counters = EventCounters::new()?;
        let ways = Ways::new()?;
        let templates = Total::new()?;
        let config = Config::init(random_key())?;
        let netns = KBox::pin_init(
            pin_init!(Self {
                gate_v4: Gate::new(),
                gate_v6: Gate::new(),
                ways,
                connections,
                templates,
                settings: LiveSettings::new(&Settings::DEFAULT, net.is_first()),
                defence: Defence::new(),
                counters,
                index: RcuSlot::empty(),
                service_key: random_key(),
                sequence_key: random_key(),
                net,
                owner: Owner::new(),
                idle: AtomicBool::new(true),
                hurried: AtomicBool::new(false),
                exhausted: AtomicBool::new(false),
                complained: AtomicU32::new(time::now().wrapping_sub(COMPLAINT_TICKS)),
                output_rules: [const { AtomicBool::new(false) }; 2],
                generation: AtomicU32::new(1),
                config <- new_mutex!(config, "rvs config"),
                maintenance <- new_mutex!(0, "rvs maintenance"),
                worker: Worker::new(),
                estimation: Estimation::new(net),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        netns.inherit();
        // SAFETY: Just made; `pre_exit` stops it.
        unsafe { Worker::start(netns.as_ref()) };
        // SAFETY: A field of what is pinned stays where it is. The rest is as above.
        unsafe { Worker::start(Pin::new_unchecked(&netns.estimation)) };
        Ok(netns)
    }

    fn pre_exit(&self) {
        // Nobody sends packets through us or kicks the worker after this.
        self.config.lock().drop_hooks();
        rcu::synchronize();
        self.worker.stop();
        self.estimation.stop();
        // Devices may not go while a way leads through them.
        self.forget_ways(Which::All);
        self.connections.remove_all(|_, _| true);
        self.connections.reap();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

fn random_key() -> Key {
    Key::new(random::u64(), random::u64())
}

impl Netns {
    /// The state of a namespace; none when it is going away.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        REGISTRATION.get(net)
    }

    /// The namespace.
    #[inline]
    pub(crate) fn net(&self) -> &'static Net {
        self.net
    }

    /// Keeps state in every namespace, with `activation` for its hooks, until the result is dropped.
    pub(crate) fn register(activation: Activation) -> Result<Registered<Self>> {
        ACTIVATION.populate(activation);
        REGISTRATION.register()
    }

    /// Registers hooks that get this state; what activations do. They are gone before it is.
    pub(crate) fn hook(&self, hooks: impl IntoIterator<Item = Description<Self>>) -> Result<Hooks> {
        // SAFETY: `pre_exit` drops them and waits.
        unsafe { Hooks::register(self.net, self, hooks) }
    }

    /// Registers the datapath's hooks of a turn for that IP version.
    pub(super) fn activate(&self, version: u8, turn: Turn) -> Result<Hooks> {
        ACTIVATION.as_ref().ok_or(EINVAL)?(self, version, turn)
    }

    /// The configuration, for reading and changing. May sleep.
    pub(crate) fn config(&self) -> ConfigGuard<'_> {
        ConfigGuard::new(self, self.config.lock())
    }

    /// Whether rates of traffic are estimated, or stay as they are.
    pub(crate) fn estimate_rates(&self, wanted: bool) {
        self.estimation.suspend(!wanted);
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn next_generation(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
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

    /// How many chains or tables of rules there are in INPUT that packets to services do not meet.
    pub(super) fn input_rules(&self) -> u32 {
        let gates = [(&self.gate_v4, 4), (&self.gate_v6, 6)];
        let ahead = gates.iter().filter(|(gate, _)| gate.is_ahead_of_input());
        let rules = ahead.map(|(_, version)| netfilter::input_rules(self.net, *version));
        rules.fold(0, u32::saturating_add)
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

    /// Starts with the limit that the first namespace sets.
    #[inline(never)]
    fn inherit(&self) {
        let mut config = self.config.lock();
        config.inherit(self.net.is_first(), &self.settings);
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
        self.connections.remove(conn, rcu);
        self.wake(TICK);
    }

    /// Sees to it that the worker runs: at once, or within `ticks` unless it is awake anyway.
    pub(super) fn wake(&self, ticks: u32) {
        let asleep = self.idle.load(Ordering::Relaxed);
        let awakened = asleep && self.idle.swap(false, Ordering::Relaxed);
        // A flood of new connections asks for a larger table with each of them.
        let hurries = || {
            let hurried = self.hurried.load(Ordering::Relaxed);
            !hurried && !self.hurried.swap(true, Ordering::Relaxed)
        };
        if awakened || (ticks == 0 && hurries()) {
            self.worker.kick(ticks);
        }
    }

    /// There is something to clear up, or to look after, before long.
    pub(crate) fn expect_work(&self) {
        self.wake(TICK);
    }

    /// Shows connections to `visit`; see [`Connections::list`]. May sleep, and keeps the worker
    /// waiting for a slice only.
    ///
    /// The second part counts the table's resizes: when it differs between two calls, connections
    /// may have been left out or shown twice.
    pub(crate) fn connections(
        &self,
        cursor: ConnCursor,
        visit: impl FnMut(&ConnView) -> ControlFlow<()>,
    ) -> (Option<ConnCursor>, u32) {
        let _no_resize = self.maintenance.lock();
        let resizes = self.connections.resizes();
        let next = self.connections.list(cursor, &self.settings, visit);
        (next, resizes)
    }

    /// Ends all connections, or those of one service. May sleep.
    pub(crate) fn flush_connections(&self, service: Option<&ServiceId>) {
        let no_resize = self.maintenance.lock();
        self.connections
            .remove_all(|conn, _| service.is_none_or(|id| conn.dest().service() == *id));
        drop(no_resize);
        self.wake(0);
    }

    /// Counts that a way is looked up. One that is kept is let go of by the worker, which goes to
    /// sleep where there are no connections.
    #[cold]
    pub(crate) fn looks_for_way(&self) {
        self.counters.count(Counter::RouteRefreshes);
        self.expect_work();
    }

    /// Lets go of ways, to dests and back to clients.
    fn forget_ways(&self, which: Which) {
        self.config
            .lock()
            .for_each_dest(|dest| dest.forget_way(which));
        self.ways.forget(which);
    }
}

impl Netns {
    /// Lets go of all ways when rules or IPsec policies for what leaves the host have come or gone:
    /// each way knows from its look-up whether there are any.
    fn watch_output(&self) {
        let mut changed = false;
        for (known, version) in self.output_rules.iter().zip([4, 6]) {
            let rules = route::has_output_rules(self.net, version);
            changed |= known.swap(rules, Ordering::Relaxed) != rules;
        }
        if changed {
            self.forget_ways(Which::All);
        }
    }
}

impl Netns {
    /// Notes that no local address has a port free toward a dest, or that there is no address.
    #[cold]
    pub(super) fn exhausted(&self, dest: &Dest, has_addresses: bool) {
        dest.failures().lacks_port(has_addresses);
        self.exhausted.store(true, Ordering::Relaxed);
        self.wake(TICK);
    }

    /// Tells the log which dests lack ports, one of them each time and not often.
    fn complain(&self) {
        let now = time::now();
        let since = now.wrapping_sub(self.complained.load(Ordering::Relaxed));
        if !self.exhausted.load(Ordering::Relaxed) || since < COMPLAINT_TICKS {
            return;
        }
        self.exhausted.store(false, Ordering::Relaxed);
        let mut said = false;
        self.config.lock().for_each_dest(|dest| {
            let Some((total, has_addresses)) = dest.failures().newly_lacked_ports() else {
                return;
            };
            if !said {
                let (service, id) = (dest.service(), dest.id());
                let text = if has_addresses {
                    "no local port is free toward"
                } else {
                    "there is no local address (rvsadm laddr add) toward"
                };
                pr_notice!(
                    "{}\n",
                    format_args!("{service}: {text} {id}, {total} connections refused")
                );
                said = true;
            }
        });
        if said {
            self.complained.store(now, Ordering::Relaxed);
        }
    }
}

impl Work for Netns {
    /// Fits the table to its load, ends what has expired, frees what has ended.
    fn run(&self) -> Option<u32> {
        let overdue = self.overdue();
        let mut cursor = self.maintenance.lock();
        // Before the look at the number of connections; who is late all the same waits for a tick.
        self.hurried.store(false, Ordering::SeqCst);
        let charge = self.charge();
        self.connections.resize();
        drop(charge);
        self.end_connections(&overdue);
        let pressed = self.defence.ends_entries().then(time::uptime);
        let swept = self.connections.sweep(*cursor, &self.settings, pressed);
        *cursor = swept.next;
        self.counters
            .count_many(Counter::ConnsExpired, swept.expired);
        self.counters.count_many(Counter::NoReply, swept.unanswered);
        self.counters
            .count_many(Counter::ConnsDropped, swept.dropped);
        self.connections.reap();
        drop(cursor);
        self.watch_output();
        self.complain();
        let turn = time::now() / TICK;
        if turn % TIDY_TURNS == 0 {
            self.forget_ways(Which::Idle);
        }
        let mut config = self.config();
        config.follow_rules();
        self.defence.look(&config.settings());
        let templates = config.sweep_templates(turn, pressed);
        let draining = config.end_drains() | config.warm_up();
        let lingering = config.bury_removed() || templates || draining;
        drop(config);
        if self.is_busy() || lingering {
            return Some(TICK);
        }
        // They would hold neighbours and devices for nothing.
        self.forget_ways(Which::All);
        self.idle.store(true, Ordering::SeqCst);
        // Whoever added a connection or removed a dest before seeing us idle relies on this look.
        let config = self.config();
        let busy =
            self.is_busy() || config.has_removed() || config.is_draining() || config.has_warming();
        drop(config);
        if busy && self.idle.swap(false, Ordering::SeqCst) {
            return Some(TICK);
        }
        None
    }

    fn worker(&self) -> &Worker<Self> {
        &self.worker
    }
}

impl Netns {
    fn is_busy(&self) -> bool {
        self.connections.count() > 0 || self.connections.has_dead()
    }
}

/// Lets go of routes through devices that go away.
pub(crate) struct Devices;

static DEVICES: notifier::Registration = notifier::Registration::new();

impl DeviceWatcher for Devices {
    fn gone(net: &Net, device: Device) {
        if let Some(netns) = Netns::of(net) {
            netns.forget_ways(Which::Through(device));
        }
    }

    fn registration() -> &'static notifier::Registration {
        &DEVICES
    }
}

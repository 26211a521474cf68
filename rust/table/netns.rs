// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has: what packets see, the configuration, and the workers that look after both.

use core::ops::{ControlFlow, Deref};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Mutex, SetOnce},
};

use super::{
    activity::Activate,
    config::{Config, ConfigGuard},
    connections::{Conn, ConnCursor, ConnView, Side},
    counters::Counter,
    drain::{self, Leave},
    live::{random_key, Live},
    turn::{Posts, Turn},
    waking::TICK,
    ways::Which,
};
use crate::{
    engine::{record::Connection, selection::Selection, spec::ServiceId},
    kapi::{
        netfilter::{Description, Hooks},
        netns::{Net, PerNet, Registered, Registration},
        rcu::{self, Rcu},
        time,
        work::{Work, Worker},
    },
};

/// Ticks of the worker between two looks for ways that nobody needs.
const TIDY_TURNS: u32 = 16;

/// Puts the datapath's hooks of a turn for that IP version into a namespace, at those posts.
pub(crate) type Activation = fn(&Netns, u8, Turn, Posts) -> Result<Hooks>;

/// Set once, by the module's init.
static ACTIVATION: SetOnce<Activation> = SetOnce::new();

/// Asks the end of a connection on that side where it is. A connection whose dest's packets pass
/// this host by has only its client to ask.
pub(crate) type OnLeave = fn(&Netns, &Conn, Side, Rcu<'_>);

static ON_LEAVE: SetOnce<OnLeave> = SetOnce::new();

/// Sets who asks, once.
pub(crate) fn on_leave(ask: OnLeave) {
    ON_LEAVE.populate(ask);
}

/// State of one network namespace.
#[pin_data]
pub(crate) struct Netns {
    #[pin]
    live: Live,
    #[pin]
    config: Mutex<Config>,
    /// Held while the table is resized, and by those who must not meet that. Holds where the next
    /// sweep starts.
    #[pin]
    maintenance: Mutex<u32>,
}

impl Deref for Netns {
    type Target = Live;

    #[inline(always)]
    fn deref(&self) -> &Live {
        &self.live
    }
}

static REGISTRATION: Registration<Netns> = Registration::new();

impl PerNet for Netns {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let config = Config::init(random_key())?;
        let netns = KBox::pin_init(
            pin_init!(Self {
                live <- Live::init(net),
                config <- new_mutex!(config, "rvs config"),
                maintenance <- new_mutex!(0, "rvs maintenance"),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )?;
        netns.inherit()?;
        // SAFETY: Just made; `pre_exit` stops it.
        unsafe { Worker::start::<Self, Upkeep>(netns.as_ref()) };
        // SAFETY: As above.
        unsafe { Worker::start::<Self, Rates>(netns.as_ref()) };
        Ok(netns)
    }

    fn pre_exit(&self) {
        // Nobody sends packets through us or kicks the worker after this.
        self.config.lock().drop_hooks();
        // Devices go later, and may give frames until then.
        self.gate_v4.set_ahead_of_input(false);
        self.gate_v6.set_ahead_of_input(false);
        rcu::synchronize();
        self.waking.worker().stop();
        self.estimation.worker().stop();
        // Devices may not go while a way leads through them.
        self.forget_ways(Which::All);
        self.connections.leave_tracks();
        // Others go on with them.
        self.connections
            .remove_all(|_, _| true, |_, _| {}, || false);
        self.connections.reap();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

impl Netns {
    /// The state of a namespace; none when it is going away.
    pub(crate) fn of(net: &Net) -> Option<&Self> {
        REGISTRATION.get(net)
    }

    /// That of `net`, for what comes from a device.
    #[inline(always)]
    pub(crate) fn at_device<'a>(net: &'a Net, rcu: Rcu<'_>) -> Option<&'a Self> {
        REGISTRATION.under(net, rcu)
    }

    /// Keeps state in every namespace, with `activation` for its hooks, until the result is dropped.
    pub(crate) fn register(activation: Activation) -> Result<Registered<Self>> {
        ACTIVATION.populate(activation);
        REGISTRATION.register()
    }

    /// Registers hooks that get this state; what activations do. They are gone before it is.
    pub(crate) fn hook(&self, hooks: impl IntoIterator<Item = Description<Self>>) -> Result<Hooks> {
        // SAFETY: `pre_exit` drops them and waits.
        unsafe { Hooks::register(self.net(), self, hooks) }
    }

    /// The configuration, for reading and changing. May sleep.
    pub(crate) fn config(&self) -> ConfigGuard<'_> {
        ConfigGuard::new(&self.live, self, self.config.lock())
    }

    /// Starts with the limit that the first namespace sets.
    #[inline(never)]
    fn inherit(&self) -> Result {
        let mut config = self.config.lock();
        config.inherit(self.net().is_first(), &self.settings, self)
    }

    /// Shows connections to `visit`; see [`Connections::list`]. May sleep, and keeps the worker
    /// waiting for a slice only.
    ///
    /// The second part counts the table's resizes: when it differs between two calls, connections
    /// may have been left out or shown twice.
    ///
    /// [`Connections::list`]: super::connections::Connections::list
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

    /// Calls `f` while the table is not resized. May sleep.
    pub(super) fn without_resize<R>(&self, f: impl FnOnce() -> R) -> R {
        let _no_resize = self.maintenance.lock();
        f()
    }

    /// As [`Netns::connections`], of their records.
    pub(crate) fn records(
        &self,
        cursor: ConnCursor,
        mut visit: impl FnMut(Connection) -> ControlFlow<()>,
    ) -> (Option<ConnCursor>, u32) {
        let _no_resize = self.maintenance.lock();
        let resizes = self.connections.resizes();
        let next = self.connections.walk(cursor, &self.settings, |conn| {
            conn.record().map_or(ControlFlow::Continue(()), &mut visit)
        });
        (next, resizes)
    }

    /// Makes the table fit what is in it at once, as many connections come together. May sleep.
    pub(crate) fn make_room(&self) {
        let guard = kernel::sync::rcu::read_lock();
        let is_crowded = self.connections.is_crowded(Rcu::of(&guard));
        drop(guard);
        if is_crowded {
            let _alone = self.maintenance.lock();
            let charge = self.charge();
            self.connections.resize();
            drop(charge);
        }
    }

    /// Ends connections of a selection, of one service or of all, and says how many. May sleep.
    pub(crate) fn flush_connections(
        &self,
        service: Option<&ServiceId>,
        selection: &Selection,
    ) -> u64 {
        let no_resize = self.maintenance.lock();
        let ended =
            self.connections
                .end_selected(service, selection, &self.settings, self.telling_ends());
        drop(no_resize);
        self.waking.hurry();
        ended
    }

    /// Lets go of ways, to dests and back to clients.
    pub(super) fn forget_ways(&self, which: Which) {
        self.config
            .lock()
            .for_each_dest(|dest| dest.forget_way(which));
        self.ways.forget(which);
    }

    /// Ends the connections of dests whose deadline has passed. The table is not resized meanwhile.
    fn end_overdue(&self, overdue: &drain::Overdue) {
        let ask = ON_LEAVE.as_ref().copied();
        let ask = ask.map(|ask| move |conn: &Conn, side, rcu: Rcu<'_>| ask(self, conn, side, rcu));
        let ask = ask.as_ref().map(|ask| ask as Leave<'_>);
        drain::end_connections(&self.connections, overdue, ask, self.telling_ends());
    }

    /// Tells other directors of connections that are ended, and whether to wait with more.
    fn telling_ends(&self) -> (impl Fn(&Conn, Rcu<'_>) + '_, impl Fn() -> bool + '_) {
        (
            |conn: &Conn, rcu: Rcu<'_>| self.has_ended(conn, rcu),
            || self.is_pressed(),
        )
    }
}

impl Activate for Netns {
    fn activate(&self, version: u8, turn: Turn, posts: Posts) -> Result<Hooks> {
        ACTIVATION.as_ref().ok_or(EINVAL)?(self, version, turn, posts)
    }
}

/// The work that looks after connections, dests and ways.
struct Upkeep;

impl Work<Upkeep> for Netns {
    /// Fits the table to its load, ends what has expired, frees what has ended.
    fn run(&self) -> Option<u32> {
        let overdue = drain::overdue(&self.config());
        let mut cursor = self.maintenance.lock();
        // Before the look at the number of connections.
        self.waking.begins();
        let charge = self.charge();
        self.connections.resize();
        drop(charge);
        self.end_overdue(&overdue);
        let pressed = self.defence.ends_entries().then(time::uptime);
        let clock = self.clock();
        let look = |conn: &Conn, rcu: Rcu<'_>| match self.outbox(rcu) {
            Some(_) if conn.is_ended() => self.has_ended(conn, rcu),
            Some(outbox) => self.look_at(outbox, clock, conn),
            None => {}
        };
        let swept = self
            .connections
            .sweep(*cursor, &self.settings, pressed, look);
        *cursor = swept.next;
        self.counters
            .count_many(Counter::ConnsExpired, swept.expired);
        self.counters.count_many(Counter::NoReply, swept.unanswered);
        self.counters
            .count_many(Counter::ConnsDropped, swept.dropped);
        self.connections.reap();
        drop(cursor);
        if self.have_output_rules_changed() {
            self.forget_ways(Which::All);
        }
        self.complaints
            .tell(|show| self.config.lock().for_each_dest(show));
        self.expected.sweep();
        let turn = time::now() / TICK;
        if turn % TIDY_TURNS == 0 {
            self.forget_ways(Which::Idle);
        }
        let mut config = self.config();
        config.follow_rules();
        config.follow_tracked();
        self.defence.look(&config.settings());
        config.tell_templates(turn);
        let templates = config.sweep_templates(turn, pressed);
        let draining = drain::end_drains(&mut config) | config.warm_up();
        let lingering = config.bury_removed() || templates || draining;
        drop(config);
        if self.is_busy() || lingering {
            return Some(TICK);
        }
        // They would hold neighbours and devices for nothing.
        self.forget_ways(Which::All);
        let is_needed = || {
            let config = self.config();
            self.is_busy() || config.has_removed() || config.is_draining() || config.has_warming()
        };
        (!self.waking.sleeps(is_needed)).then_some(TICK)
    }

    fn worker(&self) -> &Worker {
        self.waking.worker()
    }
}

/// The work that estimates rates of traffic.
struct Rates;

impl Work<Rates> for Netns {
    fn run(&self) -> Option<u32> {
        let mut config = self.config();
        self.estimation.run(|| config.estimate())
    }

    fn worker(&self) -> &Worker {
        self.estimation.worker()
    }
}

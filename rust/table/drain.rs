// SPDX-License-Identifier: GPL-2.0

//! Dests that drain: they take no new connections, and those that they have end by themselves or
//! at a deadline.
//!
//! At the deadline both ends of a TCP connection are reset. That takes their numbers, which packets
//! do not leave behind here; so who speaks is answered, and who only waits is asked, some at a time.

use core::ptr;

use kernel::{
    prelude::*,
    sync::{Arc, SetOnce},
};

use super::{
    config::{ConfigGuard, Member},
    connections::{Conn, Connections, Side},
    dest::Dest,
};
use crate::{
    engine::proto::State,
    kapi::{netns::Net, rcu::Rcu, sort, time},
};

/// Told of a dest whose last connection has ended, with the configuration locked.
pub(crate) type OnDrained = fn(&Net, &ConfigGuard<'_>, &Member);

static ON_DRAINED: SetOnce<OnDrained> = SetOnce::new();

/// Asks the end of a connection on that side where it is. A connection whose dest's packets pass
/// this host by has only its client to ask.
pub(super) type Leave<'a> = &'a dyn Fn(&Conn, Side, Rcu<'_>);

/// Dests whose deadline has passed and that have connections, in the order of their addresses in memory.
pub(super) type Overdue = KVVec<Arc<Dest>>;

/// How far a connection's end is: nobody was asked yet,
const NOT_ASKED: u8 = 0;
/// its dest was,
const ASKED_DEST: u8 = 1;
/// its client was too,
const ASKED_CLIENT: u8 = 2;
/// or both were told.
const TOLD: u8 = 3;

/// Questions of a turn of the worker, four of which are in a second: each has an answer and two
/// resets.
const ASKED_AT_ONCE: u32 = 4_000;

/// Ticks that an answer may take.
const ANSWER_TICKS: u32 = time::seconds(1);

/// Ticks without a word after which those that were told have heard it.
const SETTLED_TICKS: u32 = time::HZ / 2;

/// Seconds after the deadline for which those are listened to who have not.
const PATIENCE: u32 = 10;

/// Sets who is told, once.
pub(crate) fn on_drained(told: OnDrained) {
    ON_DRAINED.populate(told);
}

/// Those that are overdue. Without memory none; it is asked again before long.
pub(super) fn overdue(config: &ConfigGuard<'_>) -> Overdue {
    let mut overdue = KVVec::new();
    if !config.is_draining() {
        return overdue;
    }
    for dest in config.shared_dests().filter(|dest| dest.is_overdue()) {
        if overdue.push(dest.clone(), GFP_KERNEL).is_err() {
            break;
        }
    }
    // Each connection is looked for among them.
    sort::by_key(&mut overdue, address);
    overdue
}

/// Brings the end of dests' connections forward, of which some ends are to be told first, by `ask`. May
/// sleep; the table is not resized meanwhile.
pub(super) fn end_connections(
    connections: &Connections,
    dests: &Overdue,
    ask: Option<Leave<'_>>,
    (gone, wait): (impl Fn(&Conn, Rcu<'_>), impl Fn() -> bool),
) {
    if dests.is_empty() {
        return;
    }
    for dest in dests {
        // Who speaks is told.
        dest.life().dismiss();
    }
    let mut asked = 0u32;
    let which = |conn: &Conn, rcu: Rcu<'_>| {
        let at = ptr::from_ref(conn.dest()) as usize;
        let is_over = dests.binary_search_by_key(&at, address).is_ok()
            && take_leave(conn, &mut asked, ask, rcu);
        if is_over {
            conn.dest().life().count_drain_ended();
        }
        is_over
    };
    connections.remove_all(which, gone, wait);
}

/// Asks an end of a connection, which may only wait, where it is: from the answer both are told.
/// True when there is nothing more to be done for them.
fn take_leave(conn: &Conn, asked: &mut u32, ask: Option<Leave<'_>>, rcu: Rcu<'_>) -> bool {
    let is_late = conn.dest().life().overdue_for() > PATIENCE;
    let (side, step) = match conn.farewell() {
        _ if !is_between_two(conn) => return true,
        // The dest first: between it and this host is nobody who lets only right numbers pass.
        NOT_ASKED => (Side::Dest, ASKED_DEST),
        ASKED_DEST if conn.silent() >= ANSWER_TICKS => (Side::Client, ASKED_CLIENT),
        ASKED_CLIENT => return conn.silent() >= ANSWER_TICKS,
        TOLD => return is_late || conn.silent() >= SETTLED_TICKS,
        _ => return false,
    };
    let Some(ask) = ask else {
        return true;
    };
    if *asked < ASKED_AT_ONCE {
        *asked = asked.saturating_add(1);
        conn.set_farewell(step);
        ask(conn, side, rcu);
    }
    false
}

impl Conn {
    /// Both ends have been told that it is over; who did not hear it will speak again.
    pub(crate) fn told(&self) {
        self.set_farewell(TOLD);
    }
}

/// Whether both ends of a connection may still wait for the other.
fn is_between_two(conn: &Conn) -> bool {
    // Once they are asked their answers decide.
    let is_open = matches!(
        conn.state(),
        State::Established | State::FinWait | State::CloseWait
    );
    conn.farewell() != NOT_ASKED || is_open
}

/// Where a dest is in memory.
fn address(dest: &Arc<Dest>) -> usize {
    ptr::from_ref::<Dest>(dest) as usize
}

/// Ends the draining of dests that have no connections any more, and tells of it. True while others
/// drain.
pub(super) fn end_drains(config: &mut ConfigGuard<'_>) -> bool {
    if !config.is_draining() {
        return false;
    }
    let mut others = false;
    for service in config.services() {
        for member in service.dests() {
            let dest = member.dest();
            if dest.life().drain_left().is_none() {
                continue;
            }
            if dest.has_connections() {
                others = true;
                continue;
            }
            dest.life().set_deadline(None);
            if let Some(told) = ON_DRAINED.as_ref() {
                told(config.net(), config, member);
            }
        }
    }
    config.set_draining(others);
    others
}

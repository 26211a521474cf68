// SPDX-License-Identifier: GPL-2.0

//! The sweep: it ends connections that have been silent for too long, a slice of the table at a time.

use super::{
    conn::Conn,
    table::{Connections, BATCH},
};
use crate::{
    kapi::{rcu::Rcu, time, trace::End, work},
    table::settings::LiveSettings,
};

/// Buckets that one sweep looks at, at most.
const SWEEP_MAX: u32 = 1 << 18;

/// Sweeps that it takes to look at all buckets of a small table.
const SWEEPS: u32 = 4;

/// What came of a sweep.
pub(in crate::table) struct Swept {
    /// Where the next one starts.
    pub(in crate::table) next: u32,
    /// How many connections had been silent for too long.
    pub(in crate::table) expired: u32,
    /// How many of them nothing had come of.
    pub(in crate::table) unanswered: u32,
    /// How many were done without.
    pub(in crate::table) dropped: u32,
}

impl Connections {
    /// Ends connections that were silent for too long, in a slice of the table that starts at
    /// `cursor`. With `pressed`, a number that is another each second, those that can be done
    /// without in one of 32 buckets as well, as `ip_vs` does. Shows these and the others to `look`. May
    /// sleep.
    pub(in crate::table) fn sweep(
        &self,
        cursor: u32,
        settings: &LiveSettings,
        pressed: Option<u32>,
        look: impl Fn(&Conn, Rcu<'_>),
    ) -> Swept {
        let guard = kernel::sync::rcu::read_lock();
        let len = self.current(Rcu::of(&guard)).len();
        drop(guard);
        let mut bucket = cursor & (len - 1);
        let (mut expired, mut unanswered, mut dropped) = (0u32, 0u32, 0u32);
        let mut left = (len / SWEEPS).clamp(1, SWEEP_MAX);
        while left > 0 {
            let batch = left.min(BATCH);
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            let (table, now) = (self.current(rcu), time::now());
            for _ in 0..batch {
                let pressed = pressed.is_some_and(|turn| (turn ^ bucket) & 31 == 0);
                for conn in table.bucket(bucket, rcu) {
                    if conn.is_expired(now, settings) {
                        let in_vain = conn.is_unanswered();
                        let ended = self.remove(conn, End::Expired, rcu);
                        expired = expired.wrapping_add(ended.into());
                        if ended && in_vain {
                            conn.dest().count_no_reply();
                            unanswered = unanswered.wrapping_add(1);
                        }
                    } else if pressed && conn.is_expendable(now) {
                        let ended = self.remove(conn, End::Overload, rcu);
                        dropped = dropped.wrapping_add(ended.into());
                        if ended {
                            look(conn, rcu);
                        }
                    } else {
                        self.census.see(conn.state());
                        conn.tell_again(now);
                        conn.settle(self.net);
                        look(conn, rcu);
                    }
                }
                bucket = bucket.wrapping_add(1) & (len - 1);
                if bucket == 0 {
                    self.census.complete();
                }
            }
            drop(guard);
            left = left.wrapping_sub(batch);
            work::give_way();
        }
        Swept {
            next: bucket,
            expired,
            unanswered,
            dropped,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Telling the log which dests lack local ports, not often.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel::prelude::*;

use super::dest::Dest;
use crate::kapi::time;

/// Ticks between two lines in the log about a namespace's lack of ports.
const COMPLAINT_TICKS: u32 = 10 * time::HZ;

/// What there is to tell.
pub(super) struct Complaints {
    /// Whether a dest has lacked ports since that was last looked at.
    exhausted: AtomicBool,
    /// When the log was last told so, in ticks.
    complained: AtomicU32,
}

impl Complaints {
    /// Nothing; the first may be told at once.
    pub(super) fn new() -> Self {
        Self {
            exhausted: AtomicBool::new(false),
            complained: AtomicU32::new(time::now().wrapping_sub(COMPLAINT_TICKS)),
        }
    }

    /// A dest lacks ports.
    pub(super) fn note(&self) {
        self.exhausted.store(true, Ordering::Relaxed);
    }

    /// Tells the log of one of the dests that lack ports, which `for_each_dest` shows, if it is time to.
    pub(super) fn tell(&self, for_each_dest: impl FnOnce(&mut dyn FnMut(&Dest))) {
        let now = time::now();
        let since = now.wrapping_sub(self.complained.load(Ordering::Relaxed));
        if !self.exhausted.load(Ordering::Relaxed) || since < COMPLAINT_TICKS {
            return;
        }
        self.exhausted.store(false, Ordering::Relaxed);
        let mut said = false;
        for_each_dest(&mut |dest| {
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

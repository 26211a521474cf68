// SPDX-License-Identifier: GPL-2.0

//! What one connection carried, where its service keeps accounts, and what a helper has made of it.
//!
//! Such a connection is made with its account behind it; others have no room for one, and their
//! packets do not ask: see `needs_care` of their dest.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::{conn::Conn, node::Side};
use crate::{engine::helper::lengths::Lengths, kapi::time};

/// A connection of any layout with its account.
#[repr(C)]
pub(super) struct Accounted<T> {
    pub(super) conn: T,
    pub(super) ledger: Ledger,
}

impl<T> Accounted<T> {
    /// A connection that begins, with nothing carried.
    pub(super) fn new(conn: T) -> Self {
        Self {
            conn,
            ledger: Ledger::new(),
        }
    }
}

/// The account, as packets write it.
pub(super) struct Ledger {
    /// Second of the uptime at which the connection began.
    began: AtomicU32,
    /// By [`Side`] of the sender.
    packets: [AtomicU64; 2],
    /// As above; from the IP header on.
    bytes: [AtomicU64; 2],
    /// As above, words of [`Lengths`].
    lengths: [AtomicU64; 2],
    /// Whether the client has asked to be told where to open a connection to.
    asked: AtomicBool,
}

impl Ledger {
    fn new() -> Self {
        Self {
            began: AtomicU32::new(time::uptime()),
            packets: [const { AtomicU64::new(0) }; 2],
            bytes: [const { AtomicU64::new(0) }; 2],
            lengths: [const { AtomicU64::new(0) }; 2],
            asked: AtomicBool::new(false),
        }
    }
}

/// What a connection carried, as an operator sees it.
pub(crate) struct Account {
    /// Seconds since it began.
    pub(crate) age: u32,
    /// Packets of the client.
    pub(crate) in_packets: u64,
    /// Packets of the dest, of modes in which they come by here.
    pub(crate) out_packets: u64,
    /// Bytes of the client, from the IP header on.
    pub(crate) in_bytes: u64,
    /// Bytes of the dest, likewise.
    pub(crate) out_bytes: u64,
}

impl Conn {
    /// Counts a packet that `side` sent, if it has an account and its service still keeps them.
    /// `bytes` from the IP header on.
    #[cold]
    pub(crate) fn account_for(&self, side: Side, bytes: u32) {
        if !self.dest.life().is_accounted() {
            return;
        }
        let Some(ledger) = self.ledger() else { return };
        if let Some(packets) = ledger.packets.get(side as usize) {
            packets.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(sum) = ledger.bytes.get(side as usize) {
            sum.fetch_add(bytes.into(), Ordering::Relaxed);
        }
    }

    /// By how much the lines of `side` have grown that were written anew.
    pub(crate) fn lengths(&self, side: Side) -> Lengths {
        let lengths = self.ledger().and_then(|it| it.lengths.get(side as usize));
        lengths.map_or(Lengths::NONE, |word| Lengths::of_word(read(word)))
    }

    /// They have grown. False where there is no place to remember it.
    pub(crate) fn set_lengths(&self, side: Side, lengths: Lengths) -> bool {
        let place = self.ledger().and_then(|it| it.lengths.get(side as usize));
        place
            .map(|word| word.store(lengths.word(), Ordering::Relaxed))
            .is_some()
    }

    /// How the lines of the client and of the dest have grown, if they have.
    #[inline(always)] // In the middle of a packet's way, for those that have none.
    pub(super) fn both_lengths(&self) -> Option<[Lengths; 2]> {
        self.ledger()?;
        let lengths = [Side::Client, Side::Dest].map(|side| self.lengths(side));
        lengths.iter().any(|it| !it.is_none()).then_some(lengths)
    }

    /// As another director has told.
    pub(super) fn set_both_lengths(&self, lengths: Option<[Lengths; 2]>) {
        let sides = [Side::Client, Side::Dest].into_iter();
        for (side, lengths) in sides.zip(lengths.into_iter().flatten()) {
            self.set_lengths(side, lengths);
        }
    }

    /// Whether the client has asked to be told where to open a connection to.
    pub(crate) fn has_asked(&self) -> bool {
        self.ledger()
            .is_some_and(|it| it.asked.load(Ordering::Relaxed))
    }

    /// It has, or it does without.
    pub(crate) fn set_asked(&self, asked: bool) {
        if let Some(ledger) = self.ledger() {
            ledger.asked.store(asked, Ordering::Relaxed);
        }
    }

    /// Goes on with what it carried before the module was changed, where there is an account of it.
    pub(super) fn set_account(&self, (age, carried): (u32, [u64; 4])) {
        let Some(ledger) = self.ledger() else { return };
        let began = time::uptime().saturating_sub(age);
        ledger.began.store(began, Ordering::Relaxed);
        let sums = ledger.packets.iter().chain(&ledger.bytes);
        for (sum, number) in sums.zip(carried) {
            sum.store(number, Ordering::Relaxed);
        }
    }

    /// What it carried, if it has an account.
    pub(super) fn account(&self) -> Option<Account> {
        let ledger = self.ledger()?;
        let [in_packets, out_packets] = ledger.packets.each_ref().map(read);
        let [in_bytes, out_bytes] = ledger.bytes.each_ref().map(read);
        Some(Account {
            age: time::uptime().saturating_sub(ledger.began.load(Ordering::Relaxed)),
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        })
    }
}

fn read(sum: &AtomicU64) -> u64 {
    sum.load(Ordering::Relaxed)
}

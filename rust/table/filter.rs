// SPDX-License-Identifier: GPL-2.0

//! The cheap test that turns strangers away.

use core::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
};

/// Places in a filter: 2 KiB, so that even with 200 addresses only a tenth of strangers goes on to
/// the look-up of connections, where they are turned away as well. A byte a place, not a bit: every
/// packet of the host is asked, and a byte takes half of the instructions.
const PLACES: usize = 2048;

/// What of a family's packets is looked at.
pub(crate) struct Gate {
    /// Lets packets to virtual addresses in.
    pub(crate) virtual_addresses: AddressFilter,
    /// Lets packets from dests in whose replies get other addresses.
    pub(crate) translated_dests: AddressFilter,
    /// Whether new flows wait for their marks.
    marks: AtomicBool,
    /// Whether replies of dests wait for their marks.
    replies: AtomicBool,
    /// Whether packets are taken ahead of the rules of INPUT.
    ahead: AtomicBool,
}

impl Gate {
    /// Lets nothing in.
    pub(super) fn new() -> Self {
        Self {
            virtual_addresses: AddressFilter::new(),
            translated_dests: AddressFilter::new(),
            marks: AtomicBool::new(false),
            replies: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
        }
    }

    /// Whether packets are taken ahead of the rules of INPUT.
    #[inline(always)]
    pub(crate) fn is_ahead_of_input(&self) -> bool {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Packets are from now on, or are not.
    pub(crate) fn set_ahead_of_input(&self, ahead: bool) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Whether there are services by mark, so that new flows wait until they have theirs.
    pub(crate) fn has_marks(&self) -> bool {
        self.marks.load(Ordering::Relaxed)
    }

    /// Whether replies of dests wait for the marks by which they are routed.
    #[inline(always)]
    pub(crate) fn replies_wait(&self) -> bool {
        self.replies.load(Ordering::Relaxed)
    }

    pub(super) fn set_replies_wait(&self, wait: bool) {
        self.replies.store(wait, Ordering::Relaxed);
    }

    pub(super) fn set_marks(&self, marks: bool) {
        self.marks.store(marks, Ordering::Relaxed);
    }
}

/// What [`AddressFilter`] knows an address by.
pub(super) fn header_word(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => u32::from_ne_bytes(v4.octets()),
        IpAddr::V6(v6) => {
            let bits = u128::from_ne_bytes(v6.octets());
            ((bits >> 96) ^ (bits >> 64) ^ (bits >> 32) ^ bits) as u32
        }
    }
}

/// The bit of a place in which an address is that was set.
const SET: u8 = 1;

/// The bit of a place in which an address is that a packet added.
const ADDED: u8 = 2;

/// A set of addresses that may say yes to one that is not in it, never no to one that is.
pub(crate) struct AddressFilter {
    places: [AtomicU8; PLACES],
    is_empty: AtomicBool,
}

impl AddressFilter {
    /// The empty set.
    pub(super) fn new() -> Self {
        Self {
            places: [const { AtomicU8::new(0) }; PLACES],
            is_empty: AtomicBool::new(true),
        }
    }

    /// Whether `address`, as it stands in the header read in native order, may be in the set. Of an
    /// IPv6 address the exclusive or of its four words.
    #[inline(always)]
    pub(crate) fn may_contain(&self, address: u32) -> bool {
        match self.places.get(place(address)) {
            Some(place) => place.load(Ordering::Relaxed) != 0,
            None => false,
        }
    }

    /// Whether there is nothing in the set: cheaper to ask first where that is likely.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty.load(Ordering::Relaxed)
    }

    /// Puts an address in that stays there until [`AddressFilter::forget_added`].
    pub(crate) fn add(&self, address: u32) {
        if let Some(place) = self.places.get(place(address)) {
            if place.load(Ordering::Relaxed) & ADDED == 0 {
                place.fetch_or(ADDED, Ordering::Relaxed);
            }
        }
    }

    /// Puts an address in that stays there until the next [`AddressFilter::set`] without it. Not at
    /// the same time as that.
    pub(super) fn include(&self, address: u32) {
        if let Some(place) = self.places.get(place(address)) {
            if place.load(Ordering::Relaxed) & SET == 0 {
                place.fetch_or(SET, Ordering::Relaxed);
            }
        }
        self.is_empty.store(false, Ordering::Relaxed);
    }

    /// Takes the addresses out that were added and not set.
    pub(super) fn forget_added(&self) {
        for place in &self.places {
            if place.load(Ordering::Relaxed) & ADDED != 0 {
                place.fetch_and(!ADDED, Ordering::Relaxed);
            }
        }
    }

    /// Makes the set hold exactly `addresses`, and those that were added. Those in the old and the
    /// new set stay in it at every moment in between. One call at a time.
    pub(super) fn set(&self, addresses: impl Iterator<Item = u32>) {
        let mut wanted = [0u64; PLACES / 64];
        for address in addresses {
            let place = place(address);
            if let Some(word) = wanted.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
        for (places, word) in self.places.chunks(64).zip(wanted) {
            for (bit, place) in places.iter().enumerate() {
                let wanted = word >> (bit % 64) & 1 != 0;
                let is_set = place.load(Ordering::Relaxed) & SET != 0;
                // Packets change the other bit meanwhile.
                if wanted && !is_set {
                    place.fetch_or(SET, Ordering::Relaxed);
                } else if is_set && !wanted {
                    place.fetch_and(!SET, Ordering::Relaxed);
                }
            }
        }
        let is_empty = wanted.iter().all(|word| *word == 0);
        self.is_empty.store(is_empty, Ordering::Relaxed);
    }
}

/// Place of an address: the top bits of a multiplication by 2^32 over the golden ratio.
#[inline(always)]
const fn place(address: u32) -> usize {
    (address.wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACES.ilog2())) as usize
}

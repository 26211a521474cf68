// SPDX-License-Identifier: GPL-2.0

//! What waits to be sent to other directors: bounded queues of datagrams.

use core::{
    mem::take,
    sync::atomic::{AtomicU8, Ordering},
};

use kernel::prelude::*;

use crate::{
    engine::sync::{
        self,
        memo::{Clock, Memo},
        tail::{ROOM, TAIL_MAX},
        Draft, Entry, Range, Tail,
    },
    kapi::{buffer, locked::LockedArray, memcg, sign::Signer},
};

/// Datagrams whose room a queue keeps to use it again: allocating one takes more than filling it.
const SPARE_MAX: usize = 512;

/// A datagram.
pub(crate) struct Parcel {
    buffer: KVec<u8>,
    draft: Draft,
    /// Bytes with its tail.
    len: usize,
}

impl Parcel {
    fn new(outbox: &Outbox) -> Option<Self> {
        let mut buffer = buffer::zeroed(outbox.max_len, memcg::atomic_flags()).ok()?;
        let draft = Draft::begin(&mut buffer, outbox.id)?;
        let len = draft.len();
        Some(Self { buffer, draft, len })
    }

    /// An empty one again, in the room of one that nobody needs any more.
    fn again(mut self, outbox: &Outbox) -> Option<Self> {
        self.draft = Draft::begin(&mut self.buffer, outbox.id)?;
        self.len = self.draft.len();
        (self.buffer.len() == outbox.max_len).then_some(self)
    }

    /// One that has no entries, of directors with that id. May sleep.
    pub(crate) fn of_tail(id: u8) -> Result<Self> {
        let mut buffer = KVec::from_elem(0, TAIL_MAX, GFP_KERNEL_ACCOUNT)?;
        let draft = Draft::begin(&mut buffer, id).ok_or(EINVAL)?;
        let len = draft.len();
        Ok(Self { buffer, draft, len })
    }

    #[inline(always)]
    fn add(&mut self, add: impl Fn(&mut Draft, &mut [u8]) -> bool) -> bool {
        let end = self.buffer.len().saturating_sub(ROOM);
        let room = self.buffer.get_mut(..end).unwrap_or_default();
        add(&mut self.draft, room)
    }

    /// Puts a tail behind its entries, or another one in its place.
    pub(crate) fn close(&mut self, tail: &Tail, ranges: &[Range]) {
        let closed = self.draft.close(&mut self.buffer, tail, ranges);
        // There is room for it.
        self.len = closed.unwrap_or(self.draft.len());
    }

    /// Writes the signature, for which its tail has left room.
    pub(crate) fn sign(&mut self, key: &Signer) {
        let bytes = self.buffer.get_mut(..self.len).unwrap_or_default();
        if let Some((data, signature)) = bytes.split_last_chunk_mut() {
            // Nobody takes it where that fails.
            if let Ok(signed) = key.sign(data) {
                *signature = signed;
            }
        }
    }

    /// It as it is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

/// The queues, one for each port, of a daemon that sends.
pub(crate) struct Outbox {
    queues: LockedArray<Queue>,
    /// Those who belong together.
    id: u8,
    /// Bytes of a datagram at most.
    max_len: usize,
    /// Datagrams that may wait in a queue.
    waiting: usize,
    /// What a connection keeps that is told now.
    told: AtomicU8,
}

/// The queue of a hash, among so many.
pub(super) fn queue_of(hash: u32, queues: usize) -> usize {
    (hash as usize).checked_rem(queues).unwrap_or(0)
}

struct Queue {
    /// The one that is being written.
    open: Option<Parcel>,
    /// Those that are full.
    full: KVec<Parcel>,
    /// Those that nobody needs any more: their room is used again.
    spare: KVec<Parcel>,
}

impl Outbox {
    /// So many queues of datagrams of those lengths, of directors with that id.
    pub(crate) fn new(queues: usize, id: u8, max_len: usize, waiting: usize) -> Result<Self> {
        let queue = || Queue {
            open: None,
            full: KVec::new(),
            spare: KVec::new(),
        };
        Ok(Self {
            queues: LockedArray::new(queues, queue)?,
            id,
            max_len,
            waiting: sync::waiting(waiting, queues, max_len),
            told: AtomicU8::new(Memo::DUE.0),
        })
    }

    /// How late it is: whoever sends says so each time.
    pub(crate) fn set_clock(&self, clock: Clock) {
        self.told.store(Memo::told(clock).0, Ordering::Relaxed);
    }

    /// What a connection keeps that is told now.
    pub(super) fn told(&self) -> Memo {
        Memo(self.told.load(Ordering::Relaxed))
    }

    /// Puts an entry into the queue of a hash. False when there is no room or memory for it. What is
    /// not `urgent` leaves half of the room to what is.
    pub(super) fn put(&self, hash: u32, entry: &Entry<'_>, urgent: bool) -> bool {
        self.put_by(hash, urgent, |draft, room| draft.add(room, entry))
    }

    /// The same of one that is written at once.
    #[inline(always)] // In the middle of a packet's way.
    pub(super) fn put_brief<const N: usize>(
        &self,
        hash: u32,
        urgent: bool,
        entry: impl Fn() -> [u8; N],
    ) -> bool {
        self.put_by(hash, urgent, |draft, room| draft.add_brief(room, &entry))
    }

    #[inline(always)]
    fn put_by(&self, hash: u32, urgent: bool, add: impl Fn(&mut Draft, &mut [u8]) -> bool) -> bool {
        let index = queue_of(hash, self.queues.len());
        let put = self.queues.with(index, |queue| {
            if !urgent && queue.full.len() > self.waiting / 2 {
                return false;
            }
            queue.put(self, &add).is_some()
        });
        put.unwrap_or(false)
    }

    /// Puts an entry into a queue of that number. False when there is no room or memory for it.
    pub(super) fn put_at(&self, index: usize, entry: &Entry<'_>) -> bool {
        let add = |draft: &mut Draft, room: &mut [u8]| draft.add(room, entry);
        let put = self.queues.with(index, |queue| queue.put(self, add));
        put.flatten().is_some()
    }

    /// Whether half of the room of a queue is taken.
    pub(super) fn is_pressed(&self) -> bool {
        let half = self.waiting / 2;
        let is_half = |index| self.queues.with(index, |queue| queue.full.len() > half);
        (0..self.queues.len()).any(|index| is_half(index) == Some(true))
    }

    /// Gives a queue a datagram whose room it may use again.
    pub(crate) fn give_back(&self, index: usize, parcel: Parcel) {
        self.queues.with(index, |queue| {
            let has_room = queue.spare.len() < SPARE_MAX.min(self.waiting);
            if has_room && queue.spare.reserve(1, memcg::atomic_flags()).is_ok() {
                // There is room for it.
                let _ = queue.spare.push_within_capacity(parcel);
            }
        });
    }

    /// Takes all that waits in a queue; the last one may not be full.
    pub(crate) fn take(&self, index: usize) -> impl Iterator<Item = Parcel> {
        let taken = self.queues.with(index, |queue| {
            let open = queue.open.take();
            (take(&mut queue.full), open)
        });
        let (full, open) = taken.unwrap_or_default();
        Iterator::chain(full.into_iter(), open)
    }
}

impl Queue {
    /// `add` is in one place, so that it is a part of this and not called.
    #[inline(always)]
    fn put(&mut self, outbox: &Outbox, add: impl Fn(&mut Draft, &mut [u8]) -> bool) -> Option<()> {
        let mut has_new = false;
        loop {
            if let Some(parcel) = &mut self.open {
                if parcel.add(&add) {
                    return Some(());
                }
            }
            if has_new {
                return None;
            }
            self.open_another(outbox)?;
            has_new = true;
        }
    }

    #[cold]
    #[inline(never)]
    fn open_another(&mut self, outbox: &Outbox) -> Option<()> {
        if self.full.len() >= outbox.waiting {
            return None;
        }
        let spare = self.spare.pop().and_then(|spare| spare.again(outbox));
        let next = spare.or_else(|| Parcel::new(outbox))?;
        self.full.reserve(1, memcg::atomic_flags()).ok()?;
        if let Some(parcel) = self.open.replace(next) {
            // There is room for it.
            let _ = self.full.push_within_capacity(parcel);
        }
        Some(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! An array of chains, and how one array takes over from another while readers go on.
//!
//! A chain is moved node by node from its end: the last node is first linked into the new chain,
//! then cut from the old. A reader of the old chain meets every node that is still in it, and may
//! go on into a new chain behind the last, which does no harm: keys are compared. It looks at the
//! new array after the old, so it misses none. The kernel's `rhashtable` (lib/rhashtable.c) moves
//! chains in the same order.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};

use kernel::prelude::*;

use super::{
    conn::Conn,
    node::{Node, Side},
};
use crate::{
    engine::family::Tuple,
    kapi::{delay, memcg, rcu::Rcu},
};

/// The chains; a power of two of them.
///
/// # Invariants
///
/// Nodes in chains are parts of live [`Conn`]s. `future`, once set, is live for as long as
/// this is.
pub(super) struct Buckets {
    slots: KVVec<AtomicPtr<Node>>,
    mask: u32,
    future: AtomicPtr<Buckets>,
}

impl Buckets {
    /// `len` empty chains, a power of two. May sleep.
    pub(super) fn new(len: u32) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                slots: memcg::pointers(len as usize)?,
                mask: len.wrapping_sub(1),
                future: AtomicPtr::new(ptr::null_mut()),
            },
            GFP_KERNEL,
        )?)
    }

    /// How many chains.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.mask.wrapping_add(1)
    }

    #[inline(always)]
    fn slot(&self, hash: u32) -> &AtomicPtr<Node> {
        let index = (hash & self.mask) as usize;
        // SAFETY: There are `mask + 1` slots.
        unsafe { self.slots.get_unchecked(index) }
    }

    /// The array that is taking over from this one.
    #[inline]
    pub(super) fn future<'a>(&self, _rcu: Rcu<'a>) -> Option<&'a Self> {
        // SAFETY: By the invariant, and arrays are freed a grace period after they were replaced.
        unsafe { self.future.load(Ordering::Acquire).as_ref() }
    }

    pub(super) fn set_future(&self, future: NonNull<Self>) {
        // INVARIANT: The caller frees this array before that one.
        self.future.store(future.as_ptr(), Ordering::Release);
    }

    /// The connection with that key of that kind, and whose key it is.
    #[inline(always)]
    pub(super) fn find<'a, const KIND: u8>(
        &self,
        tuple: &impl Tuple,
        hash: u32,
        _rcu: Rcu<'a>,
    ) -> Option<(&'a Conn, Side)> {
        let mut node = NonNull::new(self.slot(hash).load(Ordering::Acquire))?;
        loop {
            // SAFETY: By the invariant, and connections are freed a grace period after they were
            // unlinked.
            let this = unsafe { node.as_ref() };
            // SAFETY: As above: it is part of a key.
            if unsafe { Node::is_of::<_, KIND>(node, tuple, hash) } {
                // SAFETY: As above.
                return Some((unsafe { Node::conn(node) }, this.side()));
            }
            node = NonNull::new(this.next.load(Ordering::Acquire))?;
        }
    }

    /// The connections whose client's key is in one chain; while the array is replaced also some
    /// of other chains.
    pub(super) fn bucket<'a>(&self, bucket: u32, _rcu: Rcu<'a>) -> impl Iterator<Item = &'a Conn> {
        let mut next = NonNull::new(self.slot(bucket).load(Ordering::Acquire));
        core::iter::from_fn(move || loop {
            let node = next?;
            // SAFETY: As in `find`.
            let this = unsafe { node.as_ref() };
            next = NonNull::new(this.next.load(Ordering::Acquire));
            if this.side() == Side::Client {
                // SAFETY: As in `find`.
                return Some(unsafe { Node::conn(node) });
            }
        })
    }

    /// Links a node in. The stripe of its hash is locked.
    pub(super) fn push(&self, node: NonNull<Node>) {
        // SAFETY: The caller hands over a live node.
        let this = unsafe { node.as_ref() };
        let slot = self.slot(this.hash());
        this.next
            .store(slot.load(Ordering::Relaxed), Ordering::Relaxed);
        slot.store(node.as_ptr(), Ordering::Release);
    }

    /// Cuts a node out. False when it is not in its chain. The stripe of `hash` is locked.
    pub(super) fn unlink(&self, node: *const Node, hash: u32) -> bool {
        let mut link = self.slot(hash);
        loop {
            let this = link.load(Ordering::Relaxed);
            if this.is_null() {
                return false;
            }
            // SAFETY: Nodes in a chain are live, and it does not change while it is locked.
            let next = &unsafe { &*this }.next;
            if ptr::eq(this, node) {
                // The node keeps its `next`, for readers that are at it.
                link.store(next.load(Ordering::Relaxed), Ordering::Release);
                return true;
            }
            link = next;
        }
    }

    /// Moves all nodes of a chain into `new`. The stripe of `bucket` is locked.
    pub(super) fn move_bucket(&self, bucket: u32, new: &Self) {
        loop {
            let mut link = self.slot(bucket);
            let Some(mut last) = NonNull::new(link.load(Ordering::Relaxed)) else {
                return;
            };
            loop {
                // SAFETY: As in `unlink`.
                let next = &unsafe { last.as_ref() }.next;
                let Some(after) = NonNull::new(next.load(Ordering::Relaxed)) else {
                    break;
                };
                (link, last) = (next, after);
            }
            new.push_moved(last);
            delay::here();
            link.store(ptr::null_mut(), Ordering::Release);
        }
    }

    /// As [`Buckets::push`], for a node that readers are at.
    fn push_moved(&self, node: NonNull<Node>) {
        // SAFETY: As in `push`.
        let this = unsafe { node.as_ref() };
        let slot = self.slot(this.hash());
        this.next
            .store(slot.load(Ordering::Relaxed), Ordering::Release);
        slot.store(node.as_ptr(), Ordering::Release);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A hash that is read under RCU and grows while it is read.
//!
//! Each node has two links: one for the present array of buckets, one for that which it becomes.
//! So an array is made beside the present one while readers walk the chains of the latter, and a
//! change is made to both until readers are sent to the new one.

use core::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
};

use kernel::prelude::*;

use super::{
    lock::{StripedLock, STRIPES},
    memcg,
    rcu::{self, Rcu},
    work::give_way,
};
use crate::bindings;

/// Fewest buckets: no bucket belongs to two stripes.
const BUCKETS_MIN: usize = STRIPES as usize;

/// Most buckets.
const BUCKETS_MAX: usize = 1 << 24;

/// One entry.
#[repr(C)]
struct Node<K, V> {
    // First, so that the callback finds the node by it.
    head: bindings::callback_head,
    next: [AtomicPtr<Node<K, V>>; 2],
    hash: u32,
    key: K,
    value: V,
}

/// An array of buckets.
struct Array<K, V> {
    buckets: KVVec<AtomicPtr<Node<K, V>>>,
    /// Which link of the nodes its chains use.
    link: usize,
    /// How many stripes have been moved to it; changed with the stripe held.
    moved: AtomicU32,
}

impl<K, V> Array<K, V> {
    fn new(len: usize, link: usize, moved: u32) -> Result<Self> {
        let moved = AtomicU32::new(moved);
        Ok(Self {
            buckets: memcg::pointers(len)?,
            link,
            moved,
        })
    }

    /// The chain of a hash. There is always one: the length is a power of two.
    #[inline]
    fn bucket(&self, hash: u32) -> Option<&AtomicPtr<Node<K, V>>> {
        self.buckets
            .get(hash as usize & self.buckets.len().wrapping_sub(1))
    }

    /// The link of a node in this array's chains.
    #[inline]
    fn link<'a>(&self, node: &'a Node<K, V>) -> &'a AtomicPtr<Node<K, V>> {
        let [even, odd] = &node.next;
        if self.link == 0 {
            even
        } else {
            odd
        }
    }

    /// Puts a node in. The stripe is held.
    fn push(&self, node: ptr::NonNull<Node<K, V>>) {
        // SAFETY: A node that is put into an array is live, say the callers.
        let this = unsafe { node.as_ref() };
        if let Some(bucket) = self.bucket(this.hash) {
            let first = bucket.load(Ordering::Relaxed);
            self.link(this).store(first, Ordering::Relaxed);
            bucket.store(node.as_ptr(), Ordering::Release);
        }
    }

    /// Takes the first node of a hash's chain out that `is_meant`. The stripe is held.
    fn unlink(
        &self,
        hash: u32,
        is_meant: impl Fn(&Node<K, V>) -> bool,
    ) -> Option<ptr::NonNull<Node<K, V>>> {
        let mut link = self.bucket(hash)?;
        loop {
            let this = ptr::NonNull::new(link.load(Ordering::Relaxed))?;
            // SAFETY: Nodes in a chain are live, and with the stripe held stay in it.
            let node = unsafe { this.as_ref() };
            if is_meant(node) {
                link.store(self.link(node).load(Ordering::Relaxed), Ordering::Release);
                return Some(this);
            }
            link = self.link(node);
        }
    }
}

/// Values by key.
///
/// # Invariants
///
/// `current` is a live array, `future` null, the same, or another live one; arrays are freed a
/// grace period after they are neither. Chains have live nodes, changed only under the stripe of
/// their hash; a node that was taken out is freed a grace period later.
pub(crate) struct RcuMap<K, V> {
    current: AtomicPtr<Array<K, V>>,
    future: AtomicPtr<Array<K, V>>,
    locks: StripedLock,
    len: AtomicUsize,
}

// SAFETY: Readers get shared references, writers hold locks; values are dropped on any thread.
unsafe impl<K: Send + Sync, V: Send + Sync> Send for RcuMap<K, V> {}
// SAFETY: As above.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for RcuMap<K, V> {}

impl<K: Copy + Eq + Send + Sync + 'static, V: Send + Sync + 'static> RcuMap<K, V> {
    /// An empty one. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let locks = StripedLock::new()?;
        let array = KBox::new(Array::new(BUCKETS_MIN, 0, STRIPES)?, GFP_KERNEL)?;
        Ok(Self {
            current: AtomicPtr::new(KBox::into_raw(array)),
            future: AtomicPtr::new(ptr::null_mut()),
            locks,
            len: AtomicUsize::new(0),
        })
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn current(&self) -> Option<&Array<K, V>> {
        // SAFETY: By the invariants; callers read under RCU, hold a stripe, or are the only ones
        // who replace arrays.
        unsafe { self.current.load(Ordering::Acquire).as_ref() }
    }

    /// The array that the stripe of `hash`, which is held, has been moved to as well.
    fn future(&self, hash: u32) -> Option<&Array<K, V>> {
        // First, as this one is emptied last.
        let future = self.future.load(Ordering::Acquire);
        if future == self.current.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: As in `current`.
        let future = unsafe { future.as_ref() }?;
        let stripe = hash & (STRIPES - 1);
        (stripe < future.moved.load(Ordering::Relaxed)).then_some(future)
    }

    /// The value of `key`, whose hash is `hash`.
    #[inline]
    pub(crate) fn find<'a>(&'a self, hash: u32, key: &K, _rcu: Rcu<'a>) -> Option<&'a V> {
        let array = self.current()?;
        let mut next = array.bucket(hash)?.load(Ordering::Acquire);
        // SAFETY: By the invariants nodes outlive the read lock that `_rcu` is evidence of.
        while let Some(node) = unsafe { next.as_ref() } {
            if node.key == *key {
                return Some(&node.value);
            }
            next = array.link(node).load(Ordering::Acquire);
        }
        None
    }

    /// Whether there is a key with that hash that `is_meant`.
    pub(crate) fn has(&self, hash: u32, is_meant: impl Fn(&K) -> bool, _rcu: Rcu<'_>) -> bool {
        let Some(array) = self.current() else {
            return false;
        };
        let bucket = array.bucket(hash);
        let mut next = bucket.map_or(ptr::null_mut(), |bucket| bucket.load(Ordering::Acquire));
        // SAFETY: As in `find`.
        while let Some(node) = unsafe { next.as_ref() } {
            if node.hash == hash && is_meant(&node.key) {
                return true;
            }
            next = array.link(node).load(Ordering::Acquire);
        }
        false
    }

    /// The key, of those near the bucket of `hash`, whose `worth` is least. Looks at `most` entries
    /// at most, and at four times as many buckets.
    pub(crate) fn least(
        &self,
        hash: u32,
        most: usize,
        worth: impl Fn(&K, &V) -> u64,
        _rcu: Rcu<'_>,
    ) -> Option<(K, u64)> {
        let array = self.current()?;
        let (mut found, mut seen) = (None, 0usize);
        for offset in 0..most.saturating_mul(4) as u32 {
            let bucket = array.bucket(hash.wrapping_add(offset))?;
            let mut next = bucket.load(Ordering::Acquire);
            // SAFETY: As in `find`.
            while let Some(node) = unsafe { next.as_ref() } {
                let worth = worth(&node.key, &node.value);
                if found.is_none_or(|(_, least)| worth < least) {
                    found = Some((node.key, worth));
                }
                seen = seen.saturating_add(1);
                if seen >= most {
                    return found;
                }
                next = array.link(node).load(Ordering::Acquire);
            }
        }
        found
    }

    /// Makes `value` that of `key`. True when it had one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then it has none. The flag comes along.
    pub(crate) fn insert(&self, hash: u32, key: K, value: V) -> (Result, bool) {
        let node = KBox::new(
            Node {
                head: bindings::callback_head::default(),
                next: [const { AtomicPtr::new(ptr::null_mut()) }; 2],
                hash,
                key,
                value,
            },
            memcg::atomic_flags(),
        );
        let _stripe = self.locks.lock(hash);
        let had = self.take_out(hash, &key);
        let (Ok(node), Some(current)) = (node, self.current()) else {
            return (Err(ENOMEM), had);
        };
        // SAFETY: A box is not at null.
        let node = unsafe { ptr::NonNull::new_unchecked(KBox::into_raw(node)) };
        if let Some(future) = self.future(hash) {
            future.push(node);
        }
        current.push(node);
        self.len.fetch_add(1, Ordering::Relaxed);
        (Ok(()), had)
    }

    /// Takes `key` out. True when it was in.
    pub(crate) fn remove(&self, hash: u32, key: &K, rcu: Rcu<'_>) -> bool {
        // Most are not in here, and need no lock.
        if self.find(hash, key, rcu).is_none() {
            return false;
        }
        let _stripe = self.locks.lock(hash);
        self.take_out(hash, key)
    }

    /// Takes `key` out; the stripe is held.
    fn take_out(&self, hash: u32, key: &K) -> bool {
        let Some(current) = self.current() else {
            return false;
        };
        let found = current.unlink(hash, |node| node.hash == hash && node.key == *key);
        if let Some(node) = found {
            self.forget(hash, node);
        }
        found.is_some()
    }

    /// Ends a node that was taken out of the present array; the stripe is held.
    fn forget(&self, hash: u32, node: ptr::NonNull<Node<K, V>>) {
        if let Some(future) = self.future(hash) {
            let _ = future.unlink(hash, |other| ptr::eq(other, node.as_ptr()));
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: Just taken out of all chains, so nobody else will free it; the module waits for
        // outstanding callbacks before it is unloaded.
        unsafe { bindings::call_rcu(&raw mut (*node.as_ptr()).head, Some(free::<K, V>)) };
    }

    /// Takes out what `keep` is false of. May sleep; not beside [`RcuMap::fit`].
    pub(crate) fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        let Some(current) = self.current() else {
            return;
        };
        let len = current.buckets.len() as u32;
        for bucket in 0..len {
            if bucket & 0xfff == 0xfff {
                give_way();
            }
            let _stripe = self.locks.lock(bucket);
            while let Some(node) = current.unlink(bucket, |node| !keep(&node.key, &node.value)) {
                self.forget(bucket, node);
            }
        }
    }

    /// Whether there are more than the buckets were made for.
    #[inline]
    pub(crate) fn is_crowded(&self, _rcu: Rcu<'_>) -> bool {
        let buckets = self.current().map_or(0, |array| array.buckets.len());
        self.len() > buckets && buckets < BUCKETS_MAX
    }

    /// Makes as many buckets as there should be. Only one at a time may; may sleep. True when there
    /// are more than the least.
    ///
    /// Without memory for it chains get longer, and nothing else.
    pub(crate) fn fit(&self) -> bool {
        let Some(old) = self.current() else {
            return false;
        };
        let len = old.buckets.len();
        let wanted = self
            .len()
            .clamp(BUCKETS_MIN, BUCKETS_MAX)
            .next_power_of_two();
        // Fewer only when most are of no use.
        if wanted > len || wanted < len / 4 {
            let _ = self.resize(old, wanted);
        }
        self.current()
            .is_some_and(|array| array.buckets.len() > BUCKETS_MIN)
    }

    fn resize(&self, old: &Array<K, V>, wanted: usize) -> Result {
        let array = KBox::new(Array::new(wanted, 1 - old.link, 0)?, GFP_KERNEL)?;
        let new = KBox::into_raw(array);
        self.future.store(new, Ordering::Release);
        // SAFETY: Just made; nobody else frees arrays.
        let array = unsafe { &*new };
        for stripe in 0..STRIPES {
            let _stripe = self.locks.lock(stripe);
            for bucket in old
                .buckets
                .iter()
                .skip(stripe as usize)
                .step_by(BUCKETS_MIN)
            {
                let mut next = bucket.load(Ordering::Relaxed);
                while let Some(node) = ptr::NonNull::new(next) {
                    array.push(node);
                    // SAFETY: With the stripe held the nodes of its chains stay.
                    next = old.link(unsafe { node.as_ref() }).load(Ordering::Relaxed);
                }
            }
            array.moved.store(stripe.wrapping_add(1), Ordering::Relaxed);
        }
        let old = self.current.swap(new, Ordering::AcqRel);
        self.future.store(ptr::null_mut(), Ordering::Release);
        // Readers of the old array; its links are used again for the next one.
        rcu::synchronize();
        // SAFETY: Made by us, and nobody uses it any more.
        drop(unsafe { KBox::from_raw(old) });
        Ok(())
    }
}

impl<K, V> Drop for RcuMap<K, V> {
    fn drop(&mut self) {
        // SAFETY: Nobody uses the map any more, so its arrays and nodes are ours.
        let array = unsafe { KBox::from_raw(*self.current.get_mut()) };
        for first in &array.buckets {
            let mut next = first.load(Ordering::Relaxed);
            while !next.is_null() {
                // SAFETY: As above.
                let node = unsafe { KBox::from_raw(next) };
                next = array.link(&node).load(Ordering::Relaxed);
            }
        }
    }
}

/// Frees a node.
extern "C" fn free<K, V>(head: *mut bindings::callback_head) {
    // SAFETY: `head` is the first field of a node that was taken out of a map.
    drop(unsafe { KBox::from_raw(head.cast::<Node<K, V>>()) });
}

// SPDX-License-Identifier: GPL-2.0

//! What is known of some sockets beside what they know themselves: a hash by their address, read
//! under RCU.

use core::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

use kernel::{
    alloc::flags::{GFP_ATOMIC, __GFP_NOWARN},
    prelude::*,
};

use super::{lock::StripedLock, rcu::Rcu, sock::Sock};
use crate::bindings;

/// Buckets; a power of two and no less than the stripes of a [`StripedLock`].
const BUCKETS: usize = 1 << 16;

/// One socket's.
#[repr(C)]
struct Node<V> {
    // First, so that the callback finds the node by it.
    head: bindings::callback_head,
    next: AtomicPtr<Node<V>>,
    /// Address of the socket.
    sock: usize,
    value: V,
}

/// Values of sockets.
///
/// # Invariants
///
/// There are [`BUCKETS`] chains of live nodes, changed only under the bucket's stripe; a node that
/// was taken out is freed a grace period later.
pub(crate) struct SockMap<V> {
    buckets: KVVec<AtomicPtr<Node<V>>>,
    locks: StripedLock,
    len: AtomicUsize,
}

impl<V: Copy + Send + Sync + 'static> SockMap<V> {
    /// An empty one. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let mut buckets = KVVec::with_capacity(BUCKETS, GFP_KERNEL)?;
        for _ in 0..BUCKETS {
            buckets.push(AtomicPtr::new(ptr::null_mut()), GFP_KERNEL)?;
        }
        Ok(Self {
            buckets,
            locks: StripedLock::new()?,
            len: AtomicUsize::new(0),
        })
    }

    /// Whether there is nothing in it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// What is known of `sock`.
    #[inline]
    pub(crate) fn find(&self, sock: Sock<'_>, _rcu: Rcu<'_>) -> Option<V> {
        let mut next = self.buckets.get(bucket(sock))?.load(Ordering::Acquire);
        // SAFETY: By the invariants nodes outlive the read lock that `_rcu` is evidence of.
        while let Some(node) = unsafe { next.as_ref() } {
            if node.sock == sock.address() {
                return Some(node.value);
            }
            next = node.next.load(Ordering::Acquire);
        }
        None
    }

    /// Makes `value` what is known of `sock`, and gives what was.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then nothing is known of it.
    pub(crate) fn insert(&self, sock: Sock<'_>, value: V) -> (Result, Option<V>) {
        let node = KBox::new(
            Node {
                head: bindings::callback_head::default(),
                next: AtomicPtr::new(ptr::null_mut()),
                sock: sock.address(),
                value,
            },
            GFP_ATOMIC | __GFP_NOWARN,
        );
        let at = bucket(sock);
        let (Some(first), Some(_stripe)) = (self.buckets.get(at), self.locks.lock(at as u32))
        else {
            return (Err(EINVAL), None);
        };
        let old = self.unlink(first, sock);
        match node {
            Ok(node) => {
                node.next
                    .store(first.load(Ordering::Relaxed), Ordering::Relaxed);
                first.store(KBox::into_raw(node), Ordering::Release);
                self.len.fetch_add(1, Ordering::Relaxed);
                (Ok(()), old)
            }
            Err(_) => (Err(ENOMEM), old),
        }
    }

    /// Forgets what is known of `sock`, and gives it.
    pub(crate) fn remove(&self, sock: Sock<'_>, rcu: Rcu<'_>) -> Option<V> {
        // Most sockets are not in here, and need no lock.
        self.find(sock, rcu)?;
        let at = bucket(sock);
        let first = self.buckets.get(at)?;
        let _stripe = self.locks.lock(at as u32)?;
        self.unlink(first, sock)
    }

    /// Takes the node of `sock` out of the chain at `first`, whose stripe is held.
    fn unlink(&self, first: &AtomicPtr<Node<V>>, sock: Sock<'_>) -> Option<V> {
        let mut link = first;
        loop {
            let this = link.load(Ordering::Relaxed);
            // SAFETY: By the invariants; with the stripe held nobody takes nodes out but us.
            let node = unsafe { this.as_ref() }?;
            if node.sock == sock.address() {
                let value = node.value;
                link.store(node.next.load(Ordering::Relaxed), Ordering::Release);
                self.len.fetch_sub(1, Ordering::Relaxed);
                // SAFETY: Just taken out, so nobody else will free it; the module waits for
                // outstanding callbacks before it is unloaded.
                unsafe { bindings::call_rcu(ptr::addr_of_mut!((*this).head), Some(free::<V>)) };
                return Some(value);
            }
            link = &node.next;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for (at, first) in self.buckets.iter().enumerate() {
            if first.load(Ordering::Relaxed).is_null() {
                continue;
            }
            let Some(_stripe) = self.locks.lock(at as u32) else {
                return;
            };
            let mut next = first.swap(ptr::null_mut(), Ordering::AcqRel);
            // SAFETY: By the invariants; the stripe is held.
            while let Some(node) = unsafe { next.as_ref() } {
                let this = next;
                next = node.next.load(Ordering::Relaxed);
                self.len.fetch_sub(1, Ordering::Relaxed);
                // SAFETY: As in `unlink`.
                unsafe { bindings::call_rcu(ptr::addr_of_mut!((*this).head), Some(free::<V>)) };
            }
        }
    }
}

impl<V> Drop for SockMap<V> {
    fn drop(&mut self) {
        for first in &mut self.buckets {
            let mut next = *first.get_mut();
            while !next.is_null() {
                // SAFETY: Nobody uses the map any more, so its nodes are ours.
                let node = unsafe { KBox::from_raw(next) };
                next = node.next.load(Ordering::Relaxed);
            }
        }
    }
}

/// The bucket of a socket, by its address: multiplied, the upper bits of the product.
#[inline]
fn bucket(sock: Sock<'_>) -> usize {
    let hash = (sock.address() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (64 - BUCKETS.trailing_zeros())) as usize
}

/// Frees a node.
extern "C" fn free<V>(head: *mut bindings::callback_head) {
    // SAFETY: `head` is the first field of a node that was taken out of a map.
    drop(unsafe { KBox::from_raw(head.cast::<Node<V>>()) });
}

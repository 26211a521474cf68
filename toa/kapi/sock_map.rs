// SPDX-License-Identifier: GPL-2.0

//! What is known of some sockets beside what they know themselves.

use kernel::{prelude::*, sync::Arc};

use super::{
    rcu::Rcu,
    rcu_map::RcuMap,
    sock::Sock,
    time,
    work::{Work, Worker},
};

/// Ticks until a map that is larger than the least is looked at again.
const TICKS: u32 = time::seconds(10);

/// Values of sockets, by their address.
#[pin_data]
pub(crate) struct SockMap<V: Send + Sync + 'static> {
    map: RcuMap<usize, V>,
    #[pin]
    worker: Worker,
}

impl<V: Send + Sync + 'static> Work for SockMap<V> {
    fn run(&self) -> Option<u32> {
        self.map.fit().then_some(TICKS)
    }

    fn worker(&self) -> &Worker {
        &self.worker
    }
}

impl<V: Send + Sync + 'static> SockMap<V> {
    /// What is known of `sock`.
    #[inline]
    pub(crate) fn find<'a>(&'a self, sock: Sock<'_>, rcu: Rcu<'a>) -> Option<&'a V> {
        let address = sock.address();
        self.map.find(hash(address), &address, rcu)
    }

    /// Makes `value` what is known of `sock`. True when something was.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then nothing is known of it.
    pub(crate) fn insert(&self, sock: Sock<'_>, value: V, rcu: Rcu<'_>) -> (Result, bool) {
        let address = sock.address();
        let inserted = self.map.insert(hash(address), address, value);
        if self.map.is_crowded(rcu) {
            self.worker.kick(0);
        }
        inserted
    }

    /// Forgets what is known of `sock`. True when something was.
    pub(crate) fn remove(&self, sock: Sock<'_>, rcu: Rcu<'_>) -> bool {
        let address = sock.address();
        self.map.remove(hash(address), &address, rcu)
    }

    /// Whether nothing is known of any.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.map.len() == 0
    }
}

/// Keeps a [`SockMap`] growing and shrinking.
pub(crate) struct Keeper<V: Send + Sync + 'static>(Arc<SockMap<V>>);

impl<V: Send + Sync + 'static> Keeper<V> {
    /// Makes an empty map. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let map = RcuMap::new()?;
        let init = pin_init!(SockMap {
            map,
            worker: Worker::new(),
        });
        let map = Arc::pin_init(init, GFP_KERNEL)?;
        // SAFETY: What an `Arc` holds stays where it is; not kicked before, and stopped in `drop`.
        unsafe { Worker::start(Pin::new_unchecked(&*map)) };
        Ok(Self(map))
    }

    /// The map.
    pub(crate) fn map(&self) -> Arc<SockMap<V>> {
        self.0.clone()
    }
}

impl<V: Send + Sync + 'static> Drop for Keeper<V> {
    fn drop(&mut self) {
        self.0.worker.stop();
    }
}

/// The hash of a socket's address: the upper bits of a product.
#[inline]
fn hash(address: usize) -> u32 {
    ((address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

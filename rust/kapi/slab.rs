// SPDX-License-Identifier: GPL-2.0

//! Slab caches for objects of one type.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use core::{
    marker::PhantomData,
    mem,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};

use kernel::{
    error::code::ENOMEM,
    prelude::*,
    str::{CStr, CStrExt},
};

use super::memcg;
use crate::bindings;

/// A module's cache of `T`s, there while a [`CacheHandle`] is.
///
/// # Invariants
///
/// `cache` is null or a live slab cache for objects of `T`'s size and alignment.
pub(crate) struct StaticCache<T> {
    cache: AtomicPtr<bindings::kmem_cache>,
    _objects: PhantomData<T>,
}

// SAFETY: Slab caches may be used from any thread.
unsafe impl<T: Send> Sync for StaticCache<T> {}

impl<T: Send> StaticCache<T> {
    /// No cache yet.
    pub(crate) const fn new() -> Self {
        Self {
            cache: AtomicPtr::new(ptr::null_mut()),
            _objects: PhantomData,
        }
    }

    /// Creates it with that name in /proc/slabinfo. Once, by the module's init.
    pub(crate) fn create(&'static self, name: &'static CStr) -> Result<CacheHandle<T>> {
        let (size, align) = (mem::size_of::<T>() as u32, mem::align_of::<T>() as u32);
        // SAFETY: `name` is a C string that lives for ever.
        let cache = unsafe { bindings::rvs_kmem_cache_create(name.as_char_ptr(), size, align) };
        if cache.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: Just made for `T`.
        self.cache.store(cache, Ordering::Release);
        Ok(CacheHandle { cache: self })
    }

    /// An object with that value, without sleeping; the value when there is no memory.
    pub(crate) fn alloc(&self, value: T) -> Result<NonNull<T>, T> {
        let cache = self.cache.load(Ordering::Relaxed);
        if cache.is_null() {
            return Err(value);
        }
        let flags = memcg::atomic_flags_raw();
        // SAFETY: By the invariant the cache is live.
        let object = unsafe { bindings::kmem_cache_alloc_noprof(cache, flags) };
        let Some(object) = NonNull::new(object.cast::<T>()) else {
            return Err(value);
        };
        // SAFETY: Fresh memory of `T`'s size and alignment.
        unsafe { object.write(value) };
        Ok(object)
    }

    /// Drops an object and takes its memory back.
    ///
    /// # Safety
    ///
    /// `object` came from [`StaticCache::alloc`] of this cache and nobody uses it any more.
    pub(crate) unsafe fn free(&self, object: NonNull<T>) {
        // SAFETY: The caller vouches that it is live and unused.
        unsafe { object.drop_in_place() };
        let cache = self.cache.load(Ordering::Relaxed);
        // SAFETY: It came from this cache, which is there as long as objects are.
        unsafe { bindings::kmem_cache_free(cache, object.as_ptr().cast()) };
    }
}

/// Keeps a cache. Its owner drops it after all objects were freed.
pub(crate) struct CacheHandle<T: Send + 'static> {
    cache: &'static StaticCache<T>,
}

impl<T: Send + 'static> Drop for CacheHandle<T> {
    fn drop(&mut self) {
        let cache = self.cache.cache.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: By the invariant the cache is live.
        unsafe { bindings::kmem_cache_destroy(cache) };
    }
}

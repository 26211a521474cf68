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
    error::to_result,
    prelude::*,
    str::{CStr, CStrExt},
};

use super::memcg;
use crate::bindings;

/// A module's cache of `T`s, made when something first needs it: one that nobody has used takes a module
/// no time to load, or to go.
///
/// # Invariants
///
/// `cache` is null or a live slab cache for objects of `T`'s size and alignment.
pub(crate) struct StaticCache<T> {
    cache: AtomicPtr<bindings::kmem_cache>,
    name: &'static CStr,
    _objects: PhantomData<T>,
}

// SAFETY: Slab caches may be used from any thread.
unsafe impl<T: Send> Sync for StaticCache<T> {}

impl<T: Send> StaticCache<T> {
    /// None yet; with that name in /proc/slabinfo.
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            cache: AtomicPtr::new(ptr::null_mut()),
            name,
            _objects: PhantomData,
        }
    }

    /// Makes it, if it is not there. May sleep.
    pub(crate) fn need(&'static self) -> Result {
        let (size, align) = (mem::size_of::<T>() as u32, mem::align_of::<T>() as u32);
        let (slot, name) = (self.cache.as_ptr(), self.name.as_char_ptr());
        // SAFETY: `name` is a C string that lives for ever, and so does `slot`, which is changed here, and when
        // its handle goes.
        // INVARIANT: What is made is made for `T`.
        to_result(unsafe { bindings::rvs_kmem_cache_need(slot, name, size, align) })
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

    /// Has it go with the result.
    pub(crate) fn goes(&'static self) -> CacheHandle<T> {
        CacheHandle { cache: self }
    }
}

/// Destroys a cache with itself, if it was made. Its owner drops it after all objects were freed, and when
/// nobody needs the cache any more.
pub(crate) struct CacheHandle<T: Send + 'static> {
    cache: &'static StaticCache<T>,
}

impl<T: Send + 'static> Drop for CacheHandle<T> {
    fn drop(&mut self) {
        let cache = self.cache.cache.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: By the invariant it is live, or null, of which nothing is to be done.
        unsafe { bindings::kmem_cache_destroy(cache) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Sorting.
//!
//! C header: [`include/linux/sort.h`](srctree/include/linux/sort.h)

use core::{
    cmp::Ordering,
    ffi::{c_int, c_void},
    mem, ptr,
};

use crate::bindings;

/// Sorts `items` by their keys, those with the same in any order. May sleep.
///
/// In place of the sort of `core`, which panics where an order contradicts itself.
pub(crate) fn by_key<T, K: Ord>(items: &mut [T], key: fn(&T) -> K) {
    // SAFETY: These are the items, which may be moved in memory as anything in Rust; `compare` is
    // for their type and gets `key`, which outlives the call.
    unsafe {
        bindings::rvs_sort(
            items.as_mut_ptr().cast(),
            items.len(),
            mem::size_of::<T>(),
            Some(compare::<T, K>),
            ptr::from_ref(&key).cast(),
        )
    }
}

/// # Safety
///
/// `a` and `b` point to a `T` each, `key` to a `fn(&T) -> K`.
unsafe extern "C" fn compare<T, K: Ord>(
    a: *const c_void,
    b: *const c_void,
    key: *const c_void,
) -> c_int {
    // SAFETY: By the contract of this function.
    let (a, b, key) = unsafe { (&*a.cast::<T>(), &*b.cast::<T>(), *key.cast::<fn(&T) -> K>()) };
    match key(a).cmp(&key(b)) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

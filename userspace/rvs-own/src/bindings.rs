// SPDX-License-Identifier: GPL-2.0

//! The C side of `own`, for tests on a host: memory is counted and may run out, the tree is one
//! without balance, which is as right.

#![allow(
    clippy::missing_safety_doc,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    non_camel_case_types,
    unsafe_op_in_unsafe_fn
)]

use core::{
    ffi::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicI32, AtomicIsize, Ordering},
};

pub type gfp_t = u32;
pub const GFP_ATOMIC: gfp_t = 1;
pub const GFP_KERNEL: gfp_t = 6;
pub const GFP_KERNEL_ACCOUNT: gfp_t = 14;
pub const GFP_NOWAIT: gfp_t = 16;
pub const __GFP_NOWARN: gfp_t = 32;
pub const __GFP_ZERO: gfp_t = 64;
pub const PAGE_SHIFT: u32 = 12;
pub const KEY_SIZE: u32 = 128;

macro_rules! numbers {
    ($($name:ident $number:literal)*) => { $( pub const $name: u32 = $number; )* };
}
numbers! {
    EPERM 1 ENOENT 2 ESRCH 3 EINTR 4 EIO 5 ENXIO 6 E2BIG 7 EBADF 9 EAGAIN 11 ENOMEM 12 EACCES 13 EFAULT 14
    EBUSY 16 EEXIST 17 EXDEV 18 ENODEV 19 ENOTDIR 20 EISDIR 21 EINVAL 22 ENFILE 23 EMFILE 24 ENOTTY 25
    EFBIG 27 ENOSPC 28 ESPIPE 29 EROFS 30 EMLINK 31 EPIPE 32 EDOM 33 ERANGE 34 EOVERFLOW 75 EMSGSIZE 90
    ETIMEDOUT 110 EADDRINUSE 98 EADDRNOTAVAIL 99 EAFNOSUPPORT 97 EHOSTUNREACH 113 ENETUNREACH 101 ENOBUFS 105
    ENODATA 61 ENOTCONN 107 EOPNOTSUPP 95 EPROTONOSUPPORT 93
}

extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// Pieces of memory that were not given back.
pub static PIECES: AtomicIsize = AtomicIsize::new(0);
/// How many more there are; below 0 no end.
pub static LEFT: AtomicIsize = AtomicIsize::new(-1);
/// How often a count of references was wrong.
pub static WRONG: AtomicIsize = AtomicIsize::new(0);

pub unsafe fn rvs_own_kmalloc(size: usize, _flags: gfp_t) -> *mut c_void {
    if LEFT.load(Ordering::Relaxed) == 0 {
        return ptr::null_mut();
    }
    if LEFT.load(Ordering::Relaxed) > 0 {
        LEFT.fetch_sub(1, Ordering::Relaxed);
    }
    PIECES.fetch_add(1, Ordering::Relaxed);
    let align = 1 << size.trailing_zeros().min(12);
    aligned_alloc(align.max(8), size.next_multiple_of(8))
}

pub unsafe fn rvs_own_kfree(memory: *const c_void) {
    PIECES.fetch_sub(1, Ordering::Relaxed);
    free(memory.cast_mut());
}

pub unsafe fn rvs_own_kvmalloc(size: usize, flags: gfp_t) -> *mut c_void {
    rvs_own_kmalloc(size, flags)
}

pub unsafe fn rvs_own_kvfree(memory: *const c_void) {
    rvs_own_kfree(memory);
}

#[repr(C)]
#[derive(Default)]
pub struct mutex(AtomicI32);

pub unsafe fn rvs_own_mutex_init(lock: *mut mutex, _name: *const u8, _key: *mut c_void) {
    lock.write(mutex::default());
}

pub unsafe fn rvs_own_mutex_lock(lock: *mut mutex) {
    while (*lock).0.swap(1, Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

pub unsafe fn rvs_own_mutex_unlock(lock: *mut mutex) {
    (*lock).0.store(0, Ordering::Release);
}

pub unsafe fn rvs_own_rcu_read_lock() {}

pub unsafe fn rvs_own_rcu_read_unlock() {}

pub unsafe fn rvs_own_print(_level: c_int, _text: *const c_void, _len: usize) {}

pub unsafe fn rvs_own_refcount_warn() {
    WRONG.fetch_add(1, Ordering::Relaxed);
}

pub unsafe fn rvs_own_nr_cpu_ids() -> u32 {
    1
}

#[repr(C)]
pub struct rb_node {
    pub __rb_parent_color: usize,
    pub rb_right: *mut rb_node,
    pub rb_left: *mut rb_node,
}

impl Default for rb_node {
    fn default() -> Self {
        Self {
            __rb_parent_color: 0,
            rb_right: ptr::null_mut(),
            rb_left: ptr::null_mut(),
        }
    }
}

#[repr(C)]
pub struct rb_root {
    pub rb_node: *mut rb_node,
}

fn parent(node: *const rb_node) -> *mut rb_node {
    unsafe { ptr::with_exposed_provenance_mut((*node).__rb_parent_color) }
}

/// Puts `new`, which may be null, in the place of `old` below its parent.
unsafe fn replace(root: *mut rb_root, old: *mut rb_node, new: *mut rb_node) {
    let above = parent(old);
    if above.is_null() {
        (*root).rb_node = new;
    } else if (*above).rb_left == old {
        (*above).rb_left = new;
    } else {
        (*above).rb_right = new;
    }
    if !new.is_null() {
        (*new).__rb_parent_color = above.expose_provenance();
    }
}

pub unsafe fn rb_insert_color(_node: *mut rb_node, _root: *mut rb_root) {}

pub unsafe fn rb_erase(node: *mut rb_node, root: *mut rb_root) {
    if (*node).rb_left.is_null() {
        return replace(root, node, (*node).rb_right);
    }
    if (*node).rb_right.is_null() {
        return replace(root, node, (*node).rb_left);
    }
    let next = rb_next(node);
    if parent(next) != node {
        replace(root, next, (*next).rb_right);
        (*next).rb_right = (*node).rb_right;
        (*(*next).rb_right).__rb_parent_color = next.expose_provenance();
    }
    replace(root, node, next);
    (*next).rb_left = (*node).rb_left;
    (*(*next).rb_left).__rb_parent_color = next.expose_provenance();
}

pub unsafe fn rb_next(node: *const rb_node) -> *mut rb_node {
    let mut at = node.cast_mut();
    if !(*at).rb_right.is_null() {
        at = (*at).rb_right;
        while !(*at).rb_left.is_null() {
            at = (*at).rb_left;
        }
        return at;
    }
    while !parent(at).is_null() && (*parent(at)).rb_right == at {
        at = parent(at);
    }
    parent(at)
}

pub unsafe fn rb_prev(node: *const rb_node) -> *mut rb_node {
    let mut at = node.cast_mut();
    if !(*at).rb_left.is_null() {
        at = (*at).rb_left;
        while !(*at).rb_right.is_null() {
            at = (*at).rb_right;
        }
        return at;
    }
    while !parent(at).is_null() && (*parent(at)).rb_left == at {
        at = parent(at);
    }
    parent(at)
}

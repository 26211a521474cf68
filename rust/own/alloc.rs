// SPDX-License-Identifier: GPL-2.0

//! Memory: how it is asked for and given back.

use core::{alloc::Layout, ops, ptr::NonNull};

use crate::bindings;

pub use crate::kbox::{Box, KBox};
pub use crate::kvec::{KVVec, KVec, Vec};

/// There is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError;

/// How memory is asked for (`gfp_t`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(bindings::gfp_t);

impl ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl ops::BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl ops::Not for Flags {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// The flags by their names.
pub mod flags {
    use super::Flags;
    use crate::bindings;

    /// At once, from reserves too.
    pub const GFP_ATOMIC: Flags = Flags(bindings::GFP_ATOMIC);
    /// May sleep.
    pub const GFP_KERNEL: Flags = Flags(bindings::GFP_KERNEL);
    /// May sleep, and the task's memory cgroup is charged.
    pub const GFP_KERNEL_ACCOUNT: Flags = Flags(bindings::GFP_KERNEL_ACCOUNT);
    /// At once, or not at all.
    pub const GFP_NOWAIT: Flags = Flags(bindings::GFP_NOWAIT);
    /// The log is not told that there is none.
    pub const __GFP_NOWARN: Flags = Flags(bindings::__GFP_NOWARN);
    /// All zeroes.
    pub const __GFP_ZERO: Flags = Flags(bindings::__GFP_ZERO);
}

/// Where memory comes from.
///
/// # Safety
///
/// What `alloc` gives is memory of that layout until it is freed.
pub unsafe trait Allocator {
    /// Memory of that layout, whose size is not 0.
    fn alloc(layout: Layout, flags: Flags) -> Result<NonNull<u8>, AllocError>;

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// It came from `alloc` and nobody uses it any more.
    unsafe fn free(memory: NonNull<u8>);
}

/// Memory in one piece (`kmalloc`).
pub struct Kmalloc;

/// Memory that is large, and then of pages from anywhere (`kvmalloc`).
pub struct KVmalloc;

// SAFETY: `kmalloc` aligns to the largest power of two that divides the size, which the padding makes a
// multiple of the alignment.
unsafe impl Allocator for Kmalloc {
    fn alloc(layout: Layout, flags: Flags) -> Result<NonNull<u8>, AllocError> {
        let size = layout.pad_to_align().size();
        // SAFETY: No requirements.
        NonNull::new(unsafe { bindings::rvs_own_kmalloc(size, flags.0) }.cast()).ok_or(AllocError)
    }

    unsafe fn free(memory: NonNull<u8>) {
        // SAFETY: The caller's promise.
        unsafe { bindings::rvs_own_kfree(memory.as_ptr().cast()) };
    }
}

// SAFETY: As above; pages are aligned to more than anything here asks for.
unsafe impl Allocator for KVmalloc {
    fn alloc(layout: Layout, flags: Flags) -> Result<NonNull<u8>, AllocError> {
        let size = layout.pad_to_align().size();
        // SAFETY: No requirements.
        NonNull::new(unsafe { bindings::rvs_own_kvmalloc(size, flags.0) }.cast()).ok_or(AllocError)
    }

    unsafe fn free(memory: NonNull<u8>) {
        // SAFETY: The caller's promise.
        unsafe { bindings::rvs_own_kvfree(memory.as_ptr().cast()) };
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Buffers of bytes.

use core::mem::ManuallyDrop;

use kernel::{alloc::Flags, prelude::*};

/// So many bytes that are 0: by the allocator, which most kernels have do so anyway, and not again by
/// whoever asks.
pub(crate) fn zeroed(len: usize, flags: Flags) -> Result<KVec<u8>> {
    let room = KVec::<u8>::with_capacity(len, flags | __GFP_ZERO)?;
    let mut room = ManuallyDrop::new(room);
    let (start, capacity) = (room.as_mut_ptr(), room.capacity());
    // SAFETY: It was allocated so just now, and nobody else has it. All its bytes are 0, of which `len` are
    // no more than there is room for.
    Ok(unsafe { KVec::from_raw_parts(start, len.min(capacity), capacity) })
}

// SPDX-License-Identifier: GPL-2.0

//! Jiffies, the kernel's coarse clock.
//!
//! C header: [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use core::ptr;

use crate::bindings;

/// Ticks a second.
pub(crate) const HZ: u32 = bindings::HZ;

// Not user space's, which headers call by the same name.
const _: () = assert!(HZ * bindings::HZ_TO_MSEC_NUM == 1000 * bindings::HZ_TO_MSEC_DEN);

/// The present tick, its low 32 bits; differences are right for half of their range (99 days at
/// 250 Hz, 24 at 1000), which is why no timeout is longer than that.
#[inline]
pub(crate) fn now() -> u32 {
    // SAFETY: `jiffies` is a word that the kernel only ever writes whole.
    (unsafe { ptr::read_volatile(ptr::addr_of!(bindings::jiffies)) }) as u32
}

/// Seconds since about the boot. Does not wrap.
#[inline]
pub(crate) fn uptime() -> u32 {
    // SAFETY: As in `now`.
    let jiffies = unsafe { ptr::read_volatile(ptr::addr_of!(bindings::jiffies)) };
    (jiffies as u64 / u64::from(HZ)) as u32
}

/// Nanoseconds since the boot, for what no tick is fine enough.
pub(crate) fn nanoseconds() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get() as u64 }
}

/// Seconds as ticks; saturates.
pub(crate) const fn seconds(seconds: u32) -> u32 {
    seconds.saturating_mul(HZ)
}

/// Ticks as milliseconds; saturates.
pub(crate) const fn to_millis(ticks: u32) -> u32 {
    let ms = ticks as u64 * 1000 / HZ as u64;
    if ms > u32::MAX as u64 {
        u32::MAX
    } else {
        ms as u32
    }
}

/// Milliseconds as ticks; saturates.
pub(crate) const fn from_millis(ms: u32) -> u32 {
    let ticks = ms as u64 * HZ as u64 / 1000;
    if ticks > u32::MAX as u64 {
        u32::MAX
    } else {
        ticks as u32
    }
}

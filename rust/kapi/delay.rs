// SPDX-License-Identifier: GPL-2.0

//! Sleep, and delays for tests, between the steps of what other CPUs may see half done: those are only
//! with `RVS_DELAYS=y` (Kbuild); in any other build they are nothing.
//!
//! C header: [`include/linux/delay.h`](srctree/include/linux/delay.h)

/// Waits for a moment now and then.
#[inline(always)]
pub(crate) fn here() {
    #[cfg(rvs_delays)]
    wait();
}

/// Every fourth time for up to half a millisecond: an emulated packet takes a tenth of that.
#[cfg(rvs_delays)]
#[cold]
fn wait() {
    let random = super::random::u64();
    if random & 3 == 0 {
        // SAFETY: No requirements; it spins for less than a tick.
        unsafe { crate::bindings::rvs_udelay((random >> 2) as u32 & 511) };
    }
}

/// Sleeps for so many milliseconds.
pub(crate) fn sleep(milliseconds: u32) {
    // SAFETY: No requirements but a context that may sleep, which callers have by contract.
    unsafe { crate::bindings::msleep(milliseconds) };
}

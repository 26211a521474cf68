// SPDX-License-Identifier: GPL-2.0

//! Invariants that turn out to be broken: what cannot be is said in the kernel's log, with a trace.
//!
//! For places where the code has to go on with something. Without this nobody would ever learn of
//! them: neither a test, which looks for warnings, nor an operator.
//!
//! C header: [`include/linux/bug.h`](srctree/include/linux/bug.h)

use core::sync::atomic::{AtomicBool, Ordering};

use kernel::str::{CStr, CStrExt};

/// Says what is broken, once for each place in the code, as `WARN_ONCE` does.
macro_rules! broken {
    ($what:literal) => {{
        static SAID: ::core::sync::atomic::AtomicBool =
            ::core::sync::atomic::AtomicBool::new(false);
        $crate::kapi::broken::say(&SAID, $what)
    }};
}
pub(crate) use broken;

/// For [`broken`].
#[cold]
#[inline(never)]
pub(crate) fn say(said: &AtomicBool, what: &'static CStr) {
    if !said.swap(true, Ordering::Relaxed) {
        // SAFETY: It is a C string.
        unsafe { crate::bindings::rvs_warn(what.as_char_ptr()) };
    }
}

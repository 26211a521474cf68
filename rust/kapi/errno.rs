// SPDX-License-Identifier: GPL-2.0

//! Error numbers that the kernel crate of some series does not name.
//!
//! C header: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h)

use core::num::NonZeroI32;

use kernel::error::Error;

use crate::bindings;

/// The error of that number.
const fn error(number: u32) -> Error {
    assert!(number > 0 && number < 4096);
    // SAFETY: Not 0, as just checked.
    let errno = unsafe { NonZeroI32::new_unchecked(-(number as i32)) };
    // SAFETY: `Error` is a wrapper of such a number and nothing else, in the range just checked; where
    // it is of another size, this fails the build.
    unsafe { core::mem::transmute::<NonZeroI32, Error>(errno) }
}

macro_rules! errors {
    ($($name:ident)*) => {
        $(
            #[allow(dead_code)] // some of rvs.ko, some of toa.ko
            pub(crate) const $name: Error = error(bindings::$name);
        )*
    };
}

errors! {
    EADDRNOTAVAIL EAFNOSUPPORT EHOSTUNREACH ENETUNREACH ENOBUFS ENODATA ENOTCONN EOPNOTSUPP EPROTONOSUPPORT
}

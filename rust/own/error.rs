// SPDX-License-Identifier: GPL-2.0

//! Errors: a number of C each.

use core::{convert::Infallible, fmt, num::NonZeroI32, num::TryFromIntError};

use crate::{alloc::AllocError, ffi::c_int};

/// The lowest number of an error (`MAX_ERRNO`).
const LEAST: c_int = -4095;

/// An error, from -4095 to -1.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Error(NonZeroI32);

/// What may be an error.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// The errors by their names.
pub mod code {
    use super::Error;
    use crate::bindings;

    macro_rules! codes {
        ($($name:ident)*) => { $(
            /// As C has it.
            pub const $name: Error = Error::of(bindings::$name);
        )* };
    }

    codes! {
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV
        ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
        ERANGE EOVERFLOW EMSGSIZE ETIMEDOUT EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EHOSTUNREACH ENETUNREACH
        ENOBUFS ENODATA ENOTCONN EOPNOTSUPP EPROTONOSUPPORT
    }
}

impl Error {
    const fn of(number: u32) -> Self {
        match NonZeroI32::new(-(number as i32)) {
            Some(number) => Self(number),
            // For the compiler only: fails the build.
            None => panic!("an error is not 0"),
        }
    }

    /// The error that C gave; `EINVAL` for what is none.
    pub fn from_errno(errno: c_int) -> Self {
        match NonZeroI32::new(errno) {
            Some(number) if (LEAST..0).contains(&errno) => Self(number),
            _ => code::EINVAL,
        }
    }

    /// As C has it, below 0.
    pub fn to_errno(self) -> c_int {
        self.0.get()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0).finish()
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

impl From<TryFromIntError> for Error {
    fn from(_: TryFromIntError) -> Self {
        code::EINVAL
    }
}

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        code::EINVAL
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What a C function gave that says 0 or more when it is done.
pub fn to_result(errno: c_int) -> Result {
    if errno < 0 {
        Err(Error::from_errno(errno))
    } else {
        Ok(())
    }
}

/// What a C function gave that gives a pointer or an error in the place of one.
pub fn from_err_ptr<T>(pointer: *mut T) -> Result<*mut T> {
    let number = pointer.addr() as isize;
    if (LEAST as isize..0).contains(&number) {
        return Err(Error::from_errno(number as c_int));
    }
    Ok(pointer)
}

/// What C wants of a function that gives a number or an error.
pub fn from_result<T: From<i16>>(f: impl FnOnce() -> Result<T>) -> T {
    // Errors fit, as they begin at -4095.
    f().unwrap_or_else(|error| T::from(error.to_errno() as i16))
}

// SPDX-License-Identifier: GPL-2.0

//! Strings of C.

pub use core::ffi::CStr;

use crate::ffi::c_char;

/// What [`CStr`] has in the kernel besides.
pub trait CStrExt {
    /// As C has it.
    fn as_char_ptr(&self) -> *const c_char;

    /// The opposite.
    ///
    /// # Safety
    ///
    /// `pointer` is to a string that ends, and that is there and does not change for `'a`.
    unsafe fn from_char_ptr<'a>(pointer: *const c_char) -> &'a Self;
}

impl CStrExt for CStr {
    fn as_char_ptr(&self) -> *const c_char {
        self.as_ptr().cast()
    }

    unsafe fn from_char_ptr<'a>(pointer: *const c_char) -> &'a Self {
        // SAFETY: The caller's promise.
        unsafe { CStr::from_ptr(pointer.cast()) }
    }
}

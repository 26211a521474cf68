// SPDX-License-Identifier: GPL-2.0

//! The kernel's log.

use core::fmt::{self, Write};

use crate::{bindings, ffi::c_int};

/// The whole host is in danger.
pub const EMERG: c_int = 0;
/// Something does not work.
pub const ERR: c_int = 3;
/// Something may not work.
pub const WARNING: c_int = 4;
/// Worth to know.
pub const NOTICE: c_int = 5;
/// Nice to know.
pub const INFO: c_int = 6;

/// Longest line, in bytes; what is longer is cut.
const LINE: usize = 256;

struct Line {
    text: [u8; LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.get_mut(self.len..).unwrap_or_default();
        let len = room.len().min(text.len());
        if let (Some(room), Some(text)) = (room.get_mut(..len), text.as_bytes().get(..len)) {
            room.copy_from_slice(text);
        }
        self.len = self.len.saturating_add(len);
        Ok(())
    }
}

/// Writes a line, behind the module's name.
pub fn print(level: c_int, text: fmt::Arguments<'_>) {
    let mut line = Line {
        text: [0; LINE],
        len: 0,
    };
    // What does not fit is left out, no error.
    let _ = line.write_fmt(text);
    // SAFETY: So much of it was written.
    unsafe { bindings::rvs_own_print(level, line.text.as_ptr().cast(), line.len) };
}

/// Writes a line.
#[macro_export]
macro_rules! pr_err {
    ($($text:tt)*) => { $crate::print::print($crate::print::ERR, format_args!($($text)*)) };
}

/// Writes a line.
#[macro_export]
macro_rules! pr_warn {
    ($($text:tt)*) => { $crate::print::print($crate::print::WARNING, format_args!($($text)*)) };
}

/// Writes a line.
#[macro_export]
macro_rules! pr_notice {
    ($($text:tt)*) => { $crate::print::print($crate::print::NOTICE, format_args!($($text)*)) };
}

/// Writes a line.
#[macro_export]
macro_rules! pr_info {
    ($($text:tt)*) => { $crate::print::print($crate::print::INFO, format_args!($($text)*)) };
}

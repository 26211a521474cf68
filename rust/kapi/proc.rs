// SPDX-License-Identifier: GPL-2.0

//! Files of text below `/proc/net`, one set a network namespace.
//!
//! C headers: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use core::{
    ffi::CStr,
    fmt::{self, Write},
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::{
    error::{code::ENOMEM, Result},
    str::CStrExt,
};

use crate::{bindings, kapi::netns::Net};

/// A file's content.
pub(crate) trait Show {
    /// The file's name.
    const NAME: &'static CStr;

    /// Whether only root may read it.
    const IS_PRIVATE: bool = false;

    /// Writes a part of it, from the cursor on, which is then where to go on, and says whether there
    /// is more. May sleep.
    ///
    /// A part is at most some dozen lines. An error of `out` is passed on: the core comes again for
    /// the same part with more room.
    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error>;
}

/// Where a reader is in a file: what that means is the file's, but for the start, which is all 0.
pub(crate) type Cursor = bindings::rvs_cursor;

/// What a reader gets.
///
/// # Invariants
///
/// `seq` is valid for `'a`, and nobody else uses it meanwhile.
pub(crate) struct Text<'a> {
    seq: NonNull<bindings::seq_file>,
    _seq: PhantomData<&'a mut bindings::seq_file>,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: Valid by the invariants; `text` can be read for its length.
        let error =
            unsafe { bindings::seq_write(self.seq.as_ptr(), text.as_ptr().cast(), text.len()) };
        if error == 0 {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// A file of a namespace, there until it is removed or dropped.
pub(crate) struct File {
    net: &'static Net,
    name: &'static CStr,
    is_there: AtomicBool,
}

impl File {
    /// Makes the file; the caller removes it before `net` goes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when the name is taken.
    pub(crate) fn new<T: Show>(net: &'static Net) -> Result<Self> {
        // SAFETY: The namespace is alive, the name ends with a zero byte, and `show` is a function
        // for such files.
        let made = unsafe {
            let (name, private) = (T::NAME.as_char_ptr(), T::IS_PRIVATE);
            bindings::rvs_proc_create(net.as_raw(), name, private, Some(show::<T>))
        };
        if !made {
            return Err(ENOMEM);
        }
        Ok(Self {
            net,
            name: T::NAME,
            is_there: AtomicBool::new(true),
        })
    }

    /// Removes it, and waits for those who read it.
    pub(crate) fn remove(&self) {
        if self.is_there.swap(false, Ordering::Relaxed) {
            // SAFETY: Made by `new` and not removed yet; the namespace is alive.
            unsafe { bindings::rvs_proc_remove(self.net.as_raw(), self.name.as_char_ptr()) };
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The C side of [`Show::show`].
///
/// # Safety
///
/// Only for files that [`File::new`] made, with the namespace of the file, which its reader holds, and
/// a cursor of that reader.
unsafe extern "C" fn show<T: Show>(
    net: *mut bindings::net,
    cursor: *mut Cursor,
    seq: *mut bindings::seq_file,
) -> bool {
    // SAFETY: The caller's, for this call.
    let (net, cursor) = unsafe { (Net::from_raw(net), cursor.as_mut()) };
    let (Some(seq), Some(cursor)) = (NonNull::new(seq), cursor) else {
        return false;
    };
    // INVARIANT: The core passes it for this call.
    let mut text = Text {
        seq,
        _seq: PhantomData,
    };
    // An error says that there was no room, which the core sees by itself.
    T::show(net, cursor, &mut text).unwrap_or(true)
}

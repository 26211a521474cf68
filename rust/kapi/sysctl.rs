// SPDX-License-Identifier: GPL-2.0

//! Files of numbers below `/proc/sys`, one set a network namespace.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use core::{
    ffi::{c_int, c_void, CStr},
    mem::size_of,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::{
    error::{
        code::{EINVAL, ENOMEM},
        to_result, Result,
    },
    prelude::*,
    str::CStrExt,
};

use crate::{bindings, kapi::netns::Net};

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number of 32 bits with a sign.
    Int,
    /// Two of them.
    Pair,
    /// A number of 64 bits without a sign.
    Long,
    /// A list of CPUs.
    Cpus,
}

/// A file.
pub(crate) struct File {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether only those who are root in the first user namespace may write it.
    pub(crate) is_guarded: bool,
}

/// Longest list of CPUs, in bytes.
pub(crate) const CPUS_MAX: usize = 64;

/// What is in a file.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// Of [`Kind::Int`] (the first), [`Kind::Pair`].
    Ints([c_int; 2]),
    /// Of [`Kind::Long`].
    Long(u64),
    /// Of [`Kind::Cpus`]: text, filled up with zero bytes.
    Cpus([u8; CPUS_MAX]),
}

/// The content of a folder's files. Methods may sleep.
pub(crate) trait Folder: 'static {
    /// The folder, below `/proc/sys`.
    const PATH: &'static CStr;

    /// The file of that index, counted from 0; none behind the last.
    fn file(index: usize) -> Option<&'static File>;

    /// What the file of that index holds.
    fn get(net: &Net, index: usize) -> Result<Value>;

    /// Someone writes to it: a value of the kind that `get` gives.
    fn set(net: &Net, index: usize, value: Value) -> Result;
}

/// A folder of a namespace, there until it is removed or dropped.
///
/// # Invariants
///
/// While `is_there`, `header` is a registration of `tables`.
pub(crate) struct Registered {
    header: NonNull<bindings::ctl_table_header>,
    is_there: AtomicBool,
    _tables: KVec<bindings::ctl_table>,
}

// SAFETY: A registration may be ended from any thread, and nobody looks at the tables.
unsafe impl Send for Registered {}
// SAFETY: As above.
unsafe impl Sync for Registered {}

impl Registered {
    /// Makes the files; the caller removes them before `net` goes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also when a name is taken.
    pub(crate) fn new<F: Folder>(net: &'static Net) -> Result<Self> {
        let is_guest = net.is_of_other_users();
        let mut tables = KVec::new();
        while let Some(file) = F::file(tables.len()) {
            let is_read_only = file.is_guarded && is_guest;
            tables.push(
                bindings::ctl_table {
                    procname: file.name.as_char_ptr(),
                    mode: if is_read_only { 0o444 } else { 0o644 },
                    proc_handler: Some(handle::<F>),
                    extra1: ptr::without_provenance_mut(tables.len()),
                    extra2: net.as_raw().cast(),
                    ..Default::default()
                },
                GFP_KERNEL,
            )?;
        }
        // SAFETY: The namespace is alive, the path ends with a zero byte, and the tables stay
        // where they are until the files are removed.
        let header = unsafe {
            bindings::register_net_sysctl_sz(
                net.as_raw(),
                F::PATH.as_char_ptr(),
                // Before 7.3 it takes what it does not change as something that it may.
                tables.as_ptr().cast_mut(),
                tables.len(),
            )
        };
        // INVARIANT: Just registered.
        Ok(Self {
            header: NonNull::new(header).ok_or(ENOMEM)?,
            is_there: AtomicBool::new(true),
            _tables: tables,
        })
    }

    /// Removes the files, and waits for those who use them.
    pub(crate) fn remove(&self) {
        if self.is_there.swap(false, Ordering::Relaxed) {
            // SAFETY: By the invariant.
            unsafe { bindings::unregister_net_sysctl_table(self.header.as_ptr()) };
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What the core calls for a read or a write.
///
/// # Safety
///
/// Only for the core, as the handler of a table that [`Registered::new`] made.
unsafe extern "C" fn handle<F: Folder>(
    table: *const bindings::ctl_table,
    write: c_int,
    buffer: *mut c_void,
    len: *mut usize,
    position: *mut bindings::loff_t,
) -> c_int {
    // SAFETY: One of our tables, which are there while the core uses them.
    let table = unsafe { &*table };
    let index = table.extra1.addr();
    // SAFETY: So is the namespace.
    let net = unsafe { Net::from_raw(table.extra2.cast()) };
    let write = write != 0;
    let access = Access {
        write,
        buffer,
        len,
        position,
    };
    let done = F::get(net, index).and_then(|mut value| {
        let file = F::file(index).ok_or(EINVAL)?;
        // SAFETY: The core's own arguments.
        let changed = unsafe { access.run(file.kind, &mut value)? };
        if write && changed {
            F::set(net, index, value)?;
        }
        Ok(())
    });
    done.map_or_else(|error| error.to_errno(), |()| 0)
}

/// One read or write.
struct Access {
    write: bool,
    buffer: *mut c_void,
    len: *mut usize,
    position: *mut bindings::loff_t,
}

impl Access {
    /// Writes the value into the buffer, or reads it from there: `false` when there is none.
    ///
    /// # Safety
    ///
    /// The fields are what the core gave the handler.
    unsafe fn run(&self, kind: Kind, value: &mut Value) -> Result<bool> {
        match value {
            Value::Ints(ints) => {
                let len = if kind == Kind::Pair { 2 } else { 1 };
                let ints = ints.get_mut(..len).ok_or(EINVAL)?;
                let (data, size) = (ints.as_mut_ptr().cast(), size_of_val(ints));
                // SAFETY: The caller's promise; `data` has room for as many.
                unsafe { self.by_core(bindings::proc_dointvec, data, size) }
            }
            Value::Long(long) => {
                let (data, size) = (ptr::from_mut(long).cast(), size_of::<u64>());
                // SAFETY: As above; an unsigned long has 64 bits where there are modules in Rust.
                unsafe { self.by_core(bindings::proc_doulongvec_minmax, data, size) }
            }
            // SAFETY: As above.
            Value::Cpus(list) => unsafe { self.cpus(list) },
        }
    }

    /// # Safety
    ///
    /// As of [`Self::run`]; `data` points to `size` bytes of what `handler` handles.
    unsafe fn by_core(&self, handler: Handler, data: *mut c_void, size: usize) -> Result<bool> {
        let table = bindings::ctl_table {
            data,
            maxlen: size as c_int,
            mode: 0o644,
            ..Default::default()
        };
        // SAFETY: The caller's promise.
        to_result(unsafe {
            handler(
                &table,
                c_int::from(self.write),
                self.buffer,
                self.len,
                self.position,
            )
        })?;
        Ok(true)
    }

    /// # Safety
    ///
    /// As of [`Self::run`].
    unsafe fn cpus(&self, list: &mut [u8; CPUS_MAX]) -> Result<bool> {
        // SAFETY: The core's own.
        let (len, position) = unsafe { (&mut *self.len, &mut *self.position) };
        if *position != 0 || *len == 0 {
            *len = 0;
            return Ok(false);
        }
        let out = list.as_mut_ptr().cast();
        if self.write {
            // SAFETY: The core ends what was written with a zero byte; `out` has that room.
            to_result(unsafe { bindings::rvs_parse_cpus(self.buffer.cast(), out, CPUS_MAX) })?;
        } else {
            let text = list.iter().position(|byte| *byte == 0).unwrap_or(0);
            let shown = text.min(*len);
            // SAFETY: The buffer has room for as many as the core says.
            unsafe { ptr::copy_nonoverlapping(list.as_ptr(), self.buffer.cast(), shown) };
            *len = shown;
        }
        *position += *len as bindings::loff_t;
        Ok(self.write)
    }
}

type Handler = unsafe extern "C" fn(
    *const bindings::ctl_table,
    c_int,
    *mut c_void,
    *mut usize,
    *mut bindings::loff_t,
) -> c_int;

/// The CPUs that kernel threads may use, as text.
pub(crate) fn default_cpus() -> [u8; CPUS_MAX] {
    let mut list = [0; CPUS_MAX];
    // SAFETY: `list` has that room.
    unsafe { bindings::rvs_default_cpus(list.as_mut_ptr().cast(), CPUS_MAX) };
    list
}

/// Pages of memory that are free for buffers, as the core counted them at boot.
pub(crate) fn buffer_pages() -> u64 {
    // SAFETY: No requirements.
    unsafe { bindings::nr_free_buffer_pages() as u64 }
}

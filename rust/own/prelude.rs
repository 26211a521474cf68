// SPDX-License-Identifier: GPL-2.0

//! What most files use.

pub use core::{
    mem::{align_of, align_of_val, size_of, size_of_val},
    pin::Pin,
};

pub use rvs_own_macros::pin_data;

pub use crate::{
    alloc::{flags::*, KBox, KVVec, KVec},
    error::{code::*, Error, Result},
    ffi::{
        c_char, c_int, c_long, c_longlong, c_schar, c_short, c_uchar, c_uint, c_ulong, c_ulonglong,
        c_ushort, c_void,
    },
    init,
    init::{Init, PinInit},
    module, pin_init, pr_err, pr_info, pr_notice, pr_warn,
    str::CStrExt,
    ThisModule,
};

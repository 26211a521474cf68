// SPDX-License-Identifier: GPL-2.0

//! Programs at a device's ingress: `BPF_PROG_QUERY`.

use std::ffi::c_long;
use std::io;

use super::{bpf, Attr};

const PROG_QUERY: c_long = 16;
const ATTACH_TCX_INGRESS: u32 = 46;

#[repr(C)]
#[derive(Default)]
struct Query {
    device: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
    more: [u64; 4],
}
// SAFETY: As BPF_PROG_QUERY has it; it leads to nothing.
unsafe impl Attr for Query {}

/// How many programs of tcx a device has at its ingress.
pub fn programs(device: u32) -> io::Result<u32> {
    let mut query = Query {
        device,
        attach_type: ATTACH_TCX_INGRESS,
        ..Query::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    Ok(query.count)
}

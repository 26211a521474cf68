// SPDX-License-Identifier: GPL-2.0

//! The version of the modules and of `rvsadm`, which are made together.

/// As Cargo has it.
pub const VERSION: &str = "0.1.0";

const NAME: &[u8] = b"version=";

/// Bytes that [`modinfo`] takes.
pub const MODINFO_LEN: usize = NAME.len() + VERSION.len() + 1;

/// What says it in a module's section `.modinfo`: with that `modinfo` shows it, and the kernel in
/// `/sys/module/NAME/version`.
pub const fn modinfo() -> [u8; MODINFO_LEN] {
    // A zero ends it.
    let mut entry = [0; MODINFO_LEN];
    let version = VERSION.as_bytes();
    let mut i = 0;
    while i + 1 < MODINFO_LEN {
        entry[i] = if i < NAME.len() {
            NAME[i]
        } else {
            version[i - NAME.len()]
        };
        i += 1;
    }
    entry
}

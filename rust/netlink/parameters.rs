// SPDX-License-Identifier: GPL-2.0

//! What the module was loaded with.

use kernel::sync::SetOnce;

static LOADED_WITH: SetOnce<&'static str> = SetOnce::new();

/// Notes it, once.
pub(super) fn set(parameters: &'static str) {
    LOADED_WITH.populate(parameters);
}

/// As the kernel's loader takes it.
pub(super) fn loaded_with() -> &'static str {
    LOADED_WITH.as_ref().copied().unwrap_or("")
}

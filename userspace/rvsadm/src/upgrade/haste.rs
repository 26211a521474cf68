// SPDX-License-Identifier: GPL-2.0

//! The kernel in haste: it waits for grace periods the expensive way, in which a module goes quickly.
//!
//! Kernel: `kernel/ksysfs.c`, rcu_expedited

use std::fs;

/// Where it is asked for, by a number: 0 for not.
const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

/// The kernel is in haste as long as this is there.
pub struct Haste {
    before: Option<String>,
}

impl Haste {
    /// Asks for it. Where that is not possible all takes a little longer.
    pub fn begin() -> Self {
        let before = fs::read_to_string(EXPEDITED).ok();
        let before =
            before.filter(|before| before.trim() == "0" && fs::write(EXPEDITED, "1").is_ok());
        Self { before }
    }
}

impl Drop for Haste {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(EXPEDITED, before.trim());
        }
    }
}

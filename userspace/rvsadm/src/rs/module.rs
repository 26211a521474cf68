// SPDX-License-Identifier: GPL-2.0

//! Modules of the kernel that nothing loads when they are needed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the kernel keeps the path of the program that it loads modules with; empty, and nobody is
/// to load any.
const LOADER: &str = "/proc/sys/kernel/modprobe";

/// Whether it is loaded.
pub fn is_loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).exists()
}

/// Has that program load `module`. Whether it could shows where the module is used.
pub fn load(module: &str) {
    let loader = fs::read_to_string(LOADER).unwrap_or_default();
    let loader = loader.trim();
    if !loader.is_empty() {
        let mut command = Command::new(loader);
        command.args(["-q", "--", module]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What can go wrong.

use std::io;

/// Why a device does not give its frames.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused something.
    #[error("{what}: {error}")]
    Kernel {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// The program was refused, with what the verifier says.
    #[error("the kernel refuses the program: {error}{}", said(.log))]
    Program {
        /// What it said.
        error: io::Error,
        /// The verifier's last lines.
        log: String,
    },
    /// Types of the kernel that cannot be read.
    #[error("the kernel's types (BTF) cannot be read: {0}")]
    Btf(&'static str),
    /// There is no module, or one without types.
    #[error("the module rvs tells BPF nothing of its functions (BTF)")]
    NoBtf,
    /// The module has types, but not the function.
    #[error("the module rvs has no function {0} for programs: it is of another version")]
    NoFunction(&'static str),
}

fn said(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(": {log}")
    }
}

impl Error {
    /// For `map_err`.
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Kernel { what, error }
    }

    /// The kernel's number, where it is from there.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Kernel { error, .. } | Self::Program { error, .. } => error.raw_os_error(),
            _ => None,
        }
    }
}

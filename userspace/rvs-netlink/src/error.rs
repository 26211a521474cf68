// SPDX-License-Identifier: GPL-2.0

//! What can go wrong between a program and the kernel.

use std::io;

use crate::Refusal;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The family `rvs` is not registered in this kernel.
    #[error("the rvs module is not loaded")]
    NotLoaded,
    /// The family `toa` is not registered in this kernel.
    #[error("the toa module is not loaded")]
    ReceiverNotLoaded,
    /// The family `fou` is not registered in this kernel.
    #[error("the kernel's module fou is not loaded")]
    FouNotLoaded,
    /// The kernel refused the request.
    #[error("{0}")]
    Refused(Refusal),
    /// A system call failed; the first part says which.
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
    /// The request is larger than the socket may send.
    #[error("the request of {size} bytes is larger than the socket may send")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The kernel's message does not parse.
    #[error("the kernel's answer does not parse: {0}")]
    Decode(#[from] netlink_packet_core::DecodeError),
    /// Every attempt at a list was interrupted by a change.
    #[error("the configuration changed during each of {attempts} attempts to read it")]
    Interrupted {
        /// Attempts made.
        attempts: u32,
    },
    /// Messages were lost because they came faster than they were read.
    #[error("messages of the kernel were lost: the socket's buffer was full")]
    Overrun,
    /// The kernel's answer lacks what it must have.
    #[error("the kernel's answer has no {0}")]
    Missing(&'static str),
    /// Whoever consumes the answer cannot take more.
    #[error("the output failed: {0}")]
    Sink(#[source] io::Error),
}

impl Error {
    /// The error number of the kernel or of the system call, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused(refusal) => Some(refusal.errno),
            Self::Io(_, error) | Self::Sink(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Names of schedulers, as clients send them.

/// Longest name of a scheduler, in bytes (`IP_VS_SCHEDNAME_MAXLEN` less the terminating zero).
pub const SCHEDULER_NAME_MAX: usize = 15;

/// Name of a scheduler as a client sent it; may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerName {
    bytes: [u8; SCHEDULER_NAME_MAX],
    len: u8,
}

impl SchedulerName {
    /// Takes a name of at most [`SCHEDULER_NAME_MAX`] bytes.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; SCHEDULER_NAME_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        let len = u8::try_from(name.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or(&[]);
        // It was a `str` of that length when it came in.
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

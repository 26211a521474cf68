// SPDX-License-Identifier: GPL-2.0

//! What lines start with, and why one is refused.

use rvs_engine::spec::{ServiceId, SpecError};

use crate::hints;

/// What a line of settings starts with.
pub const SETTINGS: &str = "#rvsadm config ";

/// What the line of a daemon of sync starts with.
pub const SYNC: &str = "#rvsadm sync ";

/// What the line of a local address for all services starts with.
pub const DEFAULT_LOCAL: &str = "#rvsadm laddr ";
/// What a line starts with that has settings of a service for which ipvsadm has no options.
pub const SERVICE: &str = "#rvsadm service ";
/// Why a line is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub reason: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The service that the line would have added, so that its dests are not complained about.
    pub service: Option<ServiceId>,
}

impl Problem {
    /// For this reason, with that hint.
    pub fn new(reason: impl Into<String>, hint: &str) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint.to_owned()),
            service: None,
        }
    }

    /// For what a description must not say.
    pub fn of_spec(error: SpecError) -> Self {
        Self::new(error.to_string(), &hints::of_spec(&error))
    }
}

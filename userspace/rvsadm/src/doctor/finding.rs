// SPDX-License-Identifier: GPL-2.0

//! Something that is not as it should be.

use schemars::JsonSchema;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something may not work.
    Warning,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Finding {
    /// Name of what was looked at; stable.
    pub check: &'static str,
    pub severity: Severity,
    pub what: String,
    pub why: String,
    /// The command that mends it.
    pub mend: String,
}

/// What was found so far.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Something does not work.
    pub fn error(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.push(
            Severity::Error,
            check,
            [what.into(), why.into(), mend.into()],
        );
    }

    /// Something may not work.
    pub fn warning(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.push(
            Severity::Warning,
            check,
            [what.into(), why.into(), mend.into()],
        );
    }

    /// All of them.
    pub fn all(self) -> Vec<Finding> {
        self.0
    }

    fn push(&mut self, severity: Severity, check: &'static str, words: [String; 3]) {
        let [what, why, mend] = words;
        self.0.push(Finding {
            check,
            severity,
            what,
            why,
            mend,
        });
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the user is told when something is refused or fails.

use std::fmt;
use std::io;
use std::process::ExitCode;

use rvs_engine::spec::SpecError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::envelope::VERSION;
use crate::hints;
use crate::output::say;

/// Most broken lines of a file that are told of.
const LINES_SHOWN: usize = 20;

/// Exit code of a look that has findings.
const FINDINGS: u8 = 3;

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub enum Failure {
    /// Something is refused; the user has to mend it.
    Refused(Box<Refused>),
    /// Standard output does not take what is printed.
    Output(io::Error),
    /// There are findings, which are printed already.
    Findings,
}

/// A refusal.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "Refusal")]
pub struct Refused {
    /// What was to be done: "add service tcp/…".
    pub what: String,
    /// Why it is not.
    pub reason: String,
    /// The attribute that the kernel blames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The kernel's error number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Broken lines of a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<BrokenLine>,
}

/// A line of a file that is refused.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct BrokenLine {
    /// Its number, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A refusal with a hint.
    pub fn new(what: impl Into<String>, reason: impl Into<String>, hint: Option<&str>) -> Self {
        Self::Refused(Box::new(Refused {
            what: what.into(),
            reason: reason.into(),
            hint: hint.map(str::to_owned),
            ..Refused::default()
        }))
    }

    /// A description that breaks a rule.
    pub fn spec(what: impl Into<String>, error: SpecError) -> Self {
        Self::new(what, error.to_string(), Some(&hints::of_spec(&error)))
    }

    /// A request that the kernel refused or that did not reach it.
    pub fn kernel(what: impl Into<String>, error: rvs_netlink::Error) -> Self {
        let error = match error {
            rvs_netlink::Error::Sink(error) => return Self::Output(error),
            error => error,
        };
        let attribute = match &error {
            rvs_netlink::Error::Refused(refusal) => match (&refusal.missing, &refusal.blame) {
                (Some(missing), _) => Some(missing.clone()),
                (None, Some(blame)) if !blame.path.is_empty() => Some(blame.path.clone()),
                _ => None,
            },
            _ => None,
        };
        Self::Refused(Box::new(Refused {
            what: what.into(),
            reason: error.to_string(),
            errno: error.errno(),
            hint: hints::of_error(&error),
            attribute,
            lines: Vec::new(),
        }))
    }

    /// As [`Failure::kernel`], of a family of the kernel's own: the numbers mean other things there.
    /// `hint` tells how to mend what it knows.
    pub fn system(
        what: impl Into<String>,
        error: rvs_netlink::Error,
        hint: impl Fn(i32) -> Option<String>,
    ) -> Self {
        let known = error.errno().and_then(hint);
        let mut failure = Self::kernel(what, error);
        if let Self::Refused(refused) = &mut failure {
            if refused.errno.is_some() {
                refused.hint = known.or_else(|| refused.errno.and_then(hints::of_errno));
            }
        }
        failure
    }

    /// The same with what else there is to know of it.
    pub fn but(mut self, note: &str) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.reason = format!("{}; {note}", refused.reason);
        }
        self
    }

    /// A file with broken lines.
    pub fn lines(what: impl Into<String>, lines: Vec<BrokenLine>) -> Self {
        let reason = match lines.len() {
            1 => "1 broken line".to_owned(),
            n => format!("{n} broken lines"),
        };
        Self::Refused(Box::new(Refused {
            what: what.into(),
            reason: format!("{reason}; nothing was applied"),
            lines,
            ..Refused::default()
        }))
    }

    /// Tells the user and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        match self {
            // Whoever read the output has had enough of it (`rvsadm … | head`).
            Self::Findings => ExitCode::from(FINDINGS),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                say(format_args!("rvsadm: cannot write the output: {error}"));
                ExitCode::FAILURE
            }
            Self::Refused(refused) => {
                if json {
                    say(serde_json::json!({ "version": VERSION, "error": refused }));
                } else {
                    say(refused.to_string().trim_end());
                }
                ExitCode::FAILURE
            }
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines.iter().take(LINES_SHOWN) {
            write!(f, "line {}: {}", line.line, line.reason)?;
            match &line.hint {
                Some(hint) => writeln!(f, " ({hint})")?,
                None => writeln!(f)?,
            }
        }
        if let Some(more) = self.lines.len().checked_sub(LINES_SHOWN).filter(|n| *n > 0) {
            writeln!(f, "and {more} more broken lines")?;
        }
        writeln!(f, "rvsadm: cannot {}: {}", self.what, self.reason)?;
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

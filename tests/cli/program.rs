// SPDX-License-Identifier: GPL-2.0

//! The program under test.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What a run of `rvsadm` left.
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs it with `arguments`, and `input` on standard input.
pub fn with_input(arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rvsadm"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rvsadm starts");
    // One that refuses its arguments does not read.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    Run::from(child.wait_with_output().expect("rvsadm ends"))
}

/// Runs it with `arguments`.
pub fn run(arguments: &[&str]) -> Run {
    with_input(arguments, "")
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Run {
    /// Asserts the exit code, showing what was printed when it is another.
    pub fn code(self, expected: i32) -> Self {
        let Self { code, out, err } = &self;
        assert_eq!(*code, Some(expected), "stdout: {out}\nstderr: {err}");
        self
    }

    /// Standard output as a JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("one JSON document")
    }
}

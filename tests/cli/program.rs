// SPDX-License-Identifier: GPL-2.0

//! The program under test.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// What a run of `rvsadm` left.
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs it with `arguments`, and `input` on standard input.
pub fn with_input(arguments: &[&str], input: &str) -> Run {
    finish(start(arguments), input)
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rvsadm"));
    command.args(arguments);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command.spawn().expect("rvsadm starts")
}

fn finish(mut child: Child, input: &str) -> Run {
    let mut stdin = child.stdin.take().expect("piped");
    // One that refuses its arguments does not read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Run::from(child.wait_with_output().expect("rvsadm ends"))
}

/// Runs it with `arguments` for a reader that does not read.
pub fn unread(arguments: &[&str], input: &str) -> Run {
    let mut child = start(arguments);
    drop(child.stdout.take());
    finish(child, input)
}

/// Runs it with `arguments` where nobody reads its standard error.
pub fn unheard(arguments: &[&str], input: &str) -> Run {
    let mut child = start(arguments);
    drop(child.stderr.take());
    finish(child, input)
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

    /// Standard output as a JSON document, without the version that all of them have.
    pub fn json(&self) -> serde_json::Value {
        let mut document: serde_json::Value =
            serde_json::from_str(&self.out).expect("one JSON document");
        let version = document.as_object_mut().and_then(|d| d.remove("version"));
        assert_eq!(version, Some(1.into()), "{}", self.out);
        document
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Command lines that cannot be read: why, and which is meant by words that other tools have.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::Parser;

use crate::cli::Cli;
use crate::config::first_line;
use crate::envelope::VERSION;
use crate::failure::Refused;
use crate::output::say;

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// What people type, who know ipvsadm or other tools, and what it is here.
const WORDS: [(&[&str], &str); 27] = [
    (
        &["-L", "-l", "--list"],
        "rvsadm service list, rvsadm dest list; with -c: rvsadm conn list",
    ),
    (&["-A", "--add-service"], "rvsadm service add"),
    (&["-E", "--edit-service"], "rvsadm service set"),
    (&["-D", "--delete-service"], "rvsadm service del"),
    (&["-a", "--add-server"], "rvsadm dest add"),
    (&["-e", "--edit-server"], "rvsadm dest set"),
    (&["-d", "--delete-server"], "rvsadm dest del"),
    (
        &[
            "-P",
            "--add-laddr",
            "-Q",
            "--del-laddr",
            "-G",
            "--get-laddr",
        ],
        "rvsadm laddr",
    ),
    (&["-C", "--clear"], "rvsadm service flush"),
    (&["-R", "--restore", "load"], "rvsadm restore FILE"),
    (&["-S", "--save", "dump", "export"], "rvsadm save"),
    (&["-Z", "--zero", "zero"], "rvsadm stats zero"),
    (
        &["--set", "--timeout", "set", "settings"],
        "rvsadm config set, rvsadm service set, rvsadm dest set",
    ),
    (
        &["--start-daemon", "--stop-daemon"],
        "connections are not synchronized between directors",
    ),
    (&["-v"], "rvsadm version"),
    (
        &["list", "ls"],
        "rvsadm service list, rvsadm dest list, rvsadm conn list",
    ),
    (
        &["show", "status", "info", "get"],
        "rvsadm service list, rvsadm stats show, rvsadm doctor",
    ),
    (
        &["add", "create", "new"],
        "rvsadm service add, rvsadm dest add",
    ),
    (
        &["del", "delete", "remove", "rm"],
        "rvsadm service del, rvsadm dest del",
    ),
    (
        &["flush", "clear"],
        "rvsadm service flush, rvsadm conn flush",
    ),
    (
        &["server", "servers", "real", "rip", "backend"],
        "rvsadm dest",
    ),
    (&["vip", "vs", "virtual", "frontend"], "rvsadm service"),
    (&["connections", "sessions", "flows"], "rvsadm conn list"),
    (&["drain", "disable", "quiesce"], "rvsadm dest drain"),
    (
        &["reload", "apply"],
        "rvsadm restore FILE, or systemctl reload rvs",
    ),
    (&["start"], "modprobe rvs, or systemctl start rvs"),
    (&["stop"], "rvsadm unload, or systemctl stop rvs"),
];

/// Reads this program's command line; what is wrong with it is said already.
pub fn read() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let words: Vec<_> = std::env::args().skip(1).collect();
        tell(&error, &words)
    })
}

fn tell(error: &clap::Error, words: &[String]) -> ExitCode {
    if !error.use_stderr() {
        // --help and --version are no errors.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let pointer = pointer(error.kind(), words);
    if wants_json(words) {
        let refused = Refused {
            what: "read the command line".to_owned(),
            reason: first_line(error),
            hint: pointer.or_else(|| Some("see: rvsadm --help".to_owned())),
            ..Refused::default()
        };
        say(serde_json::json!({ "version": VERSION, "error": refused }));
    } else {
        let _ = error.print();
        if let Some(pointer) = pointer {
            say(format_args!("\nhint: {pointer}"));
        }
    }
    ExitCode::from(USAGE)
}

fn wants_json(words: &[String]) -> bool {
    let mut words = words.iter();
    words.any(|word| word == "-j" || word == "--json")
}

/// What the first word is here, where it is none of ours.
fn pointer(kind: ErrorKind, words: &[String]) -> Option<String> {
    if !matches!(
        kind,
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand
    ) {
        return None;
    }
    let first = words.iter().find(|word| !wants_json(&[(*word).clone()]))?;
    // ipvsadm -Ln
    let letter = first.starts_with('-') && !first.starts_with("--");
    let is = |known: &&str| *known == first || (letter && first.get(..2) == Some(known));
    let mut words = WORDS.iter();
    let (_, meant) = words.find(|(known, _)| known.iter().any(is))?;
    Some(format!("{first} of other tools is here: {meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn no_word_is_a_command_of_ours() {
        let ours = Cli::command();
        for word in WORDS.iter().flat_map(|(words, _)| *words) {
            assert!(ours.find_subcommand(word).is_none(), "{word}");
        }
    }
}

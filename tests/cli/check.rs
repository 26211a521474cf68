// SPDX-License-Identifier: GPL-2.0

//! `restore --check`.

use crate::program::with_input;

/// A file of `lines` lines that are fine: a service, then its dests.
fn file(lines: usize) -> Vec<String> {
    let service = "-A -t 203.0.113.10:80 -s rr".to_owned();
    let dests = (1..lines).map(|n| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!("-a -t 203.0.113.10:80 -r 10.0.{high}.{low}:80 -g -w 1")
    });
    std::iter::once(service).chain(dests).collect()
}

fn check(lines: &[String], json: bool) -> crate::program::Run {
    let arguments: &[&str] = if json {
        &["-j", "restore", "--check", "-"]
    } else {
        &["restore", "--check"]
    };
    with_input(arguments, &lines.join("\n"))
}

#[test]
fn a_file_that_is_fine() {
    let lines = file(40);
    assert_eq!(
        check(&lines, false).code(0).out,
        "fine: 1 services, 39 dests\n"
    );
    let document = check(&lines, true).code(0).json();
    assert_eq!(
        document,
        serde_json::json!({"ok": true, "services": 1, "dests": 39})
    );
}

#[test]
fn broken_line_37_is_named() {
    let mut lines = file(60);
    lines[36] = lines[36].replace("-w 1", "-w 70000");
    let run = check(&lines, false).code(1);
    assert_eq!(run.out, "");
    assert!(
        run.err
            .starts_with("line 37: weight 70000 is out of range, 0 to 65535 ("),
        "{}",
        run.err
    );
    assert!(run.err.contains("nothing was applied"), "{}", run.err);

    let run = check(&lines, true).code(1);
    let document: serde_json::Value = serde_json::from_str(&run.err).expect("JSON");
    assert_eq!(document["error"]["lines"][0]["line"], 37);
}

#[test]
fn every_broken_line_is_named_up_to_a_number() {
    let mut lines = file(60);
    lines[9] = "-a -t 203.0.113.10:80 -r 127.0.0.1:80".to_owned();
    lines[36] = "nonsense".to_owned();
    let err = check(&lines, false).code(1).err;
    assert!(
        err.contains("line 10: 127.0.0.1 cannot be a real server"),
        "{err}"
    );
    assert!(err.contains("line 37: \"nonsense\""), "{err}");

    let lines = vec!["nonsense".to_owned(); 1000];
    let err = check(&lines, false).code(1).err;
    assert!(err.contains("and 980 more broken lines"), "{err}");
    assert_eq!(err.matches("line ").count(), 20, "{err}");
}

#[test]
fn a_file_that_is_not_there() {
    let run = crate::program::run(&["restore", "--check", "/nonexistent/rvs.conf"]).code(1);
    assert!(run.err.contains("/nonexistent/rvs.conf"), "{}", run.err);
}

#[test]
fn ten_thousand_dests() {
    let lines = file(10_001);
    let run = check(&lines, false).code(0);
    assert_eq!(run.out, "fine: 1 services, 10000 dests\n");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let arguments = ["restore", "--check"];
    let run = crate::program::unread(&arguments, &file(3).join("\n")).code(0);
    assert_eq!(run.err, "");
}

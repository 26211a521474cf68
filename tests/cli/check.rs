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
    lines[36] = lines[36].replace("-w 1", "-w 3000000000");
    let run = check(&lines, false).code(1);
    assert_eq!(run.out, "");
    assert!(
        run.err
            .starts_with("line 37: weight 3000000000 is out of range, 0 to 2147483647 ("),
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
    lines[9] = "-a -t 203.0.113.10:80 -r 0.0.0.1:80".to_owned();
    lines[36] = "nonsense".to_owned();
    let err = check(&lines, false).code(1).err;
    assert!(
        err.contains("line 10: 0.0.0.1 cannot be a real server"),
        "{err}"
    );
    assert!(err.contains("line 37: \"nonsense\""), "{err}");

    let lines = vec!["nonsense".to_owned(); 1000];
    let err = check(&lines, false).code(1).err;
    assert!(err.contains("and 980 more broken lines"), "{err}");
    assert_eq!(err.matches("line ").count(), 20, "{err}");
}

/// Restores of text that would take a whole configuration away, without a look at the module.
#[test]
fn what_has_no_services_needs_to_be_meant() {
    for text in [
        "",
        "\n\n",
        "# a comment\n",
        "#rvsadm config --udp-timeout 60\n",
        "#rvsadm laddr 192.0.2.1\n",
    ] {
        let run = with_input(&["restore", "--check"], text).code(1);
        assert!(
            run.err.contains("it has no services"),
            "{text:?}: {}",
            run.err
        );
        assert!(
            run.err.contains("hint: if that is meant, add --empty"),
            "{}",
            run.err
        );
        let run = with_input(&["restore", "--check", "--empty"], text).code(0);
        assert!(run.out.starts_with("fine: 0 services"), "{}", run.out);
    }
    // What was saved when there was nothing.
    with_input(&["restore", "--check"], "#rvsadm begin\n#rvsadm end\n").code(0);
}

#[test]
fn what_has_lost_its_end_is_refused() {
    let whole = format!("#rvsadm begin\n{}\n#rvsadm end\n", file(5).join("\n"));
    with_input(&["restore", "--check"], &whole).code(0);
    // As editors of another system save it.
    with_input(&["restore", "--check"], &whole.replace('\n', "\r\n")).code(0);
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for kept in 1..lines.len() {
        let cut = lines[..kept].concat();
        let run = with_input(&["restore", "--check"], &cut).code(1);
        let told = "it is cut: line 1 begins what was saved, and no line \"#rvsadm end\" ends it";
        assert!(run.err.contains(told), "{kept}: {}", run.err);
        with_input(&["restore", "--check", "--empty"], &cut).code(0);
    }
}

#[test]
fn lines_of_a_later_version_are_no_comments() {
    let text = format!(
        "{}\n#rvsadm quota tcp/203.0.113.10:80 5\n# rvsadm is fine\n",
        file(2).join("\n")
    );
    let err = with_input(&["restore", "--check"], &text).code(1).err;
    assert!(err.starts_with("line 3: \"#rvsadm quota "), "{err}");
    assert!(err.contains("a later version"), "{err}");
}

#[test]
fn text_of_other_editors() {
    let lines = file(2).join("\n");
    with_input(&["restore", "--check"], &format!("\u{feff}{lines}")).code(0);
    let path = std::env::temp_dir().join(format!("rvsadm-utf16-{}", std::process::id()));
    let units = format!("\u{feff}{lines}");
    let bytes: Vec<u8> = units.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, bytes).expect("a file");
    let name = path.to_str().expect("text");
    let run = crate::program::run(&["restore", "--check", name]).code(1);
    assert!(
        run.err.contains("cannot read it: it is UTF-16"),
        "{}",
        run.err
    );
    assert!(run.err.contains("hint: save it as UTF-8"), "{}", run.err);
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn refusals_that_nobody_listens_to() {
    let run = crate::program::unheard(&["restore", "--check"], "nonsense\n").code(1);
    assert_eq!(run.out, "");
    crate::program::unheard(&["-j", "restore", "--check"], "nonsense\n").code(1);
    crate::program::unheard(&["no-such-command"], "").code(2);
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

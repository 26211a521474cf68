// SPDX-License-Identifier: GPL-2.0

//! What people type who come from other tools: units, names of ports, words of ipvsadm; and what
//! packages install beside the program.

use std::fs;
use std::process::Command;

use crate::program::run;

/// What is refused of a command line that was read: its words come after those.
fn refused(arguments: &[&str]) -> String {
    run(arguments).code(1).err
}

#[test]
fn usual_words_point_to_commands() {
    for (arguments, pointer) in [
        (&["-L", "-n"][..], "rvsadm service list"),
        (&["-Ln"], "rvsadm conn list"),
        (&["list"], "rvsadm dest list"),
        (&["show"], "rvsadm stats show"),
        (&["status"], "rvsadm doctor"),
        (&["-j", "status"], "rvsadm doctor"),
        (&["-A", "-t", "192.0.2.1:80"], "rvsadm service add"),
        (&["-a", "-t", "192.0.2.1:80"], "rvsadm dest add"),
        (&["-C"], "rvsadm service flush"),
        (&["reload"], "rvsadm restore"),
        (&["stop"], "rvsadm unload"),
    ] {
        let run = run(arguments).code(2);
        assert!(run.err.contains("hint"), "{arguments:?}: {}", run.err);
        assert!(run.err.contains(pointer), "{arguments:?}: {}", run.err);
    }
    let run = run(&["service", "ad"]).code(2);
    assert!(!run.err.contains("of other tools"), "{}", run.err);
}

#[test]
fn wrong_command_lines_are_json_too() {
    for arguments in [
        &["-j", "service", "add", "tcp/192.0.2.1"][..],
        &["service", "list", "--json", "--nothing"],
        &["-j"],
    ] {
        let run = run(arguments).code(2);
        let document: serde_json::Value = serde_json::from_str(&run.err).expect("JSON");
        assert_eq!(document["version"], 1, "{}", run.err);
        assert_eq!(document["error"]["what"], "read the command line");
        for member in ["reason", "hint"] {
            let text = document["error"][member].as_str().expect("text");
            assert!(!text.is_empty(), "{member} of {arguments:?}: {}", run.err);
        }
    }
}

#[test]
fn times_numbers_and_ports_as_people_write_them() {
    // 32 days are too many: it is read as seconds, and the rule that it breaks is told.
    let add = ["service", "add", "TCP/192.0.2.1:https"];
    for (option, value) in [("-p", "32d"), ("--slow-start", "745h")] {
        let err = refused(&[&add[..], &[option, value]].concat());
        assert!(err.contains("tcp/192.0.2.1:443"), "{err}");
        assert!(err.contains("out of range"), "{err}");
    }
    let err = refused(&["config", "set", "--tcp-timeout", "established=32d"]);
    assert!(err.contains("timeout 2764800 s"), "{err}");
    let dest = ["dest", "add", "tcp/192.0.2.1:80", "192.0.2.2:http"];
    let err = refused(&[&dest[..], &["--upper", "1k", "--lower", "2k"]].concat());
    assert!(err.contains("1000") && err.contains("2000"), "{err}");
    for (arguments, reason) in [
        (["service", "add", "tcp/192.0.2.1:80", "-p", "5x"], "1h30m"),
        (
            ["service", "add", "tcp/192.0.2.1:nope", "-p", "5"],
            "/etc/services",
        ),
    ] {
        let err = run(&arguments).code(2).err;
        assert!(err.contains(reason), "{err}");
    }
}

#[test]
fn a_dest_without_a_port_has_that_of_the_service() {
    let weight = ["--weight", "2147483648"];
    for (service, dest, named) in [
        ("tcp/192.0.2.1:80", "192.0.2.2", "192.0.2.2:80"),
        ("tcp/[2001:db8::1]:80", "2001:db8::2", "[2001:db8::2]:80"),
        ("tcp/[2001:db8::1]:80", "[2001:db8::2]", "[2001:db8::2]:80"),
        ("fwmark/7", "192.0.2.2", "192.0.2.2:0"),
    ] {
        let err = refused(&[&["dest", "add", service, dest][..], &weight].concat());
        assert!(err.contains(&format!("dest {named} to")), "{err}");
    }
}

#[test]
fn all_services_need_a_server() {
    for arguments in [
        &["dest", "set", "--all", "--weight", "0"][..],
        &["dest", "set", "--dest", "192.0.2.2", "--weight", "0"],
        &["dest", "set", "tcp/192.0.2.1:80", "--weight", "0"],
        &["dest", "del", "--all", "tcp/192.0.2.1:80", "192.0.2.2"],
        &["dest", "drain", "--all", "--dest", "192.0.2.2", "--wait"],
    ] {
        run(arguments).code(2);
    }
}

#[test]
fn versions_of_tool_and_modules() {
    let versions = run(&["-j", "version"]).code(0).json();
    assert_eq!(versions["rvsadm"], env!("CARGO_PKG_VERSION"));
    assert!(run(&["version"]).code(0).out.contains("rvs"));
}

#[test]
fn a_namespace_that_is_not_there() {
    let err = refused(&["-n", "no-such-namespace", "version"]);
    assert!(err.contains("no-such-namespace"), "{err}");
    assert!(err.contains("ip netns"), "{err}");
    run(&["version", "-n", "a/b"]).code(2);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = std::env::temp_dir().join(format!("rvsadm-man-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    run(&["generate", "man", folder.to_str().expect("UTF-8")]).code(0);
    let page = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
    let set = page("rvsadm-service-set.8");
    for text in [".SH SYNOPSIS", "scheduler", ".SH NOTES", "SEE ALSO"] {
        assert!(page("rvsadm.8").contains(".SH SYNOPSIS"));
        assert!(set.contains(text) || text == ".SH NOTES", "{text} in {set}");
    }
    // Lines of examples stay lines.
    assert!(page("rvsadm-dest-drain.8").contains(".nf\nExamples:\n"));
    assert!(!folder.join("rvsadm-generate.8").exists());
    fs::remove_dir_all(&folder).expect("removed");
    let err = refused(&["generate", "man", folder.to_str().expect("UTF-8")]);
    assert!(err.contains("name a folder"), "{err}");
}

/// Completes `words`, the last one being begun, as bash asks for it.
fn completed(words: &str) -> String {
    let script = r#"
        source <("$RVSADM" generate completion bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        _rvsadm "$RVSADM"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["-euc", script, "bash", words]);
    bash.env("RVSADM", env!("CARGO_BIN_EXE_rvsadm"));
    let output = bash.output().expect("bash runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {err}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn bash_completes() {
    assert!(completed("rvsadm serv").contains("service"));
    let verbs = completed("rvsadm service ");
    assert!(verbs.contains("add") && verbs.contains("flush"), "{verbs}");
    assert!(completed("rvsadm service add --sched").contains("--scheduler"));
    assert!(!completed("rvsadm ").contains("generate"));
    // What is before the last break of words is there already.
    assert!(completed("rvsadm service add --ops=o")
        .lines()
        .any(|l| l == "on" || l.is_empty()));
    for shell in ["zsh", "fish"] {
        let script = run(&["generate", "completion", shell]).code(0).out;
        assert!(script.contains("rvsadm"), "{script}");
    }
    assert!(run(&["generate", "completion", "tcsh"])
        .code(2)
        .err
        .contains("bash"));
}

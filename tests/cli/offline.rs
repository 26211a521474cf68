// SPDX-License-Identifier: GPL-2.0

//! Without the module: what breaks a rule is refused before the kernel is asked, and what is not
//! is told how to load it.

use crate::program::{run, Run};

fn refused(arguments: &[&str]) -> Run {
    let run = run(arguments).code(1);
    assert_eq!(run.out, "", "{arguments:?}");
    run
}

#[test]
fn a_description_that_breaks_a_rule() {
    let dest = ["dest", "add", "tcp/192.0.2.1:80"];
    for (arguments, reason) in [
        (
            vec!["service", "add", "tcp/224.0.0.1:80"],
            "224.0.0.1 cannot be a virtual address",
        ),
        (
            vec!["service", "add", "tcp/192.0.2.1:80", "-p", "2678401"],
            "persistence 2678401 s",
        ),
        (
            vec!["dest", "add", "tcp/192.0.2.1:0", "192.0.2.2:80"],
            "mode dr cannot change the port, use 0",
        ),
        (
            vec!["service", "set", "tcp/192.0.2.1:80", "-M", "33"],
            "prefix length 33",
        ),
        (
            vec![
                "dest",
                "drain",
                "tcp/192.0.2.1:80",
                "192.0.2.2:80",
                "-d",
                "2678401",
            ],
            "drain time 2678401 s",
        ),
        (vec!["config", "set", "--drop-rate", "0"], "drop rate 0"),
        (
            vec!["service", "add", "tcp/[fe80::1]:80"],
            "fe80::1 cannot be a virtual address",
        ),
        (
            [&dest[..], &["192.0.2.1:80"]].concat(),
            "the virtual address itself",
        ),
        (
            [&dest[..], &["224.0.0.1:80"]].concat(),
            "cannot be a real server",
        ),
        (
            [&dest[..], &["192.0.2.2:81"]].concat(),
            "mode dr cannot change the port, use 80",
        ),
        (
            [
                &dest[..],
                &["192.0.2.2:80", "--mode", "dr", "--tun-type", "gre"],
            ]
            .concat(),
            "mode dr has no tunnel",
        ),
        (
            [&dest[..], &["192.0.2.2:80", "--weight", "2147483648"]].concat(),
            "weight 2147483648",
        ),
        (
            vec![
                "dest",
                "set",
                "tcp/192.0.2.1:80",
                "192.0.2.2:80",
                "-w",
                "2147483648",
            ],
            "weight 2147483648",
        ),
        (vec!["config", "set", "--udp-timeout", "0"], "timeout 0 s"),
        (
            vec!["config", "set", "--tcp-timeout", "close=2678401"],
            "timeout 2678401 s",
        ),
    ] {
        let err = refused(&arguments).err;
        assert!(err.contains(reason), "{arguments:?}: {err}");
        assert!(err.contains("hint: "), "{arguments:?}: {err}");
    }
}

#[test]
fn errors_are_json_too() {
    let run = refused(&["-j", "service", "add", "tcp/224.0.0.1:80"]);
    let document: serde_json::Value = serde_json::from_str(&run.err).expect("one JSON document");
    let error = &document["error"];
    assert_eq!(error["what"], "add service tcp/224.0.0.1:80");
    assert!(error["reason"]
        .as_str()
        .expect("text")
        .contains("224.0.0.1"));
    assert!(error["hint"].is_string());
}

/// Whether the module is in this kernel; then there is nothing to say about its absence.
fn is_loaded() -> bool {
    std::path::Path::new("/sys/module/rvs").exists()
}

#[test]
fn the_module_is_asked_for() {
    if is_loaded() {
        return;
    }
    for arguments in [
        &["service", "list"][..],
        &["service", "show", "tcp/192.0.2.1:80"],
        &["dest", "list"],
        &["conn", "list"],
        &["stats", "show"],
        &["config", "show"],
        &["save"],
        &["restore", "/dev/null"],
        &["monitor", "--timeout", "1"],
    ] {
        let err = run(arguments).code(1).err;
        assert!(
            err.contains("the rvs module is not loaded"),
            "{arguments:?}: {err}"
        );
        assert!(err.contains("modprobe rvs"), "{arguments:?}: {err}");
    }
}

#[test]
fn a_live_view_needs_a_terminal() {
    let run = refused(&["top"]);
    for text in ["not a terminal", "hint: ", "--once"] {
        assert!(run.err.contains(text), "{text} in {}", run.err);
    }
}

// SPDX-License-Identifier: GPL-2.0

use crate::program::run;

#[test]
fn help_has_examples_and_exit_codes() {
    let help = run(&["--help"]).code(0).out;
    for text in [
        "Exit codes",
        "Examples",
        "tcp/203.0.113.10:443",
        "modprobe rvs",
    ] {
        assert!(help.contains(text), "{text} in {help}");
    }
}

#[test]
fn every_command_has_help() {
    let commands: &[(&str, &[&str])] = &[
        ("service", &["add", "set", "del", "list", "show", "flush"]),
        ("dest", &["add", "set", "del", "list", "show"]),
        ("conn", &["list", "flush"]),
        ("stats", &["show", "zero"]),
        ("config", &["show", "set"]),
        ("rs", &["setup", "undo", "show"]),
        ("save", &[]),
        ("restore", &[]),
        ("monitor", &[]),
        ("top", &[]),
        ("exporter", &[]),
        ("unload", &[]),
        ("version", &[]),
    ];
    for (object, verbs) in commands {
        let help = run(&[object, "--help"]).code(0).out;
        for verb in *verbs {
            assert!(help.contains(verb), "{verb} in {help}");
            run(&[object, verb, "--help"]).code(0);
        }
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    for (arguments, reason) in [
        (&["service"][..], "Usage"),
        (&["service", "add"], "<SERVICE>"),
        (&["service", "add", "tcp/192.0.2.1"], "has no port"),
        (&["service", "add", "192.0.2.1:80"], "PROTOCOL/ADDRESS:PORT"),
        (&["service", "add", "dccp/192.0.2.1:80"], "\"dccp\""),
        (
            &["service", "add", "tcp/192.0.2.1:99999"],
            "\"99999\" is not a port",
        ),
        (&["service", "add", "tcp/::1:80"], "[ADDRESS]:PORT"),
        (&["service", "set", "tcp/192.0.2.1:80"], "--scheduler"),
        (
            &["dest", "set", "tcp/192.0.2.1:80", "192.0.2.2:80"],
            "--weight",
        ),
        (
            &[
                "dest",
                "add",
                "tcp/192.0.2.1:80",
                "192.0.2.2:80",
                "--mode",
                "direct",
            ],
            "dr, nat",
        ),
        (
            &[
                "dest",
                "add",
                "tcp/192.0.2.1:80",
                "192.0.2.2:80",
                "-w",
                "-1",
            ],
            "-1",
        ),
        (&["config", "set"], "--udp-timeout"),
        (&["config", "set", "--tcp-timeout", "fin=1"], "fin-wait"),
        (&["config", "set", "--expire-nodest", "1"], "on or off"),
        (&["config", "set", "--local-ports", "9"], "MIN-MAX"),
        (&["conn", "list", "--state", "open"], "established"),
        (&["rs", "setup"], "--vip"),
        (&["monitor", "--count", "0"], "--count"),
        (&["top", "--sort", "size"], "bits, packets, new"),
        (&["top", "--delay", "0"], "1 to 86400"),
        (&["stats", "show", "--watch", "0"], "1 to 86400"),
        (&["stats", "show", "--watch", "1", "--zero"], "--zero"),
        (&["exporter", "--listen", "9757"], "9757"),
        (&["exporter", "--listen", "localhost:9757"], "localhost"),
        (&["exporter", "--netns", "/run/netns/a"], "ip netns"),
        (&["exporter", "--max-clients", "0"], "1 to 1000"),
        (&["exporter", "--own-netns"], "--netns"),
        (&["restore", "--check", "--dry-run"], "--dry-run"),
    ] {
        let run = run(arguments).code(2);
        assert!(run.err.contains(reason), "{arguments:?}: {}", run.err);
        assert_eq!(run.out, "", "{arguments:?}");
    }
}

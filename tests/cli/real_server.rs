// SPDX-License-Identifier: GPL-2.0

//! `rs` in a network namespace of its own, where the tests may make one.

use std::path::PathBuf;
use std::process::Command;

/// Runs `script` in a new network namespace; `None` where that is not allowed.
fn in_namespace(script: &str) -> Option<String> {
    let made = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "sh", "-ec"])
            .args(arguments);
        command.env("RVSADM", env!("CARGO_BIN_EXE_rvsadm"));
        command.env("STATE", scratch());
        command.output().ok()
    };
    // The namespace's own settings show up in a fresh /proc/sys only where it may be written.
    let allowed = made(&["test -w /proc/sys/net/ipv4/conf/all/arp_ignore"])?;
    if !allowed.status.success() {
        return None;
    }
    let output = made(&[script])?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    Some(out)
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("rvsadm-rs-{}", std::process::id()))
}

#[test]
fn set_up_and_undone() {
    let script = r#"
        rs() { verb=$1; shift; "$RVSADM" rs "$verb" --state-dir "$STATE" "$@"; }
        conf() { cat /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv4/conf/lo/arp_announce; }
        before=$(conf)
        rs setup --mode dr --vip 203.0.113.10 --dry-run
        rs setup --mode tun --vip 203.0.113.10 --tun-type gre --dry-run
        test "$(conf)" = "$before"
        test ! -e "$STATE"
        rs setup --mode dr --vip 203.0.113.10 203.0.113.11
        rs setup --vip 203.0.113.10
        test "$(conf)" = "1
2"
        rs show
        rs undo
        test "$(conf)" = "$before"
        rs undo
        rs show -j
        test -z "$(ls "$STATE")"
        rmdir "$STATE"
    "#;
    let Some(out) = in_namespace(script) else {
        eprintln!("skipped: no network namespace may be made here");
        return;
    };
    for text in [
        "net.ipv4.conf.all.arp_ignore",
        "lo address 203.0.113.10/32",
        "nothing was changed (--dry-run)",
        "nothing to change",
        "nothing to put back",
    ] {
        assert!(out.contains(text), "{text} in {out}");
    }
    let shown = out.lines().last().expect("JSON");
    let shown: serde_json::Value = serde_json::from_str(shown).expect("JSON");
    assert_eq!(shown["changes"], serde_json::json!([]));
}

#[test]
fn what_cannot_be_a_virtual_address() {
    let run = crate::program::run(&["rs", "setup", "--vip", "224.0.0.1"]).code(1);
    assert!(
        run.err.contains("cannot be a virtual address"),
        "{}",
        run.err
    );
    let run = crate::program::run(&[
        "rs",
        "setup",
        "--mode",
        "tun",
        "--vip",
        "192.0.2.1",
        "--director",
        "192.0.2.2",
    ])
    .code(1);
    let said = |needle: &str| assert!(run.err.contains(needle), "{}", run.err);
    said("does not take --director");
}

#[test]
fn what_is_no_tunnel_to_a_real_server() {
    for (options, reason) in [
        (
            &["tun", "--tun-type", "gue"][..],
            "tunnel gue needs a port, 1 to 65535",
        ),
        (
            &["tun", "--tun-type", "gre", "--tun-port", "6080"],
            "tunnel port 6080: gre has no port",
        ),
        (
            &["tun", "--tun-type", "gre", "--tun-remcsum"],
            "tunnel checksum remcsum: gre has none",
        ),
        (&["dr", "--tun-type", "gre"], "mode dr has no tunnel"),
        (&["dr", "--over", "ipv6"], "mode dr does not take --over"),
    ] {
        let arguments = ["rs", "setup", "--vip", "192.0.2.1", "--mode"];
        let run = crate::program::run(&[&arguments, options].concat()).code(1);
        assert!(run.err.contains(reason), "{}", run.err);
        assert!(run.err.contains("hint: "), "{}", run.err);
    }
    for options in [["--tun-port", "6080"], ["--over", "ipv5"]] {
        let arguments = ["rs", "setup", "--mode", "tun", "--vip", "192.0.2.1"];
        crate::program::run(&[&arguments[..], &options].concat()).code(2);
    }
}

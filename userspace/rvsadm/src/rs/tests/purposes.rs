// SPDX-License-Identifier: GPL-2.0

//! What a mode needs, and records of what was done.

use super::*;

#[test]
fn what_a_mode_needs_and_does_not_take() {
    let vip = "203.0.113.10";
    for (mode, vips, directors, clients, words) in [
        (
            Mode::Dr,
            &[][..],
            &["192.0.2.1"][..],
            &[][..],
            "needs --vip",
        ),
        (Mode::Tun, &[vip], &["192.0.2.1"], &[], "take --director"),
        (Mode::Dr, &[vip], &[], &["192.0.2.0/24"], "take --client"),
        (Mode::Nat, &[], &[], &[], "needs --director"),
        (Mode::Nat, &[vip], &["192.0.2.1"], &[], "take --vip"),
        (Mode::Nat, &[], &["192.0.2.0/24"], &[], "one director"),
        (
            Mode::Nat,
            &[],
            &["192.0.2.1"],
            &["2001:db8::/32"],
            "is no next hop",
        ),
        (Mode::FullNat, &[], &[], &[], "needs --director"),
    ] {
        match purpose(mode, vips, directors, clients) {
            Err(Failure::Refused(refused)) => {
                assert!(refused.reason.contains(words), "{}", refused.reason);
            }
            other => panic!("{mode:?}: {other:?}"),
        }
    }
}

#[test]
fn records_of_earlier_versions_are_read() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.directory).unwrap();
    let old = r#"[{"setting":{"sysctl":"net.ipv4.conf.all.arp_ignore"},"before":"0","after":"1"},
        {"setting":"loopback-up","before":"down","after":"up"},
        {"setting":{"tunnel-up":"tunl0"},"before":"down","after":"up"},
        {"setting":{"tunnel-up":"ip6tnl0"},"before":"down","after":"up"},
        {"setting":{"address":"203.0.113.10"},"before":"absent","after":"present"}]"#;
    std::fs::write(scratch.directory.join("rs.json"), old).unwrap();
    let record = scratch.record();
    assert_eq!(record.addresses().collect::<Vec<_>>(), [VIP]);
    let changes = record.newest_first();
    assert_eq!(changes[2].setting, Setting::TunnelUp(Device::Tunl0));
}

// SPDX-License-Identifier: GPL-2.0

//! Set-ups that fail.

use super::*;

fn reason(result: Result<Changes, Failure>) -> String {
    match result {
        Err(Failure::Refused(refused)) => refused.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_set_up_that_fails_changes_nothing() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("eth0.accept_redirects", "1");
    setup(&direct(&[VIP]), &mut host, &mut scratch.record()).unwrap();
    let before = host.clone();
    let nat = purpose(Mode::Nat, &[], &["192.0.2.1"], &[]).unwrap();
    let Purpose::Translated { clients, director } = &nat else {
        panic!("{nat:?}");
    };
    let route = Setting::Route {
        network: clients[1],
        via: *director,
    };
    host.stuck = Some((route, ABSENT.to_owned()));
    let mut record = scratch.record();
    let told = reason(setup(&nat, &mut host, &mut record));
    assert_eq!(told, "it is stuck; nothing is changed");
    host.stuck = None;
    assert_eq!(host, before);
    // What an earlier one changed is remembered, and nothing else, here and in the file.
    for mut record in [record, scratch.record()] {
        let changes = record.newest_first();
        assert!(changes.iter().any(|c| c.setting == Setting::Address(VIP)));
        assert!(!changes
            .iter()
            .any(|c| matches!(c.setting, Setting::Route { .. })));
        undo(&[], &mut host.clone(), &mut record).unwrap();
    }
}

#[test]
fn a_device_that_was_made_in_vain_goes() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.fallback = false;
    let before = host.clone();
    host.stuck = Some((Setting::Address(VIP), ABSENT.to_owned()));
    let tun = purpose(Mode::Tun, &["203.0.113.10"], &[], &[]).unwrap();
    reason(setup(&tun, &mut host, &mut scratch.record()));
    host.stuck = None;
    assert_eq!(host, before);
    assert!(scratch.record().newest_first().is_empty());
}

#[test]
fn what_cannot_be_put_back_is_told_and_left_to_undo() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    let redirects = Setting::sysctl("eth0", "accept_redirects");
    host.sysctl("eth0.accept_redirects", "1");
    // It can be set, but not back; and there is no way to that director.
    host.stuck = Some((redirects, "0".to_owned()));
    host.unreachable = true;
    let nat = purpose(Mode::Nat, &[], &["192.0.2.1"], &[]).unwrap();
    let told = reason(setup(&nat, &mut host, &mut scratch.record()));
    assert!(
        told.ends_with("net.ipv4.conf.eth0.accept_redirects cannot be put back"),
        "{told}"
    );
    host.stuck = None;
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.sysctls["net.ipv4.conf.eth0.accept_redirects"], "1");
}

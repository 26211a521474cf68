// SPDX-License-Identifier: GPL-2.0

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::fake::FakeKernel;

const WEB: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:80 -g -w 1
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -g -w 1
";

const DNS: &str = "-A -u 203.0.113.10:53 -s wrr\n-a -u 203.0.113.10:53 -r 192.0.2.9:53 -g -w 5\n";

fn document(text: &str) -> Document {
    Document::parse(text, &Ports::default()).unwrap()
}

fn arguments(dry_run: bool) -> Arguments {
    Arguments {
        file: "rvs.conf".to_owned(),
        check: false,
        dry_run,
        // What is restored here is meant.
        empty: true,
    }
}

fn restored(kernel: &mut FakeKernel, text: &str) -> Result<Summary, Failure> {
    restore(
        "restore rvs.conf",
        &document(text),
        &arguments(false),
        kernel,
    )
}

/// What is saved, without the lines that say where it begins and ends.
fn saved(kernel: &mut FakeKernel) -> String {
    let text = crate::tests::printed(kernel, "save --settings").unwrap();
    let inner = text.strip_prefix("#rvsadm begin\n");
    let inner = inner.and_then(|text| text.strip_suffix("#rvsadm end\n"));
    inner.unwrap().to_owned()
}

fn steps(kernel: &FakeKernel) -> Vec<String> {
    kernel.batches.iter().flatten().map(describe).collect()
}

#[test]
fn what_is_saved_is_restored() {
    let mut kernel = FakeKernel::default();
    let text =
        format!("{WEB}{DNS}#rvsadm config --udp-timeout 60 --conn-max 9 --expire-nodest on\n");
    let summary = restored(&mut kernel, &text).unwrap();
    assert_eq!((summary.services.added, summary.dests.added), (2, 3));
    assert!(summary.settings_changed);
    assert_eq!(saved(&mut kernel), text);
    let again = restored(&mut kernel, &text).unwrap();
    assert_eq!((again.services.unchanged, again.dests.unchanged), (2, 3));
    assert!(!again.settings_changed);
    assert_eq!(kernel.batches.len(), 1, "nothing to do is no batch");
}

#[test]
fn only_what_differs_is_changed_in_order() {
    let mut kernel = FakeKernel::with(&format!("{WEB}{DNS}"));
    let wanted = "\
-A -t 203.0.113.10:80 -s wrr
-a -t 203.0.113.10:80 -r 192.0.2.4:80
-a -t 203.0.113.10:80 -r 192.0.2.3:80
-a -t 203.0.113.10:80 -r 192.0.2.2:80 -w 7
-A -t 203.0.113.11:80 -s rr
-a -t 203.0.113.11:80 -r 192.0.2.1:80
";
    restored(&mut kernel, wanted).unwrap();
    assert_eq!(kernel.batches.len(), 1, "all in one message");
    assert_eq!(
        steps(&kernel),
        [
            "remove service udp/203.0.113.10:53",
            "remove dest 192.0.2.1:80 of tcp/203.0.113.10:80",
            "change service tcp/203.0.113.10:80 scheduler wrr",
            "change dest 192.0.2.2:80 of tcp/203.0.113.10:80 weight 7",
            "add dest 192.0.2.4:80 to tcp/203.0.113.10:80 mode dr weight 1",
            "add dest 192.0.2.3:80 to tcp/203.0.113.10:80 mode dr weight 1",
            "add service tcp/203.0.113.11:80 scheduler rr",
            "add dest 192.0.2.1:80 to tcp/203.0.113.11:80 mode dr weight 1",
        ]
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut kernel = FakeKernel::with(WEB);
    let before = saved(&mut kernel);
    let summary = restore("restore x", &document(DNS), &arguments(true), &mut kernel).unwrap();
    assert_eq!(summary.changes.unwrap().len(), 3);
    assert_eq!(saved(&mut kernel), before);
}

#[test]
fn a_refusal_of_the_kernel_names_the_line_and_undoes_all() {
    let mut kernel = FakeKernel::with(DNS);
    kernel.config.udp_timeout = Some(300);
    let before = saved(&mut kernel);
    kernel.unroutable = Some("192.0.2.2".parse().unwrap());
    let text = format!("#rvsadm config --udp-timeout 60\n{WEB}");
    let Err(Failure::Refused(refused)) = restored(&mut kernel, &text) else {
        panic!("no route to 192.0.2.2");
    };
    assert_eq!(refused.lines.len(), 1);
    assert_eq!(refused.lines[0].line, 4);
    assert_eq!(refused.lines[0].reason, "no route to 192.0.2.2");
    assert_eq!(
        refused.reason,
        "the kernel refused line 4; nothing was applied"
    );
    assert_eq!(saved(&mut kernel), before, "the settings too");
}

#[test]
fn an_interrupted_list_is_read_again() {
    let mut kernel = FakeKernel::with(WEB);
    kernel.interruptions = 3;
    assert!(saved(&mut kernel).starts_with("-A"));
    kernel.interruptions = 1000;
    assert!(crate::tests::printed(&mut kernel, "save").is_err());
}

#[test]
fn a_thousand_services_are_fast() {
    let mut text = String::new();
    for n in 0..1000 {
        let vip = format!("10.{}.{}.1", n / 250, n % 250);
        text += &format!("-A -t {vip}:80 -s rr\n");
        for d in 1..=10 {
            text += &format!("-a -t {vip}:80 -r 192.0.2.{d}:80 -g -w 1\n");
        }
    }
    let document = document(&text);
    let plan = Plan::new(&document, &Snapshot::default());
    assert_eq!((plan.services.added, plan.dests.added), (1000, 10_000));
    let changes: Vec<Change> = plan.steps.iter().map(|step| step.change).collect();
    let attributes = Request::Batch(changes, Config::default()).attributes();
    assert_eq!(attributes.len(), 11_000);
}

#[test]
fn what_is_likely_to_be_a_mishap_changes_nothing() {
    let mut kernel = FakeKernel::with(WEB);
    let cut = format!("#rvsadm begin\n{DNS}");
    for text in ["", "# nothing\n", cut.as_str()] {
        for dry_run in [false, true] {
            let strict = Arguments {
                empty: false,
                ..arguments(dry_run)
            };
            assert!(restore("restore x", &document(text), &strict, &mut kernel).is_err());
        }
    }
    assert!(kernel.batches.is_empty());
    restored(&mut kernel, "# nothing\n").unwrap();
    assert!(kernel.services.is_empty());
}

/// A configuration: by service its scheduler, and by dest its weight.
fn configurations() -> impl Strategy<Value = String> {
    let dests = btree_map(1_u8..6, 0_u32..4, 0..5);
    let services = vec((1_u8..5, any::<bool>(), any::<bool>(), dests), 0..6);
    services.prop_map(|services| {
        let mut text = String::new();
        let mut seen = std::collections::HashSet::new();
        for (vip, udp, weighted, dests) in services {
            if !seen.insert((vip, udp)) {
                continue;
            }
            let service = format!("{} 203.0.113.{vip}:80", if udp { "-u" } else { "-t" });
            let scheduler = if weighted { "wrr" } else { "rr" };
            text += &format!("-A {service} -s {scheduler}\n");
            for (dest, weight) in dests {
                text += &format!("-a {service} -r 192.0.2.{dest}:80 -g -w {weight}\n");
            }
        }
        text
    })
}

/// Lines in an order that does not tell when they came.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

proptest! {
    #[test]
    fn from_anything_to_anything(from in configurations(), to in configurations()) {
        let mut kernel = FakeKernel::with(&from);
        let summary = restored(&mut kernel, &to).unwrap();
        let saved = saved(&mut kernel);
        prop_assert_eq!(sorted(&saved), sorted(&to));
        let kept = summary.services.unchanged + summary.services.changed;
        let services = to.lines().filter(|line| line.starts_with("-A")).count();
        prop_assert_eq!(kept + summary.services.added, services);
        // Nothing that is in both is taken away and added again.
        for step in kernel.batches.iter().flatten().map(describe) {
            if let Some(id) = step.strip_prefix("remove service ") {
                let endpoint = id.split_once('/').map_or("", |(_, endpoint)| endpoint);
                let option = if id.starts_with("tcp") { "-t" } else { "-u" };
                let line = format!("-A {option} {endpoint} ");
                prop_assert!(!to.contains(&line), "{} is wanted", step);
            }
        }
    }
}

const POOLS: &str = "\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:8080 --fullnat -w 1
-P -t 203.0.113.10:80 -z 192.0.2.201
-P -t 203.0.113.10:80 -z 192.0.2.200
#rvsadm laddr 192.0.2.202
";

#[test]
fn local_addresses_are_saved_and_restored() {
    let mut kernel = FakeKernel::default();
    let summary = restored(&mut kernel, POOLS).unwrap();
    assert_eq!((summary.dests.added, summary.laddrs.added), (1, 3));
    assert_eq!(crate::tests::printed(&mut kernel, "save").unwrap(), POOLS);
    let again = restored(&mut kernel, POOLS).unwrap();
    assert_eq!(again.laddrs.unchanged, 3);
    assert_eq!(kernel.batches.len(), 1, "nothing to do is no batch");
}

#[test]
fn of_local_addresses_only_what_differs_is_changed() {
    let mut kernel = FakeKernel::with(POOLS);
    let wanted = "\
#rvsadm laddr 192.0.2.203
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 192.0.2.1:8080 --fullnat -w 1
-P -t 203.0.113.10:80 -z 192.0.2.200
-P -t 203.0.113.10:80 -z 192.0.2.204
";
    let summary = restored(&mut kernel, wanted).unwrap();
    assert_eq!(
        steps(&kernel),
        [
            "remove local address 192.0.2.202 of default",
            "remove local address 192.0.2.201 of tcp/203.0.113.10:80",
            "add local address 192.0.2.203 to default",
            "add local address 192.0.2.204 to tcp/203.0.113.10:80",
        ]
    );
    assert_eq!((summary.laddrs.added, summary.laddrs.removed), (2, 2));
    let summary = restored(&mut kernel, "").unwrap();
    assert_eq!((summary.services.removed, summary.laddrs.removed), (1, 3));
}

#[test]
fn the_line_of_a_local_address_that_is_not_the_hosts_is_named() {
    let mut kernel = FakeKernel::default();
    kernel.foreign = Some([192, 0, 2, 200].into());
    let Err(Failure::Refused(refused)) = restored(&mut kernel, POOLS) else {
        panic!("restored");
    };
    let [line] = refused.lines.as_slice() else {
        panic!("{:?}", refused.lines);
    };
    assert_eq!(line.line, 4);
    assert_eq!(line.reason, "192.0.2.200 is not an address of this host");
    assert!(line.hint.as_ref().unwrap().contains("ip addr add"));
    assert!(kernel.services.is_empty());
}

#[test]
fn daemons_are_started_as_the_file_has_them() {
    let services = "-A -t 203.0.113.10:80 -s rr\n";
    let master = "#rvsadm sync master --device eth1 --id 7\n";
    let mut kernel = FakeKernel::with(services);
    restored(&mut kernel, &format!("{services}{master}")).unwrap();
    assert_eq!(saved(&mut kernel), format!("{services}{master}"));
    // The same again changes nothing; what has no line goes on; what differs is started anew.
    let backup = "#rvsadm sync backup --device eth1 --id 7\n";
    let other = "#rvsadm sync master --device eth2 --id 7\n";
    restored(&mut kernel, &format!("{services}{backup}")).unwrap();
    restored(&mut kernel, &format!("{services}{other}{backup}")).unwrap();
    assert_eq!(saved(&mut kernel), format!("{services}{backup}{other}"));
    // Without its key nothing is applied.
    let keyed = "#rvsadm sync master --device eth1 --id 7 --key-file /nosuch/key\n";
    let failed = restored(&mut kernel, keyed).err().unwrap();
    assert!(format!("{failed:?}").contains("/nosuch/key"), "{failed:?}");
    assert_eq!(saved(&mut kernel), format!("{services}{backup}{other}"));
    let twice = Document::parse(&format!("{master}{other}"), &Ports::default());
    assert!(twice.unwrap_err()[0]
        .reason
        .contains("starts a master already"));
}
